"""The explorer of a fitted model: shown in a notebook, or written to one file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbnn.errors import check_path, require
from sbnn.files import write_atomically
from sbnn.results import Record, check_record

if TYPE_CHECKING:
    from anndata import AnnData

#: Beginning of a page of the package.
HTML = rb'<!doctype html>.{0,80}<meta name="generator" content="sbnn">'
FRAME_TITLE = "Explorer of a fitted model"
FRAME_HEIGHT = 900  # in a notebook, in pixels


@dataclass(frozen=True)
class Explorer:
    """HTML page to explore a fitted model, which a notebook displays."""

    html: str = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file atomically and return the path."""
        file = Path(path)
        write_atomically(self.html.encode(), file, beginning=HTML)
        return file

    def _repr_html_(self):
        attributes = f'title="{FRAME_TITLE}" width="100%" height="{FRAME_HEIGHT}" style="border: 0"'
        return f'<iframe {attributes} srcdoc="{escape(self.html)}"></iframe>'


def explore(
    fit_record: Record,
    cv_record: Record | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    data: AnnData | tuple[Any, Any] | None = None,
    ridge: Record | None = None,
    halves: Record | None = None,
    tsne: Record | None = None,
    color: str | None = None,
    title: str | None = None,
) -> Explorer:
    """Explore a fitted model: colour its map, and compare selected cells.

    Parameters
    ----------
    fit_record : Record
        From `sbnn.fit_full`.
    cv_record : Record, optional
        From `sbnn.cross_validate` for the same model and data, for held-out predictions and the
        verdict.
    path : str or path-like, optional
        HTML file to write; it works offline.
    data : AnnData or tuple (X, Y), optional
        Of the fit, to show genes that the model does not keep (only the most variable if the page
        would exceed 6 MB), and to offer every label of ``obs`` with 2 to 100 different values.
    ridge : Record, optional
        Cross-validation of ridge on the same folds, for the verdict.
    halves : Record, optional
        From `sbnn.stability_selection`, to mark trusted genes.
    tsne : Record, optional
        From `sbnn.evaluation.maps.tsne_maps`, for other maps of the cells.
    color : str, optional
        Label that colours the map at first: ``"type"``, ``"family"`` or a column of ``obs``.
    title : str, optional
        Of the page; by default the name of the data set.

    Returns
    -------
    Explorer
        ``save(path)`` writes the page to a file.

    Raises
    ------
    ValueError
        If records are of other models, or of outputs in other units, `data` of other cells, or
        `color` is no label of few values.

    Examples
    --------
    >>> from sbnn import explore, results
    >>> fit = results.load("saved_models/simulated/fit_distilled_2d.pickle.xz")
    >>> page = explore(fit, path="map.html")
    """
    check_record("fit_record", fit_record)
    if path is not None:
        check_path("path", path)
    # missing records are reported before bokeh is loaded
    from sbnn.own_data.explorer.columns import page_data

    require("bokeh")
    from sbnn.own_data.explorer.page import page_html

    contents = page_data(
        fit_record,
        folds=cv_record,
        data=data,
        ridge=ridge,
        halves=halves,
        tsne=tsne,
        color=color,
        title=title,
    )
    explorer = Explorer(html=page_html(contents))
    if path is not None:
        explorer.save(path)
    return explorer
