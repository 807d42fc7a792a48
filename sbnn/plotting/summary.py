"""Overview: a few genes predict many outputs through two units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from sbnn.evaluation.stability import selection_table
from sbnn.plotting.cells import draw_cloud, frame_map
from sbnn.plotting.colors import GREEN, SKY, Groups
from sbnn.plotting.common import MANY, finish, name_rows, new_panels, with_style
from sbnn.plotting.labels import counted, shortened, signed
from sbnn.plotting.latent import r2_of, rank_genes
from sbnn.plotting.maps import map_coordinates
from sbnn.results import Record

HEIGHT = 3.4  # inches
WIDTHS = (0.7, 0.18, 2.2, 0.18, 1)  # of the genes, the encoder, the map, the decoder, the outputs
LETTERS = 16  # of a name


@with_style
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
        Genes of simulated data to be marked.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    >>> folds = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> figure = plotting.overview(fit, folds=folds)
    """
    figure, panels = new_panels(HEIGHT, 1, 5, width_ratios=WIDTHS)
    genes, encoder, ax, decoder, outputs = panels
    width = record.latent.shape[1]
    score = None if folds is None else (folds, {"n_components": width})
    measure, _, r2 = r2_of(record, score)
    _draw_genes(genes, record, halves, true_genes)
    _draw_wedge(encoder, "encoder", (0, 1))
    _draw_wedge(decoder, "decoder", (1, 0))
    _draw_outputs(outputs, record.feature_names, r2)
    outputs.set_title(f"{min(len(r2), MANY)} of {counted(len(r2), 'output')}, {measure}")
    ax.set_title(f"{counted(width, 'linear unit')}: {len(record.latent)} cells")
    frame_map(ax)
    finish(figure)
    draw_cloud(ax, Groups(record), map_coordinates(record))
    return figure


def _draw_genes(ax, record, halves, true_genes):
    genes = record.kept_genes[rank_genes(record)]
    title = f"{len(genes)} of {counted(len(record.selected), 'gene')}"
    trusted = ()
    if halves is not None:
        trusted = selection_table(halves).query("trusted").index
        title += "\nbold: trusted"
    true = np.isin(genes, true_genes or [])
    if true_genes is not None:
        title += f"\n✓ true: {true.sum()} of {len(true_genes)}"
    ax.set_title(title)
    place = {"ha": "center", "va": "center", "fontstyle": "italic", "fontsize": 7}
    for y, gene in enumerate(genes[:MANY]):
        weight = "bold" if gene in trusted else "normal"
        mark = " ✓" if true[y] else ""
        ax.text(0, y, shortened(gene, LETTERS) + mark, fontweight=weight, **place)
    if len(genes) > MANY:
        ax.text(0, MANY, f"and {len(genes) - MANY} more", **place)
    ax.set(xlim=(-1, 1), ylim=(MANY + 0.5, -0.5))
    ax.set_axis_off()


def _draw_wedge(ax, name, ends):
    ax.fill_between(ends, (0, 0.4), (1, 0.6), color=SKY, alpha=0.3, lw=0)
    ax.text(0.5, 0.5, name, ha="center", va="center", rotation=90)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()


def _draw_outputs(ax, names, r2):
    order = np.argsort(-r2, kind="stable")[:MANY]
    bars = ax.barh(range(len(order)), r2[order].clip(0, 1), 0.55, color=GREEN, alpha=0.75)
    ax.bar_label(bars, [signed(value) for value in r2[order]], padding=2, fontsize=6.5)
    name_rows(ax, [shortened(name, LETTERS) for name in names[order]])
    ax.set(xlim=(0, 1.25), xticks=[])
    ax.spines[:].set_visible(False)
