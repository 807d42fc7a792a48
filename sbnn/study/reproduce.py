"""All notebooks top to bottom, on every data set of the project that is here: ``sbnn notebooks all``.

The figures of data sets that are not here are redrawn from the saved results, which need no data. Executed notebooks go
to ``build/notebooks/<data set>``, results to ``saved_models``, figures to ``figures``.
"""

import importlib.util
import time
from pathlib import Path

from sbnn.data.datasets import DATASETS, default_dataset, list_datasets, names_of
from sbnn.study.gene_priors import WITH_LISTS

ROOT = Path(__file__).resolve().parents[2]
REDRAW = "04_figures.ipynb"
PRIORS = "08_gene_priors.ipynb"  # before the figures, of which one is its own
# Study -> its notebooks.
NOTEBOOKS = {
    "sbnn": ("01_preprocess.ipynb", "02_cross_validate.ipynb", "03_fit_full.ipynb", PRIORS, REDRAW),
    "ephys_types": ("05_ephys_types.ipynb",),
    "mechanism_shift": ("06_mechanism_shift.ipynb",),
    "dynamics": ("07_dynamics.ipynb",),
}
# Study -> a result that each of its data sets has, as a pattern.
SAVED = {"sbnn": "cv_network", "ephys_types": "types_lightgbm", "mechanism_shift": "shift_*", "dynamics": "dynamics_*"}


def reproduce(dataset="all", *, fresh=False, fast=False, in_place=False, saved_models=None, figures=None):
    """Run the notebooks of a data set; of all, or of the default one of each study ("auto", as notebooks are kept)."""
    if dataset not in ("all", "auto", *DATASETS):
        raise ValueError(f"dataset: {dataset!r} is unknown, expected all, auto or one of {', '.join(DATASETS)}")
    if not (ROOT / "notebooks").is_dir() or importlib.util.find_spec("papermill") is None:
        raise FileNotFoundError("notebooks run in a checkout of the repository, with `pip install -e '.[notebooks]'`")
    from sbnn.study.notebooks import run_notebook  # needs what a plain installation does not have

    folders = {"saved_models": saved_models, "figures": figures}
    folders = {kind: Path(folder).expanduser().resolve() for kind, folder in folders.items() if folder is not None}
    for path, name in _jobs("auto" if in_place else dataset, folders.get("saved_models", ROOT / "saved_models")):
        started = time.monotonic()
        target = path if in_place else ROOT / "build" / "notebooks" / name / path.name
        parameters = {"dataset": name, "fresh": fresh, "fast": fast}
        parameters |= {kind: str(folder) for kind, folder in folders.items()}
        run_notebook(path, target, **({} if in_place else parameters))
        print(f"{path.name} on {name}: {time.monotonic() - started:.0f} s -> {target.relative_to(ROOT)}", flush=True)


def _jobs(dataset, saved_models):
    """Notebooks to run, each with its data set."""
    if dataset not in ("all", "auto"):
        return [(path, dataset) for path in _notebooks(dataset)]
    defaults = [default_dataset(study=study) for study in NOTEBOOKS]  # downloaded, where that is possible
    if dataset == "auto":
        return [(path, name) for name in defaults for path in _notebooks(name)]
    here = {name for name, (state, _) in list_datasets().items() if "here" in state} | set(defaults)
    patterns = {name: f"{name}/{result}.pickle" for study, result in SAVED.items() for name in names_of(study)}
    saved = [name for name, pattern in patterns.items() if any(saved_models.glob(pattern))]
    return [(path, name) for name in saved for path in _notebooks(name) if name in here or path.name == REDRAW]


def _notebooks(dataset):
    """Paths of the notebooks that work on a data set, in their order."""
    names = [name for name in NOTEBOOKS[DATASETS[dataset].study] if name != PRIORS or dataset in WITH_LISTS]
    return [ROOT / "notebooks" / name for name in names]
