"""Likelihoods, bounds and effects on genes, against independent formulas."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy import stats

from sbnn.mechanism_shift import graph, network

COUNTS = np.array([[1.0, 0, 4], [2, 0, 1], [5, 0, 2], [3, 0, 9], [0, 0, 6]])
CELLS = torch.from_numpy(COUNTS).float()
TOTALS = COUNTS.sum(axis=1, keepdims=True)
CODES = torch.tensor([0, 1, 1, 0, 1])
PRIOR_MEANS = torch.tensor([[0.5], [-1.0]])
DIRECT = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]])
LOADINGS = torch.tensor([[0.8, -0.3, 0.1]])
LOG_INVERSE = torch.tensor([1.0, 0.0, 2.0])  # of the dispersion of each gene
ENCODER_SD = 1.2


def decode(latents, direct=0.0):
    return torch.log_softmax(latents @ LOADINGS + direct, dim=-1)


def encode(cells):
    log_variance = torch.full((len(cells), 1), 2 * np.log(ENCODER_SD))
    return cells[:, :1] / 10, log_variance


@pytest.fixture
def decoder():
    """A network with one latent, which the encoder takes from the first gene."""
    return SimpleNamespace(eval=Mock(), encode=encode, decode=decode, dispersion=LOG_INVERSE)


GRID, STEP = np.linspace(-9, 9, 2001, retstep=True)
LATENTS = GRID[:, None]  # the same for all cells


@pytest.fixture
def log_joint():
    """Log density of each latent of the grid and the counts of each cell."""
    latents = torch.from_numpy(LATENTS)[..., None].float()
    fractions = decode(latents, DIRECT[CODES]).exp().numpy()
    inverse = np.exp(LOG_INVERSE.numpy())
    success = inverse / (inverse + TOTALS * fractions)
    likelihoods = stats.nbinom.logpmf(COUNTS, inverse, success).sum(axis=-1)
    return likelihoods + stats.norm.logpdf(LATENTS, PRIOR_MEANS[CODES, 0])


def test_elbo_is_that_of_numerical_integration(decoder, log_joint):
    log_posterior = stats.norm.logpdf(LATENTS, COUNTS[:, 0] / 10, ENCODER_SD)
    integrand = np.exp(log_posterior) * (log_joint - log_posterior)
    bounds = network.elbo_of_cells(decoder, CELLS, CODES, PRIOR_MEANS, DIRECT, n_samples=4000)
    assert_allclose(bounds, integrand.sum(axis=0) * STEP, atol=0.05)


def test_iwelbo_approaches_the_likelihood(decoder, log_joint):
    likelihoods = np.exp(log_joint).sum(axis=0) * STEP
    bounds = network.iwelbo_of_cells(decoder, CELLS, CODES, PRIOR_MEANS, DIRECT, n_samples=20_000)
    assert_allclose(bounds, np.log(likelihoods), atol=0.02)


@pytest.fixture
def expected_counts():
    fractions = decode(CELLS[:, :1] / 10).exp().numpy()
    return fractions * TOTALS


@pytest.fixture
def ratios_and_errors(decoder, monkeypatch):
    monkeypatch.setattr(graph, "CELLS_IN_CACHE", 2)
    return graph.log_ratios(decoder, CELLS, CODES, n_classes=2)


def test_log_ratios_compare_sums_with_decoded_counts(ratios_and_errors, expected_counts):
    ratios, _ = ratios_and_errors
    observed = COUNTS[CODES == 1].sum(axis=0)
    expected = expected_counts[CODES == 1].sum(axis=0)
    assert_allclose(ratios[1], np.log((observed + 0.5) / (expected + 0.5)), rtol=1e-5)


def test_errors_of_log_ratios_know_the_dispersion(ratios_and_errors, expected_counts):
    _, errors = ratios_and_errors
    observed = COUNTS[CODES == 1].sum(axis=0)
    expected = expected_counts[CODES == 1].sum(axis=0)
    unexplained = ((COUNTS - expected_counts) ** 2).sum(axis=0)
    dispersion = unexplained / expected_counts.sum(axis=0)
    assert dispersion.min() < 1 < dispersion.max(), "at least that of Poisson counts"
    variances = np.maximum(dispersion, 1) / (np.minimum(observed, expected) + 0.5)
    assert_allclose(errors[1], np.sqrt(variances), rtol=1e-5)


@pytest.fixture
def log_fractions():
    """Of four cells and three genes, with gradients."""
    logits = torch.arange(12.0).reshape(4, 3)
    return torch.log_softmax(logits, dim=-1).requires_grad_()


@pytest.fixture
def likelihoods(log_fractions):
    """Likelihood of four cells, its gradients by fractions and dispersions, and two estimates."""
    dispersion = LOG_INVERSE.clone().requires_grad_()
    exact = network.log_likelihood(CELLS[:4], log_fractions, dispersion).mean()
    values = [exact]
    for subset in (slice(0, 4, 2), slice(1, 4, 2)):
        estimate = network.estimate_likelihood(CELLS[:4], log_fractions, dispersion, subset=subset)
        values.append(estimate)
    rows = []
    for value in values:
        gradients = torch.autograd.grad(value, [log_fractions, dispersion])
        rows.append([value.detach(), *gradients])
    return rows


@pytest.mark.parametrize("part", [0, 1, 2], ids=["value", "by fractions", "by dispersion"])
def test_estimated_likelihoods_are_right_on_average(likelihoods, part):
    exact, first, second = (row[part] for row in likelihoods)
    torch.testing.assert_close((first + second) / 2, exact)


def test_gradients_of_fractions_are_exact(likelihoods):
    _, first, second = likelihoods
    assert torch.equal(first[1], second[1])


def test_posterior_mean_is_that_of_the_prior(monkeypatch):
    """Without a round of estimation, all scales are equally probable."""
    monkeypatch.setattr(graph, "PRIOR_UPDATES", 0)
    estimate = 0.7
    error = 0.3
    mean = graph.shrink_effects(np.array([[estimate]]), np.array([[error]]))
    effects, step = np.linspace(-8, 8, 200_001, retstep=True)
    densities = [stats.norm(0, scale).pdf(effects) for scale in graph.EFFECT_SCALES[1:]]
    prior = np.sum(densities, axis=0) * step
    posterior = stats.norm(effects, error).pdf(estimate) * prior
    without_effect = stats.norm(0, error).pdf(estimate)
    expected = posterior @ effects / (posterior.sum() + without_effect)
    assert mean.item() == approx(expected, rel=1e-3)


def test_each_perturbation_has_its_own_prior():
    estimates = np.array([[0.05, 0.1, 0.6], [2.0, -1.8, 0.6]])
    means = graph.shrink_effects(estimates, np.full((2, 3), 0.2))
    assert means[0, 2] < means[1, 2] < 0.6


def test_some_genes_are_assumed_without_an_effect():
    [mean] = graph.shrink_effects(np.array([[3.0]]), np.array([[1.0]]))
    assert mean < 1.5


@pytest.fixture
def gene_effects(fitted):
    return fitted.gene_effects_.set_index(["perturbation", "gene"])


def test_gene_effects_are_of_all_pairs(gene_effects, screen):
    assert len(gene_effects) == 40 * 60
    assert screen.control not in gene_effects.index


def test_effect_on_one_gene_is_direct(gene_effects):
    largest = gene_effects["direct"].abs().idxmax()
    assert largest == ("perturbation_03", 6)
    effect = gene_effects.loc[largest]
    assert effect["edge"]
    assert effect["direct"] < -0.5


@pytest.fixture(params=[(2, np.log(3 * 40 / 42)), (0.1, 0)], ids=["as in training", "opposite"])
def effects_of_a_gene(request, rng):
    """Effects where gene 3 has three times as many counts in training cells of perturbation 1.

    The other parameters are the factor in validation cells, and the expected effect.
    """
    validation_factor, expected = request.param
    counts = torch.from_numpy(rng.poisson(20, (300, 40))).float()
    counts[100:200:2, 3] *= 3
    counts[101:200:2, 3] *= validation_factor
    codes = torch.arange(3).repeat_interleave(100)
    flat = network.ShiftNetwork(40, 1, 3, prior="vae", hidden=4)
    flat.logits.requires_grad_(False).weight.zero_()
    flat.logits.bias.zero_()
    train = np.arange(0, 300, 2)
    effects, edges = graph.effects_on_genes(
        flat, counts, codes=codes, train=train, validation=train + 1
    )
    return effects, edges, expected


def test_effects_count_if_validation_cells_become_likelier(effects_of_a_gene):
    effects, edges, expected = effects_of_a_gene
    assert effects.any() == (expected > 0)
    assert edges[1, 3] == (expected > 0)
    assert effects[1, 3] == approx(expected, abs=0.1)


def test_other_genes_have_hardly_an_edge(effects_of_a_gene):
    _, edges, _ = effects_of_a_gene
    assert edges.sum() <= 2
