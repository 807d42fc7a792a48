"""The Gaussian process against scikit-learn's, and its derivatives against finite differences."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from sbnn.models.bottleneck.protocols.gaussian_process import RelevanceProcess, most_relevant
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.bottleneck.training import Run

SETTINGS = DistilledSettings()


def process_of(n=40, p=5, dtype=torch.float64):
    """Outputs depend on the first two genes."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(n, p, generator=generator, dtype=dtype)
    first, second = X[:, 0], X[:, 1]
    Y = torch.stack([torch.sin(2 * first), second + 0.5 * first], dim=1)
    Y += 0.1 * torch.randn(n, 2, generator=generator, dtype=dtype)
    return RelevanceProcess(X, Y, SETTINGS)


def test_likelihood_and_prediction_are_those_of_scikit_learn():
    process = process_of()
    a, b, noise = process.theta[-3:].exp().tolist()
    assert (a, b, noise) == pytest.approx(SETTINGS.process_start)
    scales = process.theta[:-3].exp().numpy()
    assert_allclose(scales, 5**-0.5)
    radial = ConstantKernel(a, "fixed") * RBF(1.0, "fixed")
    linear = ConstantKernel(b, "fixed") * DotProduct(0.0, "fixed")
    white = WhiteKernel(noise + SETTINGS.process_noise_floor, "fixed")
    peer = GaussianProcessRegressor(radial + linear + white, alpha=0, optimizer=None)
    peer.fit(process.X.numpy() * scales, process.Y.numpy())
    constant = process.Y.numel() / 2 * np.log(2 * np.pi)
    assert -process.gradient()[0] - constant == pytest.approx(peer.log_marginal_likelihood_value_)
    new = torch.randn(7, 5, dtype=torch.float64)
    assert_allclose(process.predict(new), peer.predict(new.numpy() * scales), atol=1e-6)


def test_gradient_equals_finite_differences():
    process = process_of()
    gradient = process.gradient()[1]
    for i, slope in enumerate(gradient.tolist()):
        process.theta[i] += 1e-5
        above, _ = process.gradient()
        process.theta[i] -= 2e-5
        below, _ = process.gradient()
        process.theta[i] += 1e-5
        assert slope == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-5)


def test_fitting_raises_the_likelihood():
    process = process_of()
    before, _ = process.gradient()
    after, _ = process.fit(20).gradient()
    assert after < before


@pytest.mark.parametrize(("n_cells", "step"), [(300, 1), (20, 2)])
def test_relevance_is_the_mean_squared_gradient_of_the_posterior_mean(n_cells, step):
    process = process_of().fit(n_steps=5)
    X = process.X
    expected = []
    for shift in 1e-5 * torch.eye(5, dtype=torch.float64):
        slopes = (process.predict(X + shift) - process.predict(X - shift)) / 2e-5
        expected.append(slopes[::step].square().sum(1).mean())
    assert_allclose(process.relevance(n_cells), expected, rtol=1e-6)


def test_the_process_of_some_genes_is_that_of_all_with_the_others_switched_off():
    process = process_of().fit(n_steps=5)
    some = process.keep(torch.tensor([0, 1, 3]))
    process.theta[[2, 4]] = -30.0
    assert_allclose(some.predict(some.X), process.predict(process.X))


def test_the_genes_that_matter_are_left(monkeypatch):
    steps = []
    fit = RelevanceProcess.fit

    def watched(process, n_steps):
        steps.append((process.X.shape[1], n_steps))
        return fit(process, n_steps)

    monkeypatch.setattr(RelevanceProcess, "fit", watched)
    process = process_of(n=150, p=40, dtype=torch.float32)
    assert most_relevant(process, 2, Run(SETTINGS)).tolist() == [0, 1]
    # seven in ten are left each time
    assert steps == [(40, 12), (28, 4), (19, 4), (13, 4), (9, 4), (6, 4), (4, 4)]
    assert most_relevant(process, 40, Run(SETTINGS)).tolist() == list(range(40))
