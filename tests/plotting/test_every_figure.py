"""Figures of the same numbers are the same, in whatever order the records hold them."""

import ast
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from drawn import image_of
from figure_records import (
    PUBLISHED,
    classifiers,
    dynamics,
    families,
    fit,
    gene_selection,
    genes_curve,
    halves,
    interpretation,
    linear,
    map_trust,
    network,
    networks_by_width,
    other_order,
    reorder,
    ridge,
    score,
    tsne,
)
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba_array
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

import sbnn
from sbnn import plotting
from sbnn.data.paired import paired
from sbnn.dynamics.report import PUBLISHED_ACCURACY, accuracy_by_sparsity
from sbnn.ephys_types.plotting import importance_of_families, model_scores

PACKAGE = Path(sbnn.__file__).parent


def figure_functions():
    """Names of public functions that return a figure; those of a study only choose records."""
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "study" or path.name == "common.py":
            continue
        for node in ast.parse(path.read_text()).body:
            is_function = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if is_function and node.returns and ast.unparse(node.returns) == "Figure":
                yield node.name


def cell_maps(change):
    cells = fit()
    xy = {"first": cells.embedding, "second": cells.embedding[:, ::-1] ** 3}
    adata = paired(
        X=cells.expression,
        Y=cells.outputs,
        gene_names=cells.kept_genes,
        feature_names=cells.feature_names,
        cell_names=cells.cell_names,
        labels=cells.labels.set_index(cells.cell_names),
        colors=cells.colors,
    )
    order = change(np.arange(90))
    return plotting.cell_maps({title: xy[title][order] for title in xy}, adata[order])


def all_figures(change):
    """By name, a function that draws a figure of records of which `change` makes others."""
    widths = networks_by_width()
    networks = {
        "distilled": (change(widths["distilled"]), {}),
        "published": (widths["published"], {"pretraining": True}),
    }
    models = {"linear": (linear(), {"rank": 2}), "ridge": change(ridge())}
    selections = {"first": halves(), "second": change(halves(1)), "third": halves(2)}
    wide = change(fit(1, width=64))
    scores = [(score(), {"n_components": 2}), (change(score(6)), {"n_components": 64})]
    methods = change(["prior", *PUBLISHED_ACCURACY])
    scores_of_methods = dynamics(["prior", *PUBLISHED_ACCURACY])
    return {
        "training_curves": partial(
            plotting.training_curves, change(network()), linear(), published=PUBLISHED
        ),
        "bottleneck_comparison": partial(
            plotting.bottleneck_comparison,
            network(),
            srrr=change(linear()),
            ridge=ridge(),
            published=change([*PUBLISHED, *PUBLISHED]),
        ),
        "accuracy_comparison": partial(plotting.accuracy_comparison, models),
        "bottleneck_widths": partial(plotting.bottleneck_widths, networks),
        "output_accuracy": partial(plotting.output_accuracy, models),
        "width_and_stability": partial(
            plotting.width_and_stability, networks, selections, models
        ),
        "tsne_pair": partial(plotting.tsne_pair, change(tsne())),
        "cell_maps": partial(cell_maps, change),
        "map_trust_panels": partial(
            plotting.map_trust_panels, change(map_trust()), change(fit())
        ),
        "bibiplot": partial(plotting.bibiplot, change(fit())),
        "effect_map": partial(plotting.effect_map, change(interpretation())),
        "gene_selection_curve": partial(plotting.gene_selection_curve, change(gene_selection())),
        "genes_curve": partial(plotting.genes_curve, change(genes_curve())),
        "selection_frequencies": partial(plotting.selection_frequencies, change(halves())),
        "latent_panels": partial(plotting.latent_panels, change(fit()), scores=scores[:1]),
        "family_zoom": partial(plotting.family_zoom, wide, change(fit()), "A", scores),
        "model_overview": partial(
            plotting.model_overview, change(fit()), halves(), change(score()), true_genes=["GeneC"]
        ),
        "model_scores": partial(
            model_scores, {name: change(record) for name, record in classifiers().items()}
        ),
        "importance_of_families": partial(importance_of_families, change(families())),
        "accuracy_by_sparsity": partial(
            accuracy_by_sparsity,
            {f"noise_5_{name}": scores_of_methods[f"noise_5_{name}"] for name in methods},
        ),
    }


@pytest.fixture(scope="module")
def figures():
    return all_figures(lambda values: values)


@pytest.fixture(scope="module")
def reordered_figures():
    return all_figures(reorder)


def places_of(mark):
    if isinstance(mark, PathCollection):
        return mark.get_offsets()
    if isinstance(mark, Rectangle):
        return mark.get_bbox()
    extents = [path.get_extents() for path in mark.get_paths() if len(path.vertices)]
    return np.reshape(extents, (-1, 2))


def marks_of(figure):
    """Axes, place and colour of points, bars and regions, and the step of those on a line."""
    marks = []
    for number, ax in enumerate(figure.axes):
        for line in ax.lines:
            xy, color = line.get_xydata(), to_rgba_array(line.get_color())
            steps = np.arange(len(xy)) if line.get_linestyle() != "None" else np.zeros(len(xy))
            marks += [[number, step, *place, *color[0]] for step, place in zip(steps, xy)]
        bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
        for mark in (*ax.collections, *bars):
            xy, colors = np.array(places_of(mark)), to_rgba_array(mark.get_facecolor())
            colors = colors if len(colors) == len(xy) else np.resize(colors, (len(xy), 4))
            marks += [[number, 0, *place, *color] for place, color in zip(xy, colors)]
    table = np.array(marks, float)
    return table[np.lexsort(table.round(6).T)]


@pytest.mark.parametrize("name", sorted(figure_functions()))
def test_order_of_records_changes_no_figure(name, figures, reordered_figures):
    figure, other = figures[name](), reordered_figures[name]()
    texts, other_texts = [
        [text.get_text() for text in drawn.findobj(Text)] for drawn in (figure, other)
    ]
    for ax, other_ax in zip(figure.axes, other.axes, strict=True):
        if ax.images:
            assert_frame_equal(image_of(ax), image_of(other_ax), check_like=True)
            texts, other_texts = sorted(texts), sorted(other_texts)
    assert other_texts == texts
    assert_allclose(marks_of(other), marks_of(figure), rtol=1e-5, atol=1e-6)
