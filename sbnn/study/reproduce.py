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

from sbnn.data.catalogue import names_of, require_study
from sbnn.data.datasets import default_dataset
from sbnn.data.inventory import list_datasets

ROOT = Path(__file__).resolve().parents[2]
REDRAW = "04_figures.ipynb"


def reproduce(dataset="all", *, fresh=False, fast=False, in_place=False, saved_models=None, figures=None):
    """Run all notebooks.

    Parameters
    ----------
    dataset : str
        Its name; "auto", scala where its files can be had and else simulated; or "all", those with saved results:
        where the data are not here, only the figures are drawn.
    fresh, fast : bool
        Passed on to the notebooks.
    in_place : bool
        Execute the committed notebooks themselves, with the parameters that stand in them.
    saved_models, figures : path-like, optional
        Folders of the results and of the figures, by default those of the checkout.

    Raises
    ------
    ValueError
        For a data set without a name among these.
    FileNotFoundError
        In an installed copy of the package, which has no notebooks beside it.
    ModuleNotFoundError
        Without the extra ``notebooks``.
    """
    require_study(dataset)
    if dataset not in ("all", "auto", *names_of()):
        raise ValueError(f"dataset: {dataset!r} is unknown, expected all, auto or one of {', '.join(names_of())}")
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
    if not _notebooks():
        raise FileNotFoundError(
            "the notebooks are in the checkout of the repository, not in the installed package: "
            "run `make reproduce` in a checkout"
        )
    missing = [name for name in ("ipykernel", "nbformat", "papermill") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"the notebooks need {', '.join(missing)}: run `pip install -e '.[notebooks]'` in the checkout"
        )


def _notebooks():
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def _jobs(dataset, saved_models):
    """Notebooks to run, each with its data set."""
    paths = _notebooks()
    if dataset == "auto":
        dataset = default_dataset()
    if dataset != "all":
        return [(path, dataset) for path in paths]
    here = {state.name for state in list_datasets() if state.state in ("here", "here in part", "made here")}
    here.add(default_dataset())  # which downloads it, where that is possible
    saved = [name for name in names_of() if (saved_models / name / "cv_network.pickle").exists()]
    return [(path, name) for name in saved for path in paths if name in here or path.name == REDRAW]


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sbnn.study.reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dataset", default="all", choices=["all", "auto", *names_of()], help="auto: scala or simulated"
    )
    parser.add_argument("--fresh", action="store_true", help="compute anew what is saved")
    parser.add_argument("--fast", action="store_true", help="a few epochs and folds, to see that everything runs")
    parser.add_argument("--in-place", action="store_true", help="execute the notebooks in notebooks/ themselves")
    options = parser.parse_args(arguments)
    dataset = "auto" if options.in_place else options.dataset
    reproduce(dataset, fresh=options.fresh, fast=options.fast, in_place=options.in_place)


if __name__ == "__main__":
    main()
