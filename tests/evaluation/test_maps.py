"""How far a map can be trusted: held-out errors, alignment of other maps, and what is refused."""

import numpy as np
import pytest
from made_up import change_data
from numpy.testing import assert_allclose as close
from scipy import stats
from sklearn.base import clone
from sklearn.manifold import trustworthiness

from sbnn import SparseBottleneckRegressor, cross_validate
from sbnn.evaluation.maps import map_trust, tsne_maps
from sbnn.results import Record


def aligned(other, latent):
    """Affine alignment with `latent` by least squares, and its R2."""
    sides = np.column_stack([other, np.ones(len(other))]).astype(float)
    placed = sides @ np.linalg.lstsq(sides, latent, rcond=None)[0]
    return placed, 1 - np.var(placed - latent, 0).sum() / latent.var(0).sum()


def test_trust_is_that_of_the_definitions(data, rng):
    model = SparseBottleneckRegressor(hidden_layers=(8, 4), epochs=(1, 1, 1, 1), n_genes=5)
    model.set_params(standardize=False, random_state=0)
    folds = cross_validate(model, data, 7, {"n_components": [3, 2]}, verbose=False)
    judged = rng.normal(3, [1, 2], size=(120, 2))
    fit = Record("fit", data.name, data.sha256, [{}], values={"latent": judged} | data.names)
    with pytest.raises(ValueError, match="data: expected genes and cells of the fit"):
        map_trust(model, change_data(data, gene_names=data.gene_names[::-1]), fit, folds)
    with pytest.raises(ValueError, match="data: expected genes and cells of the fit"):
        map_trust(model, change_data(data, cell_names=data.cell_names[::-1]), fit, folds)
    record = map_trust(model, data, fit, folds, (1, 2))
    X = stats.zscore(data.X.astype(float))
    Y = stats.zscore(data.Y.astype(float))
    others = [clone(model).set_params(random_state=seed).fit(X, Y).transform(X) for seed in (1, 2)]
    placed, agreement = zip(*(aligned(other, judged) for other in others), strict=True)
    true, truth_agreement = aligned(data.truth["latent"], judged)
    distances = np.linalg.norm(np.array(placed) - judged, axis=2)
    errors = np.full(120, np.nan)
    for (train, test), predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        Y_test = (data.Y[test] - data.Y[train].mean(0)) / data.Y[train].std(0)
        errors[test] = np.square(predicted - Y_test).mean(1)
    for name, expected in {
        "latents": placed,
        "agreement": agreement,
        "spread": np.sqrt(np.square(distances).mean(0) / judged.var(0).sum()),
        "true_latent": true,
        "truth_agreement": truth_agreement,
        "errors": errors,
    }.items():
        close(record.values[name], expected, atol=1e-3, err_msg=name)


def test_maps_are_of_components_of_the_genes_and_of_all_outputs(data):
    """Maps keep the neighbours; shares of variance are eigenvalues of correlations."""
    record = tsne_maps(data)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(data.X.T.astype(float)))[::-1]
    within = np.cumsum(eigenvalues) / len(eigenvalues) <= 0.8
    assert record.n_transcriptome == within.sum() + 1
    assert record.n_outputs == data.Y.shape[1]
    for name, matrix in (("transcriptome", data.X), ("outputs", data.Y)):
        places = record.values[name]
        scaled = stats.zscore(matrix)
        assert trustworthiness(scaled, places) > trustworthiness(scaled, places[::-1]) + 0.15
