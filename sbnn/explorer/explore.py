"""The explorer of a fitted model: shown in a notebook, or written to one file."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from sbnn.data.datasets import load_dataset
from sbnn.errors import require
from sbnn.results import load, results_folder
from sbnn.store import write_atomically

if TYPE_CHECKING:
    from sbnn.results import Record
    from sbnn.typehints import PairedData, PathLike


TITLE = "Explorer of a fitted model"
HEIGHT = 900  # in a notebook, in pixels
FIRST_CHOICE = "fit_default_2d.pickle"  # preferred fit in a folder
# argument of `explore` -> name of a record in the folder
BESIDE = {"ridge": "cv_ridge", "halves": "halves_default", "tsne": "tsne"}


@dataclass(frozen=True)
class Explorer:
    """HTML page to explore a fitted model, which a notebook displays."""

    html: str = field(repr=False)

    def save(self, path):
        """Write the page to a file atomically and return the path."""
        path = Path(path)
        write_atomically(self.html.encode(), path)
        return path

    def _repr_html_(self):
        look = f'title="{TITLE}" width="100%" height="{HEIGHT}" style="border: 0"'
        return f'<iframe {look} srcdoc="{escape(self.html)}"></iframe>'


def explore(
    fit_record: Record,
    cv_record: Record | None = None,
    path: PathLike | None = None,
    *,
    data: PairedData | None = None,
    ridge: Record | None = None,
    halves: Record | None = None,
    tsne: Record | None = None,
) -> Explorer:
    """Explore a fitted model: colour its map by any feature or error, and compare selected cells.

    Parameters
    ----------
    fit_record : Record
        Returned by `sbnn.fit_full`, or loaded by `sbnn.results.load`.
    cv_record : Record, optional
        Returned by `sbnn.cross_validate` for the same model and data, to show held-out predictions
        and the verdict.
    path : str or path-like, optional
        HTML file to write; it works offline.
    data : AnnData or tuple (X, Y), optional
        The data of the fit, to show genes that the model does not keep, with 8 bits per value. Only
        the most variable are shown if the page would exceed 6 MB.
    ridge : Record, optional
        Cross-validation of ridge on the same folds, for the verdict.
    halves : Record, optional
        Returned by `sbnn.stability_selection`, to show which kept genes are trusted.
    tsne : Record, optional
        Returned by `sbnn.evaluation.maps.tsne_maps`, for alternative maps of the cells.

    Returns
    -------
    Explorer
        ``save(path)`` writes the page to a file.

    Raises
    ------
    ValueError
        If a record is of the wrong kind, or of other data or another model.

    Examples
    --------
    >>> from sbnn import explore, results
    >>> fit = results.load("saved_models/simulated/fit_default_2d.pickle")
    >>> page = explore(fit, path="map.html")
    """
    # missing records are reported before bokeh is loaded
    from sbnn.explorer.columns import page_data

    require("bokeh")
    from sbnn.explorer.page import page

    explorer = Explorer(page(page_data(fit_record, cv_record, data, ridge, halves, tsne)))
    if path is not None:
        explorer.save(path)
    return explorer


def run(options):
    """Write the page of ``sbnn explore``."""
    path = find_fit(options.results, options.saved_models)
    fit = load(path)
    more = _beside(path, fit)
    more["data"] = _data_of(fit)
    if options.cv is not None:
        more["cv_record"] = load(options.cv)
    out = Path(options.out or f"{fit.dataset}_explorer.html")
    try:
        explorer = explore(fit, **more)
    except ValueError as error:
        if options.cv is not None or "cv_record" not in more:
            raise
        del more["cv_record"]
        explorer = explore(fit, **more)
        print(f"the page shows no predictions of held-out cells: {error}")
    saved = explorer.save(out)
    megabytes = saved.stat().st_size / 1e6
    n_cells = f"{len(fit.cell_names)} cells of {path}"
    print(f"{saved}: {n_cells}, {megabytes:.1f} MB; open in a browser")


def _beside(path, fit):
    """Other records in the folder of a fit, as arguments of `explore`."""
    from sbnn.evaluation.verdict import have_same_folds

    model = re.match("(fit_)?([^_.]+)", path.name)[2]
    found = {}
    for argument, name in (BESIDE | {"cv_record": f"cv_{model}"}).items():
        file = path.with_name(f"{name}.pickle")
        if file.is_file():
            record = load(file)
            if argument == "cv_record" or record.sha256 == fit.sha256:
                found[argument] = record
    both = {"cv_record", "ridge"} <= found.keys()
    if both and not have_same_folds(found["cv_record"], found["ridge"]):
        del found["ridge"]
    return found


def _data_of(fit):
    """Data of a fit if the files of its data set are there."""
    from sbnn.data.paired import as_paired

    with contextlib.suppress(FileNotFoundError, ValueError):  # missing files, or a user's own data
        data = load_dataset(fit.dataset, download=False, verbose=False)
        if as_paired(data).sha256 == fit.sha256:
            return data
    text = "only kept genes are shown, as the data were not found"
    print(f"{text}; in Python, explore(fit, data=data) shows all genes")
    return None


def find_fit(results, saved_models):
    """Path of a fit: `results`, or `FIRST_CHOICE` or the first fit in a folder."""
    path = Path(results).expanduser()
    if path.is_file():
        return path
    folder = path if path.is_dir() else results_folder(saved_models, results)
    found = sorted(folder.glob("fit_*.pickle"))
    if not found:
        advice = "run the notebooks or `sbnn fit` first"
        raise FileNotFoundError(f"results: no fit at {path} or in {folder}; {advice}")
    preferred = folder / FIRST_CHOICE
    return preferred if preferred in found else found[0]
