"""Likelihoods, bounds and sums over cells, against independent formulas."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from sbnn.mechanism_shift import direct, network

COUNTS = np.array([[1.0, 0, 4], [2, 0, 1], [5, 0, 2], [3, 0, 9], [0, 0, 6]])
CELLS = torch.from_numpy(COUNTS).float()
CODES = torch.tensor([0, 1, 1, 0, 1])
CENTRES = torch.tensor([[0.5], [-1.0]])
DIRECT = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]])
LOADINGS = torch.tensor([[0.8, -0.3, 0.1]])
LOG_INVERSE = torch.tensor([1.0, 0.0, 2.0])  # of the dispersion of each gene


@pytest.fixture
def decoder():
    """One latent; the encoder takes it from the first gene, with an SD of 1.2."""

    def encode(counts):
        mean = counts[:, :1] / 10
        return mean, torch.full_like(mean, 2 * np.log(1.2))

    def decode(latents, effects=0.0):
        return torch.log_softmax(latents @ LOADINGS + effects, dim=-1)

    return SimpleNamespace(encode=encode, decode=decode, dispersion=LOG_INVERSE, eval=lambda: None)


def log_likelihood_of_latent(cell, z):
    """Log density of a cell's counts for one value of the latent, by scipy."""
    logits = z * LOADINGS.numpy()[0] + DIRECT.numpy()[CODES[cell]]
    mean = COUNTS[cell].sum() * np.exp(logits) / np.exp(logits).sum()
    inverse = np.exp(LOG_INVERSE.numpy())
    return stats.nbinom.logpmf(COUNTS[cell], inverse, inverse / (inverse + mean)).sum()


def test_the_importance_weighted_bound_approaches_the_likelihood(decoder):
    bound = network.iwelbo_of_cells(decoder, CELLS, CODES, CENTRES, DIRECT, 20_000)
    for cell, code in enumerate(CODES):
        prior = stats.norm(CENTRES[code].item(), 1)

        def joint(z, cell=cell, prior=prior):
            return np.exp(log_likelihood_of_latent(cell, z)) * prior.pdf(z)

        likelihood, _ = integrate.quad(joint, -8, 8)
        assert bound[cell].item() == pytest.approx(np.log(likelihood), abs=0.02)


def test_the_lower_bound_is_the_expected_likelihood_minus_the_divergence(decoder):
    bound = network.elbo_of_cells(decoder, CELLS, CODES, CENTRES, DIRECT, 4000)
    for cell, code in enumerate(CODES):
        mean, sd = COUNTS[cell, 0] / 10, 1.2
        posterior = stats.norm(mean, sd)

        def weighted(z, cell=cell, posterior=posterior):
            return log_likelihood_of_latent(cell, z) * posterior.pdf(z)

        expected, _ = integrate.quad(weighted, -9, 9)
        shift = mean - CENTRES[code].item()
        divergence = (shift**2 + sd**2 - 1) / 2 - np.log(sd)
        assert bound[cell].item() == pytest.approx(expected - divergence, abs=0.05)


def test_layers_are_those_of_the_training():
    made = network.ShiftNetwork(3, 2, 4, hidden=5, published=True)
    encoder = [type(layer).__name__ for layer in made.encoder]
    assert encoder == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2
    assert made.encoder[3].p == 0.1
    decoder = [type(layer).__name__ for layer in made.decoder]
    assert decoder == ["Linear", "BatchNorm1d", "ReLU"] * 2
    assert made.dispersion.tolist() == [0] * 3
    for n_genes, near in ((500, 80), (501, 64)):
        ours = network.ShiftNetwork(n_genes, 2, 4, hidden=80)
        assert [type(layer).__name__ for layer in ours.encoder] == ["Linear", "ReLU"] * 2
        assert [layer.out_features for layer in ours.encoder[::2]] == [near, 80]
        assert [layer.out_features for layer in ours.decoder[::2]] == [80, near]
        assert ours.dispersion[0] == 3


def test_log_ratios_compare_sums_of_counts_with_those_decoded_from_the_latents(
    decoder, monkeypatch
):
    monkeypatch.setattr(direct, "FEW", 2)
    ratios, errors = direct.log_ratios(decoder, CELLS, CODES, 2)
    predicted = decoder.decode(decoder.encode(CELLS)[0]).exp().double().numpy()
    predicted *= COUNTS.sum(axis=1, keepdims=True)
    own = CODES.numpy() == 1
    observed, expected = COUNTS[own].sum(axis=0), predicted[own].sum(axis=0)
    np.testing.assert_allclose(ratios[1], np.log((observed + 0.5) / (expected + 0.5)), rtol=1e-5)
    dispersion = ((COUNTS - predicted) ** 2).sum(axis=0) / predicted.sum(axis=0)
    assert dispersion.min() < 1 < dispersion.max(), "at least that of Poisson counts"
    variances = np.maximum(dispersion, 1) / (np.minimum(observed, expected) + 0.5)
    np.testing.assert_allclose(errors[1], np.sqrt(variances), rtol=1e-5)


def test_a_sampled_likelihood_has_the_gradients_of_the_likelihood_on_average():
    counts = torch.from_numpy(COUNTS[:4]).double()

    def value_and_gradients(likelihood, *options):
        log_shares = torch.log_softmax(torch.outer(torch.arange(4.0), LOADINGS[0]).double(), -1)
        parameters = log_shares.requires_grad_(), LOG_INVERSE.double().requires_grad_()
        value = likelihood(counts, *parameters, *options).mean()
        return value.detach(), *torch.autograd.grad(value, parameters)

    expected = value_and_gradients(network.log_likelihood)
    some = slice(0, None, 2), slice(1, None, 2)
    drawn = [value_and_gradients(network.sampled_likelihood, of_some) for of_some in some]
    for found, *values in zip(expected, *drawn, strict=True):
        torch.testing.assert_close(sum(values) / 2, found)
    assert torch.equal(drawn[0][1], drawn[1][1]), "exact for the shares"
    assert not torch.equal(drawn[0][2], drawn[1][2])
