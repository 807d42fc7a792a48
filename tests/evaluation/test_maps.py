"""How far a map can be trusted: held-out errors, alignment of other maps, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.manifold import trustworthiness

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    cross_validate,
    load_dataset,
    results,
)
from sbnn.data.paired import as_paired
from sbnn.data.preselection import preselect_genes
from sbnn.data.simulate import simulate_patchseq
from sbnn.evaluation.folds import split_and_scale
from sbnn.evaluation.maps import map_trust, principal_components, tsne_maps

SAVED = Path(__file__).resolve().parents[2] / "saved_models" / "simulated"


@pytest.fixture(scope="module")
def simulated():
    return as_paired(load_dataset("simulated", verbose=False))


def test_another_map_is_another_verdict(simulated, data):
    folds, fit = (
        results.load(SAVED / f"{name}.pickle") for name in ("cv_default", "fit_default_2d")
    )
    model = DistilledBottleneckRegressor(
        n_genes=25, standardize=False, device="cpu", random_state=42
    )
    saved = {"results": SAVED / "map_trust.pickle"}
    assert map_trust(model, simulated, fit, folds, **saved).agreement.min() > 0.99
    fit.values["latent"] = fit.latent + 1
    with pytest.raises(ValueError, match="judged"):
        map_trust(model, simulated, fit, folds, **saved)
    with pytest.raises(ValueError, match="fit: expected a record of the same data"):
        map_trust(model, data, fit, folds)


def aligned(other, latent):
    """Affine alignment with `latent` by least squares, and its R2."""
    sides = np.column_stack([other, np.ones(len(other))]).astype(float)
    placed = sides @ np.linalg.lstsq(sides, latent, rcond=None)[0]
    residual = np.square(placed - latent).sum()
    return placed, 1 - residual / np.square(latent - latent.mean(0)).sum()


def test_values_are_those_of_their_definitions():
    data = as_paired(simulate_patchseq(80, 20, 4, n_true_genes=5, random_state=0))
    quick = DistilledSettings(
        steps_of_teachers=5, steps_of_student=20, n_teachers=2, n_trees=2, few_cells=0
    )
    model = DistilledBottleneckRegressor(
        n_genes=5, random_state=0, hidden_layers=(8, 8), distillation=quick
    )
    folds = cross_validate(model, data, 2, {"n_components": [3, 2]}, verbose=False)
    judged = np.random.default_rng(0).normal(3, [1, 2], size=(80, 2))
    fit = results.Record("fit", data.name, data.sha256, [{}], values={"latent": judged})
    record = map_trust(model, data, fit, folds, seeds=(1, 2), preselect=12)
    X = data.X[:, preselect_genes(data, 12)].astype(float)
    Y = data.Y.astype(float)
    X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    Y = ((Y - Y.mean(0)) / Y.std(0)).astype(np.float32)
    distances = []
    for i, seed in enumerate((1, 2)):
        other = clone(model).set_params(random_state=seed).fit(X, Y).transform(X)
        placed, agreement = aligned(other, judged)
        np.testing.assert_allclose(record.latents[i], placed, atol=1e-3)
        assert record.agreement[i] == pytest.approx(agreement, abs=1e-3)
        distances.append(np.square(placed - judged).sum(1))
    size = np.square(judged - judged.mean(0)).sum(1).mean()
    spread = np.sqrt(np.mean(distances, 0) / size)
    np.testing.assert_allclose(record.spread, spread, atol=1e-3)
    placed, agreement = aligned(data.truth["latent"], judged)
    np.testing.assert_allclose(record.true_latent, placed, atol=1e-3)
    assert record.truth_agreement == pytest.approx(agreement, abs=1e-3)
    for fold, predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        *_, Y_test = split_and_scale(data, fold)
        errors = np.square(predicted - Y_test).mean(1)
        np.testing.assert_allclose(record.errors[fold[1]], errors, rtol=1e-5)


def test_maps_keep_the_neighbours_and_number_their_components(data):
    record = tsne_maps(data, preselect=30)
    for name, matrix in (
        ("transcriptome", data.X[:, preselect_genes(data, 30)]),
        ("outputs", data.Y),
    ):
        z = (matrix - matrix.mean(0, dtype=float)) / matrix.std(0, dtype=float)
        variances = np.linalg.svd(z, compute_uv=False) ** 2
        shares = np.cumsum(variances) / variances.sum()
        assert record.values[f"n_{name}"] == np.searchsorted(shares, 0.8, side="right") + 1
        order = np.random.default_rng(0).permutation(data.n_cells)
        kept = trustworthiness(z, record.values[name], n_neighbors=5)
        assert kept > trustworthiness(z, record.values[name][order], n_neighbors=5) + 0.15
    assert record.labels.equals(data.labels[["family", "type"]])


def test_shares_of_variance_are_eigenvalues_of_correlations(data):
    record = principal_components(data, preselect=30)
    for name, matrix in (
        ("transcriptome", data.X[:, preselect_genes(data, 30)]),
        ("outputs", data.Y),
    ):
        eigenvalues = np.linalg.eigvalsh(np.corrcoef(matrix.T.astype(float)))[::-1]
        np.testing.assert_allclose(record.values[name], eigenvalues / len(eigenvalues), atol=1e-6)
    assert record.settings["preselect"]["n_genes"] == 30
