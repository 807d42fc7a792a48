"""The maps of the benchmark of neighbours: new cells are placed among their like, and no map depends on them."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import clone

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
maps = importlib.import_module("cell_maps")
MAPS = [maps.TSNEMap, maps.CanonicalCorrelationMap, pytest.param(maps.UMAPMap, marks=pytest.mark.slow)]


@pytest.mark.parametrize("kind", MAPS)
def test_maps_place_new_cells_among_their_like(kind):
    if kind is maps.UMAPMap:
        pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    label = np.arange(120) % 3
    X = rng.normal(size=(120, 12)) + 8 * rng.normal(size=(3, 12))[label]
    Y = X[:, :2] + rng.normal(size=(120, 2))
    cell_map = kind(n_pca=5)
    placed = cell_map.fit_transform(X[:90], Y[:90])
    assert placed.shape == (90, 2)
    nearest = cdist(cell_map.transform(X[90:]), placed).argmin(1)
    assert (label[:90][nearest] == label[90:]).mean() > 0.95
    if kind is maps.TSNEMap:
        np.testing.assert_allclose(np.array(cell_map.embedding_), placed, atol=1e-9)
    np.testing.assert_allclose(clone(cell_map).fit_transform(X[:90], Y[:90]), placed, err_msg="the same again")
