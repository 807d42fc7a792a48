"""Likelihoods, bounds and sums over cells, against independent formulas."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import integrate, sparse, stats

from sbnn.mechanism_shift import Recipe, direct, network

COUNTS = np.array([[1.0, 0, 4], [2, 0, 1], [5, 0, 2], [3, 0, 9], [0, 0, 6]])
CODES = np.array([0, 1, 1, 0, 1])
EVERYONE = np.arange(5)
CENTRES = torch.tensor([[0.5], [-1.0]])
DIRECT = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]])
LOADINGS = torch.tensor([[0.8, -0.3, 0.1]])
LOG_INVERSE = torch.tensor([1.0, 0.0, 2.0])  # of the dispersion of each gene


@pytest.fixture
def cells():
    return network.Cells(sparse.csr_array(COUNTS))


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


def test_the_importance_weighted_bound_approaches_the_likelihood(cells, decoder):
    bound = network.iwelbo_of_cells(decoder, cells, EVERYONE, CODES, CENTRES, DIRECT, 20_000)
    for cell, code in enumerate(CODES):
        prior = stats.norm(CENTRES[code].item(), 1)

        def joint(z, cell=cell, prior=prior):
            return np.exp(log_likelihood_of_latent(cell, z)) * prior.pdf(z)

        likelihood, _ = integrate.quad(joint, -8, 8)
        assert bound[cell].item() == pytest.approx(np.log(likelihood), abs=0.02)


def test_the_lower_bound_is_the_expected_likelihood_minus_the_divergence(cells, decoder):
    bound = network.elbo_of_cells(decoder, cells, EVERYONE, CODES, CENTRES, DIRECT, 4000)
    for cell, code in enumerate(CODES):
        mean, sd = COUNTS[cell, 0] / 10, 1.2
        posterior = stats.norm(mean, sd)

        def weighted(z, cell=cell, posterior=posterior):
            return log_likelihood_of_latent(cell, z) * posterior.pdf(z)

        expected, _ = integrate.quad(weighted, -9, 9)
        shift = mean - CENTRES[code].item()
        divergence = (shift**2 + sd**2 - 1) / 2 - np.log(sd)
        assert bound[cell].item() == pytest.approx(expected - divergence, abs=0.05)


def test_bounds_of_the_same_cells_are_the_same_whatever_the_blocks(cells, decoder, monkeypatch):
    arguments = decoder, cells, EVERYONE, CODES, CENTRES, DIRECT
    assert torch.equal(network.elbo_of_cells(*arguments), network.elbo_of_cells(*arguments))
    assert [len(block) for block in network.blocks(np.arange(4100))] == [2048, 2048, 4]
    assert network.blocks([5, 6, 7], 2) == [[5, 6], [7]]
    monkeypatch.setattr(network, "DRAWS_AT_ONCE", 1)  # one cell at a time
    alone = network.iwelbo_of_cells(*arguments, 5000)
    monkeypatch.undo()
    together = network.iwelbo_of_cells(*arguments, 5000)
    torch.testing.assert_close(alone, together, atol=0.05, rtol=0)


@pytest.mark.parametrize("dense", [True, False])
def test_batches_and_moments_of_log_counts(dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(network, "DENSE_VALUES", 0)
    cells = network.Cells(sparse.csr_array(COUNTS))
    counts, totals = cells.batch(np.array([3, 0]))
    assert counts.tolist() == COUNTS[[3, 0]].tolist()
    assert totals.tolist() == [[12.0], [5.0]]
    mean, sd = cells.log_moments(np.array([0, 1, 3]))
    logs = np.log1p(COUNTS[[0, 1, 3]])
    np.testing.assert_allclose(mean, logs.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(sd, [logs[:, 0].std(), 1, logs[:, 2].std()], rtol=1e-5)


def test_densities_of_normal_distributions():
    values, mean, log_variance = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    expected = stats.norm(mean, (0.5 * log_variance).exp()).logpdf(values).sum(axis=1)
    np.testing.assert_allclose(network.log_normal(values, mean, log_variance), expected, rtol=1e-5)


def test_encoded_latents_have_the_mean_and_the_variance_of_the_encoder(decoder):
    decoder.encode_inputs = decoder.encode
    counts = torch.from_numpy(COUNTS)
    mean, variance = network.encoded(decoder, [counts[[1]], counts[[3]]])
    assert mean.flatten().tolist() == pytest.approx([0.2, 0.3])
    assert variance.flatten().tolist() == pytest.approx([1.44, 1.44])


def test_layers_follow_the_recipe():
    recipe = Recipe(hidden=4, batch_norm=True, dropout=0.2, dispersion=2.5)
    made = network.ShiftNetwork(3, 2, recipe)
    encoder = [type(layer).__name__ for layer in made.encoder]
    assert encoder == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2
    assert {layer.p for layer in made.encoder if isinstance(layer, torch.nn.Dropout)} == {0.2}
    decoder = [type(layer).__name__ for layer in made.decoder]
    assert decoder == ["Linear", "BatchNorm1d", "ReLU"] * 2
    assert made.dispersion.tolist() == [2.5] * 3
    assert made.encode(torch.ones(5, 3))[1].shape == (5, 2)
    assert made.decode(torch.ones(7, 5, 2)).shape == (7, 5, 3)


def test_sums_over_classes_are_those_of_a_loop(cells, decoder):
    train = np.arange(4)
    sums = direct.class_sums(decoder, cells, train, CODES, 2)
    mean, _ = decoder.encode(torch.from_numpy(COUNTS).float())
    totals = COUNTS.sum(axis=1, keepdims=True)
    predicted = decoder.decode(mean).exp().double().numpy() * totals
    for code in (0, 1):
        own = train[CODES[train] == code]
        share = COUNTS[own].sum(axis=0) / totals[own].sum()
        spread = ((COUNTS[own] - share * totals[own]) ** 2).sum(axis=0)
        unexplained = ((COUNTS[own] - predicted[own]) ** 2).sum(axis=0)
        np.testing.assert_allclose(sums.observed[code], COUNTS[own].sum(axis=0))
        np.testing.assert_allclose(sums.expected[code], predicted[own].sum(axis=0), rtol=1e-5)
        np.testing.assert_allclose(sums.unexplained[code], unexplained, rtol=1e-4)
        np.testing.assert_allclose(sums.squares[code], spread, atol=1e-9)
        assert sums.totals[code] == totals[own].sum()


def test_mean_shares_are_averaged_over_the_prior(decoder):
    shares = direct.mean_shares(decoder, CENTRES, DIRECT)
    for code in (0, 1):
        prior = stats.norm(CENTRES[code].item(), 1)

        def first_share(z, code=code):
            return decoder.decode(torch.tensor([[z]]).float(), DIRECT[code]).exp()[0, 0].item()

        expected, _ = integrate.quad(lambda z, p=prior, f=first_share: p.pdf(z) * f(z), -9, 9)
        assert shares[code, 0] == pytest.approx(expected, abs=0.01)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    both = torch.stack([torch.zeros_like(DIRECT), DIRECT], dim=1)
    found = direct.mean_shares(decoder, CENTRES, both)[:, 1]
    np.testing.assert_allclose(found, shares, rtol=1e-5)


def test_a_sampled_likelihood_has_the_gradients_of_the_likelihood_on_average():
    counts = torch.from_numpy(COUNTS[:4]).double()
    totals = counts.sum(1, keepdim=True)

    def value_and_gradients(likelihood, *options):
        log_shares = torch.log_softmax(torch.outer(torch.arange(4.0), LOADINGS[0]).double(), -1)
        parameters = log_shares.requires_grad_(), LOG_INVERSE.double().requires_grad_()
        value = likelihood(*parameters, *options).mean()
        return value.detach(), *torch.autograd.grad(value, parameters)

    def exact(log_shares, dispersion):
        return network.log_likelihood(counts, totals, log_shares, dispersion)

    expected = value_and_gradients(exact)
    sampled = network.SampledLikelihood.apply
    drawn = [value_and_gradients(sampled, counts, totals, first, 2) for first in (0, 1)]
    for found, *values in zip(expected, *drawn, strict=True):
        torch.testing.assert_close(sum(values) / 2, found)
    assert not torch.equal(drawn[0][2], drawn[1][2])
