"""Likelihoods, bounds and effects on genes, against independent formulas."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy import stats
from torch import nn

from sbnn.mechanism_shift import direct, network

COUNTS = np.array([[1.0, 0, 4], [2, 0, 1], [5, 0, 2], [3, 0, 9], [0, 0, 6]])
CELLS = torch.from_numpy(COUNTS).float()
CODES = torch.tensor([0, 1, 1, 0, 1])
CENTRES = torch.tensor([[0.5], [-1.0]])
DIRECT = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]])
LOADINGS = torch.tensor([[0.8, -0.3, 0.1]])
LOG_INVERSE = torch.tensor([1.0, 0.0, 2.0])  # of the dispersion of each gene
#: One latent; the encoder takes it from the first gene, with an SD of 1.2.
DECODER = SimpleNamespace(
    eval=lambda: None,
    encode=lambda cells: (cells[:, :1] / 10, torch.full((len(cells), 1), 2 * np.log(1.2))),
    decode=lambda z, effects=0.0: torch.log_softmax(z @ LOADINGS + effects, dim=-1),
    dispersion=LOG_INVERSE,
)


def test_bounds_are_those_of_numerical_integration():
    decoder = SimpleNamespace(**vars(DECODER) | {"eval": Mock()})
    cells = decoder, CELLS, CODES, CENTRES, DIRECT
    z, step = np.linspace(-9, 9, 2001, retstep=True)
    z = z[:, None]  # the same for all cells
    shares = DECODER.decode(torch.from_numpy(z)[..., None].float(), DIRECT[CODES]).exp().numpy()
    inverse = np.exp(LOG_INVERSE.numpy())
    success = inverse / (inverse + COUNTS.sum(axis=1, keepdims=True) * shares)
    joint = stats.nbinom.logpmf(COUNTS, inverse, success).sum(axis=-1)
    joint += stats.norm.logpdf(z, CENTRES[CODES, 0])
    posterior = stats.norm.logpdf(z, COUNTS[:, 0] / 10, 1.2)
    expected = (np.exp(posterior) * (joint - posterior)).sum(axis=0) * step
    assert_allclose(network.elbo_of_cells(*cells, 4000), expected, atol=0.05)
    likelihood = np.exp(joint).sum(axis=0) * step
    tight = network.iwelbo_of_cells(*cells, 20_000)
    assert_allclose(tight, np.log(likelihood), atol=0.02)
    assert decoder.eval.call_count == 2, "without dropout"


def test_layers_are_the_published_ones():
    made = network.ShiftNetwork(3, 2, 4, hidden=5, published=True)
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(layer) for layer in made.encoder] == [*block, nn.Dropout] * 2
    assert [type(layer) for layer in made.decoder] == block * 2
    assert made.encoder[3].p == 0.1
    for start in (made.dispersion, made.shifts):
        assert len(start.unique()) == start.numel(), "at random"


def test_log_ratios_compare_sums_of_counts_with_those_decoded_from_the_latents(monkeypatch):
    monkeypatch.setattr(direct, "FEW", 2)
    ratios, errors = direct.log_ratios(DECODER, CELLS, CODES, 2)
    predicted = torch.log_softmax(CELLS[:, :1] / 10 @ LOADINGS, -1).exp().numpy()
    predicted = predicted * COUNTS.sum(axis=1, keepdims=True)
    observed, expected = COUNTS[CODES == 1].sum(axis=0), predicted[CODES == 1].sum(axis=0)
    assert_allclose(ratios[1], np.log((observed + 0.5) / (expected + 0.5)), rtol=1e-5)
    dispersion = ((COUNTS - predicted) ** 2).sum(axis=0) / predicted.sum(axis=0)
    assert dispersion.min() < 1 < dispersion.max(), "at least that of Poisson counts"
    variances = np.maximum(dispersion, 1) / (np.minimum(observed, expected) + 0.5)
    assert_allclose(errors[1], np.sqrt(variances), rtol=1e-5)


def test_a_sampled_likelihood_has_the_gradients_of_the_likelihood_on_average():
    found = []
    for some in (None, slice(0, 4, 2), slice(1, 4, 2)):
        shares = torch.log_softmax(torch.arange(12.0).reshape(4, 3), -1).requires_grad_()
        cells = CELLS[:4], shares, LOG_INVERSE.clone().requires_grad_()
        if some is None:
            value = network.log_likelihood(*cells).mean()
        else:
            value = network.sampled_likelihood(*cells, some)
        found.append([value.detach(), *torch.autograd.grad(value, cells[1:])])
    exact, *sampled = found
    for expected, *values in zip(exact, *sampled, strict=True):
        torch.testing.assert_close(sum(values) / 2, expected)
    assert torch.equal(sampled[0][1], sampled[1][1]), "exact for the shares"


def test_the_posterior_of_an_effect_is_that_of_its_prior(monkeypatch):
    """Without a round of estimation, all scales are equally probable."""
    monkeypatch.setattr(direct, "ROUNDS", 0)
    estimate, error = 0.7, 0.3
    mean = direct.shrunken(np.array([[estimate]]), np.array([[error]]))
    effects, step = np.linspace(-8, 8, 200_001, retstep=True)
    priors = np.mean([stats.norm(0, scale).pdf(effects) for scale in direct.SCALES[1:]], axis=0)
    weights = stats.norm(effects, error).pdf(estimate) * priors * 16 * step
    none = stats.norm(0, error).pdf(estimate)
    assert mean.item() == approx(weights @ effects / (weights.sum() + none), rel=1e-3)


def test_rows_have_priors_of_their_own_that_assume_some_genes_without_an_effect():
    estimates = np.array([[0.05, 0.1, 0.6], [2.0, -1.8, 0.6]])
    mean = direct.shrunken(estimates, np.full((2, 3), 0.2))
    assert mean[0, 2] < mean[1, 2] < 0.6
    assert direct.shrunken(np.array([[3.0]]), np.array([[1.0]]))[0] < 1.5


def test_an_effect_on_one_gene_is_direct(screen, fitted):
    table = fitted.gene_effects_.set_index(["perturbation", "gene"])
    assert screen.control not in table.index and len(table) == 40 * 60
    largest = table["direct"].abs().idxmax()
    assert largest == ("perturbation_03", 6)
    assert table.loc[largest, "edge"] and table.loc[largest, "direct"] < -0.5


@pytest.mark.parametrize(("held_out", "expected"), [(2, np.log(3 * 40 / 42)), (0.1, 0)])
def test_effects_on_genes_count_if_held_out_cells_become_likelier(rng, held_out, expected):
    """They are those of the training cells, with three times as many counts."""
    counts = torch.from_numpy(rng.poisson(20, (300, 40))).float()
    codes = torch.arange(3).repeat_interleave(100)
    train, validation = np.arange(0, 300, 2), np.arange(1, 300, 2)
    counts[100:200:2, 3] *= 3
    counts[101:200:2, 3] *= held_out
    flat = network.ShiftNetwork(40, 1, 3, "vae", hidden=4)
    flat.logits.requires_grad_(False).weight.zero_()
    flat.logits.bias.zero_()
    effects, edges = direct.effects_on_genes(flat, counts, codes, train, validation)
    assert effects.any() == edges[1, 3] == (expected > 0)
    assert edges.sum() <= 2
    assert effects[1, 3] == approx(expected, abs=0.1)
