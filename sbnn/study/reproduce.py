"""Run all notebooks on every available data set: ``sbnn reproduce``.

Figures of data sets that are not available are redrawn from the saved results. Executed notebooks
are in ``build/notebooks/<data set>``, figures in ``build/figures``; those in ``figures`` are only
replaced if the results are computed anew.
"""

import importlib.util
import time
from pathlib import Path

from joblib import Parallel, delayed

from sbnn.data.datasets import DATASETS, default_dataset, list_datasets, names_of
from sbnn.errors import check_among
from sbnn.study.figures import draw

ROOT = Path(__file__).resolve().parents[2]
FIGURES = "figures"  # in place of a notebook
DYNAMICS = "06"
OWN = "08"
#: Study -> its notebooks, each after the notebooks whose results it needs.
NOTEBOOKS = {
    "sbnn": ("01", "02", "03", OWN),
    "ephys_types": ("04",),
    "mechanism_shift": ("05",),
    "dynamics": (DYNAMICS,),
}
#: Notebook -> data sets, if these are not all of its study.
ONLY = {OWN: ("simulated",), DYNAMICS: ("grn_350", "simulated_grn")}
#: Study -> a result that each of its data sets has.
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
    """Run notebooks on a data set, on all that are available, or on the default of each study.

    `notebook` is the start of its name, "all", or "figures" to draw those of the sBNN study from
    saved results. `dataset` is a name, "all" or "auto". By default, all notebooks are run on all
    data sets, and single notebooks on the defaults. `jobs` data sets are processed at the same
    time.
    """
    if dataset is None:
        dataset = "all" if notebook == "all" and not in_place else "auto"
    check_among("dataset", dataset, ("all", "auto", *DATASETS))
    if not (ROOT / "notebooks").is_dir() or importlib.util.find_spec("papermill") is None:
        raise FileNotFoundError(
            "notebooks need a clone of the repository and, in it, `pip install -e '.[notebooks]'`"
        )
    if figures is None:
        # the last bits of another processor would change pictures that git tracks
        figures = ROOT / "figures" if fresh else ROOT / "build" / "figures"
    parameters = {"fresh": fresh, "fast": fast}
    for kind, folder in (("saved_models", saved_models), ("figures", figures)):
        if folder:
            parameters[kind] = str(Path(folder).expanduser().resolve())
    planned = _jobs(dataset, Path(parameters.get("saved_models", ROOT / "saved_models")))
    names = {path.stem for paths in planned.values() for path in paths}
    wanted = {name for name in names if notebook in ("all", name, name[:2])}
    if not wanted and notebook not in ("all", FIGURES):
        expected = [*sorted(names), FIGURES]
        raise ValueError(f"notebook: {notebook!r} is unknown, expected one of {expected}")
    calls = []
    for name, paths in planned.items():
        if notebook == FIGURES or not paths:
            if DATASETS[name].study == "sbnn" and notebook in ("all", FIGURES):
                calls.append(delayed(_redraw)(name, parameters))
            continue
        paths = [path for path in paths if path.stem in wanted]
        given = {} if in_place else parameters | {"dataset": name}
        calls.append(delayed(_run)(name, paths, given, in_place))
    Parallel(jobs)(calls)


def _redraw(name, parameters):
    places = {}
    for kind in ("saved_models", "figures"):
        places[kind] = parameters.get(kind, ROOT / kind)
    drawn = draw(name, **places, fast=parameters["fast"])
    print(f"{len(drawn)} figures of {name} drawn from saved results", flush=True)


def _run(name, paths, parameters, in_place):
    from sbnn.study.notebooks import run_notebook  # needs optional packages

    for path in paths:
        started = time.monotonic()
        target = path if in_place else ROOT / "build" / "notebooks" / name / path.name
        run_notebook(path, target, **parameters)
        took = f"{time.monotonic() - started:.0f} s -> {target.relative_to(ROOT)}"
        print(f"{path.name} on {name}: {took}", flush=True)


def _jobs(dataset, saved_models):
    if dataset not in ("all", "auto"):
        return {dataset: _notebooks(dataset)}
    defaults = [default_dataset(study=study) for study in NOTEBOOKS]  # downloaded if possible
    if dataset == "auto":
        jobs = {"simulated": _notebooks("simulated", OWN)}
        return jobs | {name: _notebooks(name) for name in defaults}
    jobs = {}
    states = list_datasets()
    for study, result in SAVED.items():
        for name in names_of(study):
            if any(saved_models.glob(f"{name}/{result}.pickle")):
                here = states.loc[name, "state"] == "here"
                jobs[name] = _notebooks(name) if here else []
    return jobs


def _notebooks(dataset, start=""):
    paths = []
    for number in NOTEBOOKS[DATASETS[dataset].study]:
        if dataset in ONLY.get(number, [dataset]):
            paths += sorted((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
    return [path for path in paths if path.name.startswith(start)]
