"""The main job: run the notebooks top to bottom on every data set of the project that is here, and on simulated data.

    python -m sbnn.study.reproduce [--dataset all] [--fresh] [--fast] [--in-place]

The figures of data sets that are not here are redrawn from the saved results, which need no data.
Executed notebooks go to ``build/notebooks/<data set>``, results to ``saved_models``, figures to ``figures``. What is
saved is loaded, unless ``--fresh`` asks to compute it anew.
"""

import argparse
import importlib.util
import time
from pathlib import Path

from sbnn.data.datasets import (
    DATASETS,
    DYNAMICS,
    EPHYS_TYPES,
    MECHANISM_SHIFT,
    SBNN,
    default_dataset,
    list_datasets,
    names_of,
)
from sbnn.study.gene_priors import WITH_LISTS

ROOT = Path(__file__).resolve().parents[2]
REDRAW = "04_figures.ipynb"
PRIORS = "08_gene_priors.ipynb"  # before the figures, of which one is its own
# Study -> its notebooks.
NOTEBOOKS = {
    SBNN: ("01_preprocess.ipynb", "02_cross_validate.ipynb", "03_fit_full.ipynb", PRIORS, REDRAW),
    EPHYS_TYPES: ("05_ephys_types.ipynb",),
    MECHANISM_SHIFT: ("06_mechanism_shift.ipynb",),
    DYNAMICS: ("07_dynamics.ipynb",),
}
# Study -> a result that each of its data sets has, as a pattern.
SAVED = {
    SBNN: "cv_network.pickle",
    EPHYS_TYPES: "types_lightgbm.pickle",
    MECHANISM_SHIFT: "shift_*.pickle",
    DYNAMICS: "dynamics_*.pickle",
}


def reproduce(dataset="all", *, fresh=False, fast=False, in_place=False, saved_models=None, figures=None):
    """Run all notebooks."""
    if dataset not in ("all", "auto", *DATASETS):
        raise ValueError(f"dataset: {dataset!r} is unknown, expected all, auto or one of {', '.join(DATASETS)}")
    _check_notebooks()
    from sbnn.study.notebooks import run_notebook  # needs what a plain installation does not have

    folders = {"saved_models": saved_models, "figures": figures}
    folders = {kind: Path(folder).expanduser().resolve() for kind, folder in folders.items() if folder is not None}
    for path, name in _jobs(dataset, folders.get("saved_models", ROOT / "saved_models")):
        started = time.monotonic()
        target = path if in_place else ROOT / "build" / "notebooks" / name / path.name
        parameters = {"dataset": name, "fresh": fresh, "fast": fast}
        parameters |= {kind: str(folder) for kind, folder in folders.items()}
        run_notebook(path, target, **({} if in_place else parameters))
        print(f"{path.name} on {name}: {time.monotonic() - started:.0f} s -> {target.relative_to(ROOT)}", flush=True)


def _check_notebooks():
    """Tell in one sentence what is missing to run the notebooks, if anything is."""
    if not (ROOT / "notebooks").is_dir():
        raise FileNotFoundError(
            "the notebooks are in the checkout of the repository, not in the installed package: "
            "run `make reproduce` in a checkout"
        )
    missing = [name for name in ("ipykernel", "nbformat", "papermill") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"the notebooks need {', '.join(missing)}: run `pip install -e '.[notebooks]'` in the checkout"
        )


def _notebooks(study, dataset=None):
    """Paths of the notebooks of a study, in their order; those that work on a data set, if one is given."""
    names = [name for name in NOTEBOOKS[study] if name != PRIORS or dataset is None or dataset in WITH_LISTS]
    return [ROOT / "notebooks" / name for name in names]


def _jobs(dataset, saved_models):
    """Notebooks to run, each with its data set."""
    if dataset not in ("all", "auto"):
        study = DATASETS[dataset].study
        if not NOTEBOOKS[study]:
            raise ValueError(f"dataset: no notebook works on {dataset!r}, of the study {study!r}")
        return [(path, dataset) for path in _notebooks(study, dataset)]
    studies = [study for study, notebooks in NOTEBOOKS.items() if notebooks]
    defaults = {study: default_dataset(study=study) for study in studies}  # downloaded, where that is possible
    if dataset == "auto":
        return [(path, name) for study, name in defaults.items() for path in _notebooks(study, name)]
    here = {state.name for state in list_datasets() if state.state in ("here", "here in part", "made here")}
    here.update(defaults.values())
    jobs = []
    for study in studies:
        saved = [name for name in names_of(study) if any((saved_models / name).glob(SAVED[study]))]
        jobs += [
            (path, name) for name in saved for path in _notebooks(study, name) if name in here or path.name == REDRAW
        ]
    return jobs


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sbnn.study.reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dataset",
        default="all",
        choices=["all", "auto", *DATASETS],
        help="auto: the first of each study, or simulated",
    )
    parser.add_argument("--fresh", action="store_true", help="compute anew what is saved")
    parser.add_argument("--fast", action="store_true", help="a few epochs and folds, to see that everything runs")
    parser.add_argument("--in-place", action="store_true", help="execute the notebooks in notebooks/ themselves")
    options = parser.parse_args(arguments)
    dataset = "auto" if options.in_place else options.dataset
    reproduce(dataset, fresh=options.fresh, fast=options.fast, in_place=options.in_place)


if __name__ == "__main__":
    main()
