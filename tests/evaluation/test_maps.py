"""How far a map can be trusted: held-out errors, alignment of other maps, and what is refused."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.manifold import trustworthiness

from sbnn import SparseBottleneckRegressor, cross_validate
from sbnn.data.preselection import preselect_genes
from sbnn.evaluation.maps import map_trust, tsne_maps
from sbnn.results import Record

close = np.testing.assert_allclose


def aligned(other, latent):
    """Affine alignment with `latent` by least squares, and its R2."""
    sides = np.column_stack([other, np.ones(len(other))]).astype(float)
    placed = sides @ np.linalg.lstsq(sides, latent, rcond=None)[0]
    residual = np.square(placed - latent).sum()
    return placed, 1 - residual / np.square(latent - latent.mean(0)).sum()


def z_scored(values):
    return (values - values.mean(0, dtype=float)) / values.std(0, dtype=float)


def test_trust_is_that_of_the_definitions(data, rng, tmp_path):
    model = SparseBottleneckRegressor(hidden_layers=(8, 4), epochs=(1, 1, 1, 1), n_genes=5)
    model.set_params(standardize=False, random_state=0)
    folds = cross_validate(model, data, 7, {"n_components": [3, 2]}, verbose=False)
    judged = rng.normal(3, [1, 2], size=(120, 2))
    fit = Record("fit", data.name, data.sha256, [{}], values={"latent": judged})
    how = {"seeds": (1, 2), "preselect": 12, "results": tmp_path / "trust.pickle"}
    record = map_trust(model, data, fit, folds, **how)
    X = z_scored(data.X[:, preselect_genes(data, 12)]).astype(np.float32)
    Y = z_scored(data.Y).astype(np.float32)
    others = [clone(model).set_params(random_state=seed).fit(X, Y).transform(X) for seed in (1, 2)]
    placed, agreement = zip(*(aligned(other, judged) for other in others), strict=True)
    true, truth_agreement = aligned(data.truth["latent"], judged)
    squares = np.square(np.array(placed) - judged).sum(2).mean(0)
    errors = np.full(120, np.nan)
    for fold, predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        train, test = fold
        Y_test = (data.Y[test] - data.Y[train].mean(0)) / data.Y[train].std(0)
        errors[test] = np.square(predicted - Y_test).mean(1)
    for name, expected in {
        "latents": placed,
        "agreement": agreement,
        "spread": np.sqrt(squares / np.square(judged - judged.mean(0)).sum(1).mean()),
        "true_latent": true,
        "truth_agreement": truth_agreement,
        "errors": errors,
    }.items():
        close(record.values[name], expected, atol=1e-3, err_msg=name)
    fit.values["latent"] = judged + 1
    with pytest.raises(ValueError, match="differs in judged"):
        map_trust(model, data, fit, folds, **how)


def test_maps_are_of_z_scored_tables(data):
    """Maps keep the neighbours; shares of variance are eigenvalues of correlations."""
    record = tsne_maps(data, preselect=30)
    genes = preselect_genes(data, 30)
    for name, matrix in (("transcriptome", data.X[:, genes]), ("outputs", data.Y)):
        eigenvalues = np.linalg.eigvalsh(np.corrcoef(matrix.T.astype(float)))[::-1]
        within = np.cumsum(eigenvalues) / len(eigenvalues) <= 0.8
        assert record.values[f"n_{name}"] == within.sum() + 1
        places = record.values[name]
        kept = trustworthiness(z_scored(matrix), places, n_neighbors=5)
        assert kept > trustworthiness(z_scored(matrix), places[::-1], n_neighbors=5) + 0.15
        assert places.dtype == np.float32
    assert record.labels.equals(data.labels[["family", "type"]])
    assert record.settings["preselect"]["n_genes"] == 30
