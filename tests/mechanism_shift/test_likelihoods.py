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


def test_densities_of_normal_distributions():
    values, mean, log_variance = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    expected = stats.norm(mean, (0.5 * log_variance).exp()).logpdf(values).sum(axis=1)
    np.testing.assert_allclose(network.log_normal(values, mean, log_variance), expected, rtol=1e-5)


def test_encoded_latents_have_the_mean_and_the_variance_of_the_encoder(decoder):
    counts = torch.from_numpy(COUNTS)
    mean, variance = network.encoded(decoder, counts[[1, 3]])
    assert mean.flatten().tolist() == pytest.approx([0.2, 0.3])
    assert variance.flatten().tolist() == pytest.approx([1.44, 1.44])


def test_layers_are_those_of_the_training():
    made = network.ShiftNetwork(3, 2, 4, "svae+", None, 4, 5, published=True)
    encoder = [type(layer).__name__ for layer in made.encoder]
    assert encoder == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2
    assert {layer.p for layer in made.encoder if isinstance(layer, torch.nn.Dropout)} == {0.1}
    decoder = [type(layer).__name__ for layer in made.decoder]
    assert decoder == ["Linear", "BatchNorm1d", "ReLU"] * 2
    assert made.dispersion.tolist() == [0] * 3
    ours = network.ShiftNetwork(3, 2, 4, "svae+", None, 4, 5)
    assert [type(layer).__name__ for layer in ours.encoder] == ["Linear", "ReLU"] * 2
    assert [ours.encoder[0].out_features, ours.decoder[2].out_features] == [5, 5]
    assert ours.dispersion.tolist() == [3] * 3


def test_sums_over_classes_are_those_of_a_loop(decoder):
    train = np.arange(4)
    sums = direct.class_sums(decoder, CELLS[:4], CODES[:4])
    mean, _ = decoder.encode(CELLS)
    predicted = decoder.decode(mean).exp().double().numpy() * COUNTS.sum(axis=1, keepdims=True)
    for code in (0, 1):
        own = train[CODES[:4] == code]
        unexplained = ((COUNTS[own] - predicted[own]) ** 2).sum(axis=0)
        np.testing.assert_allclose(sums.observed[code], COUNTS[own].sum(axis=0))
        np.testing.assert_allclose(sums.expected[code], predicted[own].sum(axis=0), rtol=1e-5)
        np.testing.assert_allclose(sums.unexplained[code], unexplained, rtol=1e-4)


def test_a_sampled_likelihood_has_the_gradients_of_the_likelihood_on_average():
    counts = torch.from_numpy(COUNTS[:4]).double()

    def value_and_gradients(likelihood, *options):
        log_shares = torch.log_softmax(torch.outer(torch.arange(4.0), LOADINGS[0]).double(), -1)
        parameters = log_shares.requires_grad_(), LOG_INVERSE.double().requires_grad_()
        value = likelihood(*parameters, *options).mean()
        return value.detach(), *torch.autograd.grad(value, parameters)

    def exact(log_shares, dispersion):
        return network.log_likelihood(counts, log_shares, dispersion)

    expected = value_and_gradients(exact)
    sampled = network.SampledLikelihood.apply
    drawn = [value_and_gradients(sampled, counts, first, 2) for first in (0, 1)]
    for found, *values in zip(expected, *drawn, strict=True):
        torch.testing.assert_close(sum(values) / 2, found)
    assert not torch.equal(drawn[0][2], drawn[1][2])
