"""The command ``sbnn explore``: finds the records of a fit by the name of a data set, a folder or a file."""

import re
from pathlib import Path

from sbnn.data.datasets import require_study
from sbnn.explorer.explore import explore
from sbnn.results import load, results_folder

FIRST_CHOICE = "fit_default_2d.pickle"  # of the fits in a folder


def run(options):
    """Write the page that ``sbnn explore`` asks for, and say where it is."""
    path = find_fit(options.results, options.saved_models)
    fit, folds = load(path), None
    name = re.match(r"fit_([^_.]+)", path.name)
    beside = path.with_name(f"cv_{name[1]}.pickle") if name else None
    if options.cv is not None:
        folds = load(options.cv)
    elif beside is not None and beside.is_file():
        folds = load(beside)
    out = options.out or f"{fit.dataset}_explorer.html"
    try:
        explorer = explore(fit, folds)
    except ValueError as error:
        if folds is None or options.cv is not None:
            raise
        explorer = explore(fit)
        print(f"without predictions of held-out cells from {beside}: {error}")
    saved = explorer.save(out)
    print(f"{saved}: {path}, {len(fit.cell_names)} cells, {saved.stat().st_size / 1e6:.1f} MB; open it in a browser")


def find_fit(results, saved_models):
    """Path of a record of a fit: itself, or of several in a folder the default network with two units or the first."""
    path = Path(results).expanduser()
    if path.is_file():
        return path
    folder = path if path.is_dir() else results_folder(saved_models, results)
    found = sorted(folder.glob("fit_*.pickle"))
    if not found:
        require_study(path.name)
        raise FileNotFoundError(
            f"results: no record of a fit at {path} or in {folder}; `sbnn fit {path.name}` makes one"
        )
    return next((fit for fit in found if fit.name == FIRST_CHOICE), found[0])
