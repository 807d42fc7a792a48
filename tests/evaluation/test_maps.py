"""How far a map can be trusted: held-out errors, alignment of other maps, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from material.estimators import network
from material.records import made_up
from numpy.testing import assert_allclose as close
from scipy import stats
from sklearn.base import clone
from sklearn.manifold import trustworthiness

from sbnn import StackedRegressor, cross_validate
from sbnn.evaluation.maps import map_trust, tsne_maps

MODEL = network(standardize=False, random_state=0)
SEEDS = (1, 2)


def align(other, latent):
    """Affine alignment with `latent` by least squares, and its R2."""
    sides = np.column_stack([other, np.ones(len(other))]).astype(float)
    coefficients, *_ = np.linalg.lstsq(sides, latent, rcond=None)
    aligned = sides @ coefficients
    residuals = np.var(aligned - latent, axis=0)
    return aligned, 1 - residuals.sum() / latent.var(axis=0).sum()


@pytest.fixture(scope="module")
def folds(data):
    return cross_validate(MODEL, data, 7, {"n_components": [3, 2]}, verbose=False)


@pytest.fixture(scope="module")
def latent():
    """A map of 120 cells that has nothing to do with the data."""
    return np.random.default_rng(0).normal(3, [1, 2], size=(120, 2))


@pytest.fixture(scope="module")
def fit(data, latent):
    return made_up({"latent": latent} | data.names, dataset=data.name, sha256=data.sha256)


@pytest.fixture(scope="module")
def trust(data, fit, folds):
    return map_trust(MODEL, data, fit, folds, SEEDS)


@pytest.fixture(scope="module")
def by_hand(z_scores, latent):
    """Aligned maps of other seeds, (seeds, n, 2), and their R2."""
    X, Y = z_scores
    maps = []
    agreement = []
    for seed in SEEDS:
        model = clone(MODEL).set_params(random_state=seed).fit(X, Y)
        aligned, r2 = align(model.transform(X), latent)
        maps.append(aligned)
        agreement.append(r2)
    return np.array(maps), agreement


def test_maps_of_other_seeds_are_aligned(trust, by_hand):
    maps, agreement = by_hand
    close(trust.latents, maps, atol=1e-3)
    close(trust.agreement, agreement, atol=1e-3)


def test_spread_is_relative_to_the_map_size(trust, by_hand, latent):
    maps, _ = by_hand
    distances = np.linalg.norm(maps - latent, axis=2)
    size = np.sqrt(latent.var(0).sum())
    spread = np.sqrt(np.square(distances).mean(0)) / size
    close(trust.spread, spread, atol=1e-3)


def test_the_simulated_truth_is_aligned(trust, data, latent):
    aligned, r2 = align(data.truth["latent"], latent)
    close(trust.true_latent, aligned, atol=1e-3)
    close(trust.truth_agreement, r2, atol=1e-3)


def test_errors_are_of_scaled_held_out_outputs(trust, data, folds):
    errors = np.full(120, np.nan)
    for (train, test), predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        Y_test = (data.Y[test] - data.Y[train].mean(0)) / data.Y[train].std(0)
        errors[test] = np.square(predicted - Y_test).mean(1)
    close(trust.errors, errors, atol=1e-3)


def test_errors_are_means_over_repeated_tests(trust, data, fit, folds):
    twice = replace(
        folds,
        folds=[*folds.folds, *folds.folds],
        values=folds.values
        | {
            "test_predictions": [
                [*predictions, *(0 * predicted for predicted in predictions)]
                for predictions in folds.test_predictions
            ]
        },
    )
    of_means = np.full(120, np.nan)
    for train, test in folds.folds:
        Y_test = (data.Y[test] - data.Y[train].mean(0)) / data.Y[train].std(0)
        of_means[test] = np.square(Y_test).mean(1)
    errors = map_trust(MODEL, data, fit, twice, seeds=[1]).errors
    close(errors, (trust.errors + of_means) / 2, atol=1e-3)


def test_a_stacked_model_is_refused_as_its_map_is_that_of_the_network(data, fit, folds):
    with pytest.raises(TypeError, match="expected a network, got StackedRegressor"):
        map_trust(StackedRegressor(), data, fit, folds)


@pytest.fixture(scope="module")
def maps(data):
    return tsne_maps(data)


def test_components_explain_the_variance_of_genes(maps, data):
    """Fractions of variance are eigenvalues of correlations."""
    correlations = np.corrcoef(data.X.T.astype(float))
    eigenvalues = np.linalg.eigvalsh(correlations)[::-1]
    explained = np.cumsum(eigenvalues) / len(eigenvalues)
    assert maps.n_transcriptome == (explained <= 0.8).sum() + 1


def test_a_map_is_of_all_outputs(maps, data):
    assert maps.n_outputs == data.Y.shape[1]


@pytest.mark.parametrize(("name", "array"), [("transcriptome", "X"), ("outputs", "Y")])
def test_maps_keep_the_neighbours(maps, data, name, array):
    places = maps.values[name]
    scaled = stats.zscore(getattr(data, array))
    of_other_cells = trustworthiness(scaled, places[::-1])
    assert trustworthiness(scaled, places) > of_other_cells + 0.15
