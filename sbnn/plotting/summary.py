"""Overview: a few genes predict many outputs through two units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from sbnn.evaluation.stability import selection_table
from sbnn.plotting.cells import draw_cloud, frame_map
from sbnn.plotting.colors import GREEN, SKY, Groups
from sbnn.plotting.common import MANY, finish, name_rows, new_panels, styled
from sbnn.plotting.labels import counted, shortened, signed
from sbnn.plotting.latent import TRUE, mark_true, rank_genes
from sbnn.plotting.maps import map_coordinates
from sbnn.results import Record

HEIGHT = 2.8  # inches
WIDTHS = (0.7, 0.45, 1.9, 0.45, 1)  # of the genes, the encoder, the map, the decoder, the outputs
LETTERS = 16  # of a name


@styled
def overview(
    record: Record,
    halves: Record | None = None,
    folds: Record | None = None,
    true_genes: Sequence[str] | None = None,
) -> Figure:
    """Kept genes, the map of the cells and the outputs, as a prediction passes through them.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full`.
    halves : Record, optional
        From `sbnn.stability_selection`, to write trusted genes in bold.
    folds : Record, optional
        From `sbnn.cross_validate`, to draw the test R2 of every output.
    true_genes : sequence of str, optional
        As in `latent_panels`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_default_2d.pickle")
    >>> folds = results.load("saved_models/scala/cv_default.pickle")
    >>> figure = plotting.overview(fit, folds=folds)
    """
    figure, panels = new_panels(HEIGHT, 1, 5, width_ratios=WIDTHS)
    genes, encoder, ax, decoder, outputs = panels
    width = record.latent.shape[1]
    r2, measure = record.train_feature_r2, "training R²"
    if folds is not None:
        point = folds.find(n_components=width)
        r2, measure = folds.test_feature_r2[:, point].mean(axis=0), "test R²"
    _draw_genes(genes, record, halves, true_genes)
    _draw_wedge(encoder, "encoder", (0, 1))
    _draw_wedge(decoder, "decoder", (1, 0))
    _draw_outputs(outputs, record.feature_names, r2)
    outputs.set_title(f"{counted(len(r2), 'output')}, {measure}")
    ax.set_title(f"{counted(width, 'linear unit')}: {len(record.latent)} cells")
    frame_map(ax)
    finish(figure)
    xy = map_coordinates(record)
    draw_cloud(ax, Groups(record), xy, np.clip(5000 / len(xy), 1, 10))
    return figure


def _draw_genes(ax, record, halves, true_genes):
    genes = np.asarray(record.kept_genes)[rank_genes(record)]
    title = f"{len(genes)} of {counted(len(record.selected), 'gene')}"
    trusted = ()
    if halves is not None:
        trusted = selection_table(halves).query("trusted").index
        title += "\nbold: trusted"
    if true_genes is not None:
        title += f"\n{TRUE} true: {np.isin(genes, true_genes).sum()} of {len(true_genes)}"
    ax.set_title(title)
    names = _listed(mark_true(genes, true_genes or []))
    place = {"ha": "center", "va": "center", "fontstyle": "italic", "fontsize": 6}
    for y, name in enumerate(names):
        bold = "bold" if name.removesuffix(f" {TRUE}") in trusted else "normal"
        ax.text(0, y, shortened(name, LETTERS), fontweight=bold, **place)
    ax.set(xlim=(-1, 1), ylim=(len(names) - 0.5, -0.5))
    ax.set_axis_off()


def _listed(names):
    if len(names) <= MANY:
        return list(names)
    return [*names[: MANY - 1], f"and {len(names) - MANY + 1} more"]


def _draw_wedge(ax, name, ends):
    ax.fill_between(ends, (0, 0.4), (1, 0.6), color=SKY, alpha=0.3, lw=0)
    ax.text(0.5, 0.5, name, ha="center", va="center", fontsize=8)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()


def _draw_outputs(ax, names, r2):
    order = np.argsort(-r2, kind="stable")
    names = _listed([shortened(name, LETTERS) for name in names[order]])
    shown = r2[order][: MANY if len(r2) <= MANY else MANY - 1]
    ax.barh(range(len(shown)), shown.clip(0, 1), 0.55, color=GREEN, alpha=0.75)
    for y, value in enumerate(shown):
        ax.text(max(value, 0) + 0.03, y, signed(value), va="center", fontsize=5.5)
    name_rows(ax, names)
    ax.set(xlim=(0, 1.25), xticks=[])
    ax.spines[:].set_visible(False)
