"""Figures of raw data show the numbers they are given."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sbnn import plotting
from sbnn.results import Record


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


def test_families_are_counted_with_their_types():
    cells = pd.DataFrame({"family": list("aabbbb"), "type": list("ppqrrs")}).astype("category")
    figure = plotting.family_sizes(cells)
    assert figure.get_suptitle() == "The largest family, b, has 67% of 6 cells"
    [ax] = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["b", "a"]
    assert heights(ax) == [4, 2]
    assert [text.get_text() for text in ax.texts] == ["3 types", "1 types"]


def test_every_reason_has_a_bar_below_the_cells_used():
    figure = plotting.cells_left_out(pd.Series({"no RNA": 20, "broken": 3}), 100)
    assert figure.get_suptitle() == "23 of 123 cells are left out"
    [ax] = figure.axes
    assert [bar.get_width() for bar in ax.patches] == [100, 20, 3]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["used", "no RNA", "broken"]
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_totals_and_detected_genes_of_cells():
    counts = np.array([[1, 0, 9], [100, 0, 0]])
    left, middle, right = plotting.library_sizes(counts, np.log2(1 + counts)).axes
    assert_allclose(middle.lines[0].get_xydata(), [[1, 2], [2, 1]])
    assert sum(heights(left)) == 2
    assert sum(heights(right)) == 6


@pytest.mark.parametrize(("n", "n_panels"), [(1, 1), (6, 6), (20, 16)])
def test_every_output_has_a_panel_up_to_sixteen(n, n_panels):
    outputs = pd.DataFrame(np.random.default_rng(0).normal(size=(30, n))).add_prefix("output")
    outputs["output0"] **= 4
    figure = plotting.output_distributions(outputs)
    assert figure.get_suptitle().startswith("Most skewed output: output0 (skewness ")
    axes = figure.axes
    assert [ax.get_title() for ax in axes] == [f"output{i}" for i in range(n_panels)]
    assert all(sum(heights(ax)) == 30 for ax in axes)


def test_proteins_as_counts_and_as_logarithms():
    proteins = pd.DataFrame({"CD2": [0, 7], "CD8": [1, 3]})
    axes = plotting.protein_scales(proteins).axes
    titles = ["CD2, counts", "CD8, counts", "CD2, log₂(1 + counts)", "CD8, log₂(1 + counts)"]
    assert [ax.get_title() for ax in axes] == titles
    for ax, ends in zip(axes, [(0, 7), (1, 3), (0, 3), (1, 2)], strict=True):
        last = ax.patches[-1]
        drawn = ax.patches[0].get_x(), last.get_x() + last.get_width()
        assert_allclose(drawn, ends, atol=1e-12)


def test_new_cells_are_drawn_over_those_of_the_fit():
    fit = Record("fit", "d", "s", [{}], values={"latent": np.arange(6.0).reshape(3, 2)})
    places = pd.DataFrame({"sbnn_1": [0.5, 1], "sbnn_2": [2, 3.0]})
    figure = plotting.new_cells(fit, places, pd.DataFrame({"AP width": [1.0, 2], "AI": [0.0, 1]}))
    known, new = figure.axes[0].collections
    assert_allclose(known.get_offsets(), fit.latent)
    assert_allclose(new.get_offsets(), places)
    assert_allclose(new.get_array(), [1, 2])
    assert figure.axes[1].get_ylabel() == "predicted AP width"
    assert figure.get_suptitle() == "Predicted AP width of 2 new cells: 1 to 2"
