"""t-SNE of each measurement alone: neighbours stay neighbours, and the same data give the same map."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from sbnn import PairedData, results
from sbnn.study.tsne_maps import tsne_maps


def zscored(matrix):
    matrix = matrix.astype(float)
    return (matrix - matrix.mean(0)) / matrix.std(0)


def test_maps_keep_the_neighbours_and_say_how_many_components_they_show(data):
    record = tsne_maps(data)
    for name, matrix in (("transcriptome", data.X), ("outputs", data.Y)):
        z = zscored(matrix)
        variances = np.linalg.svd(z, compute_uv=False) ** 2
        shares = np.cumsum(variances) / variances.sum()
        assert record.values[f"n_{name}"] == np.searchsorted(shares, 0.8, side="right") + 1
        assert record.values[name].shape == (data.n_cells, 2)
        order = np.random.default_rng(0).permutation(data.n_cells)
        kept = trustworthiness(z, record.values[name], n_neighbors=5)
        assert kept > trustworthiness(z, record.values[name][order], n_neighbors=5) + 0.15
    assert record.experiment == "t-SNE" and record.sha256 == data.sha256
    assert record.labels["type"].tolist() == data.labels["type"].tolist()


def test_same_seed_same_maps_also_from_the_file(data, tmp_path):
    path = tmp_path / "tsne.pickle"
    first = tsne_maps(data, results=path, seed=1)
    second, loaded = tsne_maps(data, seed=1), tsne_maps(data, results=path, seed=1)
    for name in ("transcriptome", "outputs"):
        np.testing.assert_array_equal(first.values[name], second.values[name])
        np.testing.assert_array_equal(first.values[name], loaded.values[name])
    assert results.load(path).values["n_outputs"] == first.n_outputs


def test_two_components_are_the_map(data):
    record = tsne_maps(PairedData(data.X, data.Y[:, :2]), variance=0.999)
    assert record.n_outputs == 2
    z = zscored(data.Y[:, :2])
    distances = [np.linalg.norm(a[:, np.newaxis] - a, axis=2) for a in (z, record.outputs)]
    np.testing.assert_allclose(*distances, atol=1e-5)


def test_other_results_are_not_overwritten(data, tmp_path):
    path = tmp_path / "tsne.pickle"
    tsne_maps(data, results=path)
    with pytest.raises(ValueError, match="results: .*tsne.pickle holds another t-SNE"):
        tsne_maps(data, variance=0.5, results=path)
    assert tsne_maps(data, variance=0.5, results=path, overwrite=True).params == [{"variance": 0.5}]
    with pytest.raises(ValueError, match="variance: expected a share between 0 and 1, got 1"):
        tsne_maps(data, variance=1)
