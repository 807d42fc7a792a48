"""The explorer of a fitted model: shown in a notebook, or written to one file that works offline."""

import contextlib
import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from sbnn.data.datasets import load_dataset, require_study
from sbnn.results import load, results_folder, results_path, write_atomically

HEIGHT = 900  # pixels in a notebook
FIRST_CHOICE = "fit_default_2d.pickle"  # preferred fit in a folder


@dataclass(frozen=True)
class Explorer:
    """A page that explores a fitted model; the last line of a notebook's cell shows it.

    Parameters
    ----------
    html : str
        The self-contained page.
    """

    html: str = field(repr=False)

    def save(self, path):
        """Write the page to a file atomically and return its path."""
        path = results_path(path)
        write_atomically(self.html.encode(), path, b"(?i)<!doctype html")
        return path

    def _repr_html_(self):
        look = f'width="100%" height="{HEIGHT}" style="border: 0"'
        return f'<iframe title="Explorer of a fitted model" srcdoc="{escape(self.html)}" {look}></iframe>'


def explore(fit_record, cv_record=None, path=None, *, data=None, ridge=None, halves=None, tsne=None):
    """Explore a fitted model: its map by family, genes, outputs and errors, and comparisons of selected cells.

    Parameters
    ----------
    fit_record : Record
        Returned by `sbnn.fit_full`, or loaded by `sbnn.results.load`.
    cv_record : Record, optional
        Returned by `sbnn.cross_validate` for the same model and data: the page then also shows the
        held-out predictions of every cell, and the verdict.
    path : str or path-like, optional
        File to write, such as ``"map.html"``. It works offline.
    data : AnnData, MuData or tuple (X, Y), optional
        The fitted data: the page then also shows the genes that are not kept, in 8 bits; only the most variable ones if
        they do not fit into 6 MB.
    ridge : Record, optional
        Cross-validation of ridge on the same folds, for the verdict.
    halves : Record, optional
        Returned by `sbnn.stability_selection`, to show which kept genes are trusted.
    tsne : Record, optional
        Returned by `sbnn.evaluation.maps.tsne_maps`: alternative maps.

    Returns
    -------
    Explorer
        Displayed in a notebook; ``save(path)`` writes it.

    Raises
    ------
    ValueError
        If a record is of the wrong kind, or belongs to other data or another model; if `path` is a folder.
    OSError
        If the file cannot be written.
    """
    from sbnn.explorer.columns import page_data  # a missing record is found before bokeh is loaded
    from sbnn.explorer.page import page

    explorer = Explorer(page(page_data(fit_record, cv_record, data, ridge, halves, tsne)))
    if path is not None:
        explorer.save(path)
    return explorer


def run(options):
    """Write the page of ``sbnn explore`` and print its path."""
    path = find_fit(options.results, options.saved_models)
    fit, folds = load(path), None
    name = re.match(r"fit_([^_.]+)", path.name)
    beside = path.with_name(f"cv_{name[1]}.pickle") if name else None
    if options.cv is not None:
        folds = load(options.cv)
    elif beside is not None and beside.is_file():
        folds = load(beside)
    more = {"data": _data_of(fit)} | _beside(path, fit, folds)
    out = results_path(options.out or f"{fit.dataset}_explorer.html", "--out")
    try:
        explorer = explore(fit, folds, **more)
    except ValueError as error:
        if folds is None or options.cv is not None:
            raise
        explorer = explore(fit, **more)
        print(f"without predictions of held-out cells from {beside}: {error}")
    saved = explorer.save(out)
    print(f"{saved}: {path}, {len(fit.cell_names)} cells, {saved.stat().st_size / 1e6:.1f} MB; open it in a browser")


def _beside(path, fit, folds):
    """Records of the same data next to that of a fit: ridge on the same folds, halves of the cells, and t-SNE."""
    from sbnn.evaluation.verdict import have_same_folds

    found = {}
    for argument, name in (("ridge", "cv_ridge"), ("halves", "halves_default"), ("tsne", "tsne")):
        if (file := path.with_name(f"{name}.pickle")).is_file() and (record := load(file)).sha256 == fit.sha256:
            found[argument] = record
    if "ridge" in found and (folds is None or not have_same_folds(folds, found["ridge"])):
        del found["ridge"]
    return found


def _data_of(fit):
    """Data of a fit, if they are a named data set whose files are available."""
    from sbnn.data.paired import as_paired

    with contextlib.suppress(FileNotFoundError, ValueError):  # also a user's own data
        data = load_dataset(fit.dataset, download=False, verbose=False)
        if as_paired(data).sha256 == fit.sha256:
            return data
    print("only the kept genes are shown: the data are missing; in Python, explore(fit, data=data) shows all genes")
    return None


def find_fit(results, saved_models):
    """Path of the record of a fit: the file, or in a folder the default network with two units or the first fit."""
    path = Path(results).expanduser()
    if path.is_file():
        return path
    folder = path if path.is_dir() else results_folder(saved_models, results)
    found = sorted(folder.glob("fit_*.pickle"))
    if not found:
        require_study(path.name)
        raise FileNotFoundError(f"results: no fit at {path} or in {folder}: run the notebooks, or `sbnn fit`, first")
    return next((fit for fit in found if fit.name == FIRST_CHOICE), found[0])
