"""Losses and the penalty against independent formulas, and fits to simulated counts."""

import numpy as np
import pytest
import torch
from pytest import approx
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error
from torch.testing import assert_close

from sbnn import SparseBottleneckRegressor
from sbnn.determinism import reproducible
from sbnn.models.bottleneck.losses import CrossEntropy, Poisson, SquaredError
from sbnn.models.bottleneck.protocols import paper
from sbnn.models.bottleneck.training import GroupLasso


@pytest.fixture
def output():
    return torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def counts():
    rates = torch.tensor([0.5, 2.0, 8.0, 20.0], dtype=torch.float64).expand(30, 4)
    return torch.poisson(rates, generator=torch.Generator().manual_seed(1))


def classes_of(counts):
    return counts[:, 1].clamp(max=3).long()


def assert_gradient_is_that_of_autograd(loss, output, target):
    variable = output.clone().requires_grad_()
    (loss.value(variable, target) / target.numel()).backward()
    assert_close(loss.gradient(output.clone(), target), variable.grad)


def test_squared_error(output, counts):
    loss = SquaredError()
    assert loss.value(output, counts) / 120 == approx(mean_squared_error(counts, output))
    assert_gradient_is_that_of_autograd(loss, output, counts)


def test_poisson_deviance(output, counts):
    loss = Poisson()
    expected = mean_poisson_deviance(counts.ravel(), output.exp().ravel())
    assert loss.value(output, counts) / 120 == approx(expected)
    assert_gradient_is_that_of_autograd(loss, output, counts)
    assert_close(loss.prediction(output), output.exp())


def test_cross_entropy(output, counts):
    loss = CrossEntropy()
    classes = classes_of(counts)
    expected = log_loss(classes, output.softmax(1), labels=range(4))
    assert loss.value(output, classes) / 30 == approx(expected)
    assert_gradient_is_that_of_autograd(loss, output, classes)
    assert np.isnan(loss.r2(1.0, classes, None))


def test_weights_of_cells_multiply_their_gradients(output, counts):
    weights = torch.arange(30.0)[:, None]
    plain = SquaredError().gradient(output.clone(), counts)
    weighted = SquaredError().gradient(output.clone(), counts, weights)
    assert_close(weighted, plain * weights)


def test_the_mean_is_taken_for_each_network(output, counts):
    outputs = torch.stack([output, 2 * output])
    together = SquaredError().gradient(outputs, counts.expand(2, 30, 4))
    assert_close(together[1], SquaredError().gradient(2 * output, counts))


@pytest.mark.parametrize("loss", [SquaredError(), Poisson()])
def test_training_starts_from_the_mean_to_which_r2_refers(loss, counts):
    target = counts
    if loss.standardised:
        target = counts - counts.mean(0)
    start = loss.start(target)
    value = loss.value(start.expand_as(target), target)
    assert loss.r2(float(value), target, start) == approx(0)
    assert loss.r2(float(value) / 4, target, start) == approx(0.75)
    for step in (-0.01, 0.01):
        assert loss.value((start + step).expand_as(target), target) > value


def test_constant_outputs_have_no_r2():
    assert np.isnan(SquaredError().r2(1.0, torch.zeros(5, 4), torch.zeros(4)))


def test_an_output_without_counts_starts_from_a_low_rate():
    start = Poisson().start(torch.tensor([[0.0, 1.0], [0.0, 3.0]]))
    assert_close(start, torch.tensor([0.5, 2.0]).log())


def test_counts_are_clustered_by_standardised_roots(counts):
    scaled = Poisson().comparable(counts)
    assert_close(scaled.mean(0), torch.zeros(4, dtype=torch.float64))
    assert_close(scaled.std(0), torch.ones(4, dtype=torch.float64))
    correlations = np.corrcoef(scaled[:, 3], counts[:, 3].sqrt())
    assert correlations[0, 1] == approx(1)
    assert SquaredError().comparable(counts) is counts


def test_group_lasso():
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = 0.3 * weights.square().sum(1).sqrt().sum()
    value.backward()
    penalty = GroupLasso(0.3)
    gradient = torch.ones(5, 3)
    penalty.add_gradient(weights.detach(), gradient)
    assert penalty.value(weights.detach()) == approx(value.item())
    assert_close(gradient, 1 + weights.grad)
    penalty.add_gradient(torch.zeros(5, 3), gradient)
    assert_close(gradient, 1 + weights.grad)  # a gene without weights stays so


def simulated_counts(n=400):
    """Genes (n, 20) and counts (n, 4) with rates that two genes determine."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 20))
    slopes = 0.8 * rng.normal(size=(2, 4))
    rates = np.exp(x[:, :2] @ slopes) * [0.5, 2, 8, 0.2]
    y = rng.poisson(rates)
    return torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)


def deviance(counts, rates):
    return mean_poisson_deviance(counts.ravel(), rates.clamp(min=1e-3).ravel())


@pytest.mark.parametrize("pretraining", [True, False])
def test_a_fit_to_counts_beats_least_squares_and_the_mean(pretraining):
    x, y = simulated_counts()
    train, test = slice(0, 300), slice(300, None)
    model = SparseBottleneckRegressor(n_genes=4, pretraining=pretraining, hidden_layers=(32, 16))
    model.set_params(epochs=(10, 10, 20, 40), learning_rate=2e-3)
    mean, sd = y[train].mean(0), y[train].std(0)
    predicted = {}
    for loss in (Poisson(), SquaredError()):
        target = (y - mean) / sd if loss.standardised else y
        generator = torch.Generator().manual_seed(0)
        with reproducible():
            random = np.random.RandomState(0)
            trained = paper.train(model, x[train], target[train], random, generator, loss=loss)
        with torch.no_grad():
            output = loss.prediction(trained.network(x[test][:, trained.support]))
        predicted[type(loss)] = output * sd + mean if loss.standardised else output
    by_poisson = deviance(y[test], predicted[Poisson])
    assert by_poisson < 0.7 * deviance(y[test], predicted[SquaredError])
    assert by_poisson < 0.3 * deviance(y[test], mean.expand_as(y[test]))
    assert trained.network.flat.isfinite().all()


def test_the_estimator_predicts_rates_of_counts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 10))
    rates = np.exp(0.8 * X[:, :1] * [1, -1, 0.5] + 0.5 * X[:, 1:2])
    counts = rng.poisson(rates)
    settings = {"epochs": (2, 20, 20, 40), "hidden_layers": (16, 8), "learning_rate": 1e-2}
    model = SparseBottleneckRegressor(n_genes=4, loss="poisson", random_state=0, **settings)
    predicted = model.fit(X[:200], counts[:200]).predict(X[200:])
    assert predicted.min() > 0
    new = counts[200:].ravel()
    mean = np.broadcast_to(counts[:200].mean(axis=0), (100, 3)).ravel()
    assert mean_poisson_deviance(new, predicted.ravel()) < 0.7 * mean_poisson_deviance(new, mean)
    with pytest.raises(ValueError, match="y: expected counts"):
        model.fit(X, counts - 1.0)
