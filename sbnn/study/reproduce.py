"""Run all notebooks on every available data set: ``sbnn reproduce``.

Figures of data sets that are not available are redrawn from the saved results. Executed notebooks
are written to ``build/notebooks/<data set>``, results to ``saved_models`` and figures to
``figures``.
"""

import importlib.util
import time
from pathlib import Path

from joblib import Parallel, delayed

from sbnn.data.datasets import DATASETS, default_dataset, list_datasets, names_of
from sbnn.errors import check_among

ROOT = Path(__file__).resolve().parents[2]
REDRAW, DYNAMICS, PRIORS, OWN = "04", "07", "08", "09"
#: Study -> its notebooks, each after the notebooks whose results it needs.
NOTEBOOKS = {
    "sbnn": ("01", "02", "03", PRIORS, REDRAW, OWN),
    "ephys_types": ("05",),
    "mechanism_shift": ("06",),
    "dynamics": (DYNAMICS,),
}
#: Notebook -> data sets that it covers, if these are not all data sets of its study.
ONLY = {PRIORS: ("scala", "simulated"), OWN: ("simulated",), DYNAMICS: ("grn_350", "simulated_grn")}
#: Study -> file name pattern of a result that each of its data sets has.
SAVED = {
    "sbnn": "cv_network",
    "ephys_types": "types_lightgbm",
    "mechanism_shift": "shift_*",
    "dynamics": "dynamics_*",
}


def reproduce(
    notebook="all",
    dataset=None,
    *,
    fresh=False,
    fast=False,
    in_place=False,
    saved_models=None,
    figures=None,
    jobs=1,
):
    """Run notebooks on one data set, on all available data sets ("all") or on the default of each
    study ("auto").

    `jobs` data sets are processed at the same time, each with all its notebooks.
    """
    dataset = dataset or ("all" if notebook == "all" and not in_place else "auto")
    check_among("dataset", dataset, ("all", "auto", *DATASETS))
    if not (ROOT / "notebooks").is_dir() or importlib.util.find_spec("papermill") is None:
        raise FileNotFoundError(
            "notebooks need a clone of the repository and, in it, `pip install -e '.[notebooks]'`"
        )
    from sbnn.study.notebooks import run_notebook  # needs packages that a plain installation lacks

    folders = {"saved_models": saved_models, "figures": figures}
    folders = {
        kind: Path(folder).expanduser().resolve()
        for kind, folder in folders.items()
        if folder is not None
    }
    parameters = {"fresh": fresh, "fast": fast} | {
        kind: str(folder) for kind, folder in folders.items()
    }
    planned = _jobs(dataset, folders.get("saved_models", ROOT / "saved_models"))
    check_among(
        "notebook",
        notebook,
        ("all", *{part: 0 for path, _ in planned for part in (path.stem, path.stem[:2])}),
    )
    wanted = {}
    for path, name in planned:
        if notebook in ("all", path.stem, path.stem[:2]):
            wanted.setdefault(name, []).append(path)

    def run(name, paths):
        for path in paths:
            started = time.monotonic()
            target = path if in_place else ROOT / "build" / "notebooks" / name / path.name
            run_notebook(path, target, **({} if in_place else parameters | {"dataset": name}))
            took = f"{time.monotonic() - started:.0f} s -> {target.relative_to(ROOT)}"
            print(f"{path.name} on {name}: {took}", flush=True)

    Parallel(jobs)(delayed(run)(name, paths) for name, paths in wanted.items())


def _jobs(dataset, saved_models):
    """Notebooks to run, each with its data set."""
    if dataset not in ("all", "auto"):
        return [(path, dataset) for path in _notebooks(dataset)]
    defaults = [default_dataset(study=study) for study in NOTEBOOKS]  # downloaded if possible
    own = [(path, "simulated") for path in _notebooks("simulated") if path.stem.startswith(OWN)]
    if dataset == "auto":
        jobs = [(path, name) for name in defaults for path in _notebooks(name)]
        return jobs + [job for job in own if job not in jobs]
    here = {name for name, (state, _) in list_datasets().items() if "available" in state} | set(
        defaults
    )
    patterns = {
        name: f"{name}/{result}.pickle"
        for study, result in SAVED.items()
        for name in names_of(study)
    }
    saved = [name for name, pattern in patterns.items() if any(saved_models.glob(pattern))]
    return [
        (p, name)
        for name in saved
        for p in _notebooks(name)
        if name in here or p.stem.startswith(REDRAW)
    ]


def _notebooks(dataset):
    """Paths of the notebooks for a data set, in order."""
    numbers = [n for n in NOTEBOOKS[DATASETS[dataset].study] if dataset in ONLY.get(n, (dataset,))]
    return [path for n in numbers for path in sorted((ROOT / "notebooks").glob(f"{n}_*.ipynb"))]
