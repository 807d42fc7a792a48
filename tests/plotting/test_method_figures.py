"""Figures of the method show the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest
from made_up import assert_tidy, words
from scipy.stats import t as student

from sbnn import plotting
from sbnn.data.datasets import load_dataset


@pytest.fixture(scope="module")
def adata():
    return load_dataset("simulated", verbose=False)


def test_bars_count_the_test_cells_of_each_family(adata):
    folds = [(np.arange(100, 600), np.arange(100)), (np.arange(100), np.arange(100, 300))]
    figure = plotting.fold_families(adata, folds)
    assert figure.get_suptitle().endswith("is tested in 2 of 2 folds")
    [ax] = figure.axes
    heights = np.array([[bar.get_height() for bar in bars] for bars in ax.containers])
    np.testing.assert_array_equal(heights.sum(axis=0), [100, 200])
    family = adata.obs["family"].iloc[:100].astype(str)
    for bars, name in zip(ax.containers, ax.get_legend_handles_labels()[1], strict=True):
        assert bars[0].get_height() == (family == name).sum()


def test_the_genes_with_the_largest_norms_are_kept_and_named():
    norms = np.array([0.1, 3, 1, 2])
    figure = plotting.gene_norms(norms, list("abcd"), 2, {"r2": pd.Series([0, 0.5, 0.4])}, 2)
    assert_tidy(figure)
    finding = "Test R² 0.500 before the pruning to 2 genes, 0.400 at the end"
    assert figure.get_suptitle() == finding
    kept, pruned = figure.axes[0].lines
    np.testing.assert_allclose(kept.get_ydata(), [3, 2])
    np.testing.assert_allclose(pruned.get_ydata(), [1, 0.1])
    assert "b\nd\nc\na" in words(figure)
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), [0, 0.5, 0.4])


@pytest.mark.filterwarnings("ignore:Degrees of freedom", "ignore:invalid value encountered")
def test_differences_have_their_mean_and_its_corrected_interval():
    figure = plotting.fold_differences({"b": [0.1, 0.1], "a": [1.0, 2.0, 3.0]})
    _, bar = figure.axes[0].containers
    assert bar.lines[0].get_ydata() == pytest.approx([2])
    low, high = bar.lines[2][0].get_segments()[0][:, 1]
    half = student.ppf(0.975, 2) * (1 / 3 + 1 / 2) ** 0.5  # Nadeau and Bengio, 2003
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    assert figure.get_suptitle() == "Largest: a +2.000 [−1.928, +5.928]"
    [ax] = plotting.fold_differences({"one fold": [0.1]}).axes
    assert ax.containers[0].lines[0].get_ydata() == pytest.approx([0.1])


def test_every_map_shows_all_cells(adata):
    xy = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    figure = plotting.cell_maps({"one": xy, "two": xy[:, ::-1]}, adata)
    assert {"one", "two"} <= set(words(figure).splitlines())
    for ax in figure.axes[:2]:
        drawn = sum(len(dots.get_offsets()) for dots in ax.collections)
        assert drawn >= adata.n_obs
