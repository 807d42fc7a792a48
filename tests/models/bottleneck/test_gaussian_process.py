import numpy as np
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from sbnn.models.bottleneck.protocols.gaussian_process import RelevanceProcess, most_relevant
from sbnn.models.bottleneck.settings import DistilledSettings

SETTINGS = DistilledSettings()


def make(n=40, p=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(n, p, generator=generator, dtype=dtype)
    Y = torch.stack([torch.sin(2 * X[:, 0]), X[:, 1] + 0.5 * X[:, 0]], dim=1)
    return X, Y + 0.1 * torch.randn(n, 2, generator=generator, dtype=dtype)


def test_likelihood_and_prediction_are_those_of_scikit_learn():
    X, Y = make()
    process = RelevanceProcess(X, Y, SETTINGS)
    a, b, noise = process.theta[-3:].exp().tolist()
    scales = process.theta[:-3].exp().numpy()
    kernel = (
        ConstantKernel(a, "fixed") * RBF(1.0, "fixed")
        + ConstantKernel(b, "fixed") * DotProduct(0.0, "fixed")
        + WhiteKernel(noise + SETTINGS.process_noise_floor, "fixed")
    )
    peer = GaussianProcessRegressor(kernel, alpha=0, optimizer=None).fit(
        X.numpy() * scales, Y.numpy()
    )
    constant = Y.numel() / 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(
        -process.gradient()[0] - constant, peer.log_marginal_likelihood_value_
    )
    new = torch.randn(7, 5, dtype=torch.float64)
    np.testing.assert_allclose(process.predict(new), peer.predict(new.numpy() * scales), atol=1e-6)


def test_gradient_equals_finite_differences():
    process = RelevanceProcess(*make(), SETTINGS)
    gradient = process.gradient()[1]
    for i in range(len(process.theta)):
        values = []
        for step in (1e-5, -1e-5):
            process.theta[i] += step
            values.append(process.gradient()[0])
            process.theta[i] -= step
        # The floor of the noise is a constant beside the noise itself.
        assert abs(gradient[i] - (values[0] - values[1]) / 2e-5) < 1e-5 * max(1, abs(gradient[i]))


def test_relevance_is_the_mean_squared_gradient_of_the_posterior_mean():
    X, Y = make()
    process = RelevanceProcess(X, Y, SETTINGS).fit(n_steps=5)
    expected = torch.zeros(40, 5, dtype=torch.float64)
    for gene in range(5):
        step = 1e-5 * torch.eye(5, dtype=torch.float64)[gene]
        slopes = (process.predict(X + step) - process.predict(X - step)) / 2e-5
        expected[:, gene] = slopes.square().sum(1)
    np.testing.assert_allclose(process.relevance(), expected.mean(0), rtol=1e-6)
    np.testing.assert_allclose(process.relevance(n_cells=20), expected[::2].mean(0), rtol=1e-6)


def test_the_process_of_some_genes_is_that_of_all_with_the_others_switched_off():
    process = RelevanceProcess(*make(), SETTINGS).fit(n_steps=5)
    some = process.keep(torch.tensor([0, 1, 3]))
    process.theta[[2, 4]] = -30.0
    np.testing.assert_allclose(some.predict(some.X), process.predict(process.X))


def test_the_genes_that_matter_are_left(monkeypatch):
    X, Y = make(n=150, p=40, dtype=torch.float32)
    left, keep = [], RelevanceProcess.keep
    monkeypatch.setattr(
        RelevanceProcess, "keep", lambda self, genes: left.append(len(genes)) or keep(self, genes)
    )
    assert most_relevant(RelevanceProcess(X, Y, SETTINGS), 2).tolist() == [0, 1]
    assert left == [28, 19, 13, 9, 6, 4], "seven in ten are left each time"
    for n_genes in (40, 50):
        assert most_relevant(RelevanceProcess(X, Y, SETTINGS), n_genes).tolist() == list(range(40))
