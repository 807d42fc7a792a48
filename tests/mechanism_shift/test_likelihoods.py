"""Likelihoods, bounds and sums over cells, against independent formulas."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
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
    cells = DECODER, CELLS, CODES, CENTRES, DIRECT
    lower = network.elbo_of_cells(*cells, 4000)
    tight = network.iwelbo_of_cells(*cells, 20_000)
    z, step = np.linspace(-9, 9, 2001, retstep=True)
    inverse = np.exp(LOG_INVERSE.numpy())
    for cell, code in enumerate(CODES):
        shares = DECODER.decode(torch.from_numpy(z).float()[:, None], DIRECT[code]).exp()
        success = inverse / (inverse + COUNTS[cell].sum() * shares.numpy())
        fit = stats.nbinom.logpmf(COUNTS[cell], inverse, success).sum(axis=1)
        joint = fit + stats.norm(CENTRES[code].item(), 1).logpdf(z)
        posterior = stats.norm(COUNTS[cell, 0] / 10, 1.2).logpdf(z)
        expected = np.exp(posterior) @ (joint - posterior) * step
        assert lower[cell].item() == pytest.approx(expected, abs=0.05)
        likelihood = np.exp(joint).sum() * step
        assert tight[cell].item() == pytest.approx(np.log(likelihood), abs=0.02)


def test_layers_are_those_of_the_training():
    made = network.ShiftNetwork(3, 2, 4, hidden=5, published=True)
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(layer) for layer in made.encoder] == [*block, nn.Dropout] * 2
    assert [type(layer) for layer in made.decoder] == block * 2
    assert made.encoder[3].p == 0.1 and not made.dispersion.any()
    for n_genes, near in ((500, 80), (501, 64)):
        ours = network.ShiftNetwork(n_genes, 2, 4, hidden=80)
        layers = *ours.encoder, *ours.decoder
        assert [layer.out_features for layer in layers[::2]] == [near, 80, 80, near]
        assert (ours.dispersion == 3).all()


def test_log_ratios_compare_sums_of_counts_with_those_decoded_from_the_latents(monkeypatch):
    monkeypatch.setattr(direct, "FEW", 2)
    ratios, errors = direct.log_ratios(DECODER, CELLS, CODES, 2)
    predicted = torch.log_softmax(CELLS[:, :1] / 10 @ LOADINGS, -1).exp().numpy()
    predicted = predicted * COUNTS.sum(axis=1, keepdims=True)
    observed, expected = COUNTS[CODES == 1].sum(axis=0), predicted[CODES == 1].sum(axis=0)
    np.testing.assert_allclose(ratios[1], np.log((observed + 0.5) / (expected + 0.5)), rtol=1e-5)
    dispersion = ((COUNTS - predicted) ** 2).sum(axis=0) / predicted.sum(axis=0)
    assert dispersion.min() < 1 < dispersion.max(), "at least that of Poisson counts"
    variances = np.maximum(dispersion, 1) / (np.minimum(observed, expected) + 0.5)
    np.testing.assert_allclose(errors[1], np.sqrt(variances), rtol=1e-5)


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
