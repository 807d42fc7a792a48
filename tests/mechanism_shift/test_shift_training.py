"""Training of models of screens: priors, best weights, where it ends, and validation cells."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from material.estimators import seeded
from pytest import approx
from torch.optim.optimizer import register_optimizer_step_post_hook

from sbnn.mechanism_shift import SparseShiftVAE, simulate_perturbations
from sbnn.mechanism_shift.network import sample_gates
from sbnn.mechanism_shift.training import (
    OneCycleTraining,
    PublishedTraining,
    ShiftTraining,
    split_cells,
)

#: Method, training and epochs; epochs taken, precision of the prior on weights, mean loss,
#: bound of the cells, and SDs of latents and of effects.
ENDS = [
    ("svae+", "one-cycle", 8, "8 18 -113170.50 -358.103 0.15316 0.15466"),
    ("svae", "published", 30, "30 0 -113116.22 -423.188 0.17318 1.15945"),
    ("svae+", "retrained", 5, "10 0 -113229.14 -426.818 0.20984 1.23658"),
]


@pytest.mark.usefixtures("recorded_draws")
@pytest.mark.parametrize(("method", "training", "epochs", "end"), ENDS)
def test_training_ends_where_it_always_did(few, method, training, epochs, end):
    model = SparseShiftVAE(3, method, training, hidden=8, epochs=epochs, random_state=0).fit(*few)
    n_epochs, precision, loss, bound, *sds = (float(number) for number in end.split())
    assert len(model.history_) == n_epochs
    assert model.weight_precision_ == precision
    assert model.history_["loss"].mean() == approx(loss, abs=0.3)
    assert model.elbo(*few[:2], n_samples=2) == approx(bound, abs=0.03)
    found = [model.transform(few[0]).std(), model.shift_graph_["effect"].std()]
    assert found == approx(sds, rel=0.03)  # gates are drawn: rounding may change one


@pytest.fixture
def fit_scored(few, monkeypatch):
    """A function that fits a model of which validation cells give these scores, one by one.

    It returns the model, and the weights that each score was given to.
    """
    monkeypatch.setattr(PublishedTraining, "patience", 2)

    def fit(scores, **parameters):
        weights = []

        def validation_bound(training, *_):
            weights.append(deepcopy(training.network.state_dict()))
            return scores[len(weights) - 1]

        monkeypatch.setattr(ShiftTraining, "validation_bound", validation_bound)
        model = SparseShiftVAE(3, hidden=8, random_state=0, **parameters).fit(*few)
        assert len(weights) == len(scores)
        return model, weights

    return fit


def assert_same_weights(found, expected):
    for name, values in expected.items():
        assert torch.equal(found[name], values), name


def test_training_ends_without_a_better_score(fit_scored):
    """The first three epochs are before the warm-up, and the fourth is the best."""
    scores = [5.0, 4.0, 1.0, 2.0, 0.5, 0.4]
    model, weights = fit_scored(scores, training="published", epochs=15)
    assert model.history_["validation_elbo"].tolist() == scores
    assert_same_weights(model.network_.state_dict(), weights[3])


def test_gates_are_rounded_once_between_two_trainings(fit_scored):
    """Those of the third epoch, the best; of the later ones, the eighth is the best."""
    scores = [9.0, 1.0, 2.0, 1.5, 0.0, 0.5, 0.1, 0.9, 0.0, 0.2]
    model, weights = fit_scored(scores, training="retrained", epochs=10)
    rounded = torch.where(weights[2]["gates"] > 0, torch.inf, -torch.inf)
    for of_epoch in weights[5:]:
        assert torch.equal(of_epoch["gates"], rounded)
    assert_same_weights(model.network_.state_dict(), weights[7])


@pytest.mark.parametrize(("best", "precision"), [(0, 72), (1, 18)])
def test_validation_cells_choose_between_the_last_cycles(fit_scored, best, precision):
    scores = [-2.0, -2.0]
    scores[best] = -1.0
    model, weights = fit_scored(scores, epochs=8)
    assert model.weight_precision_ == precision
    assert len(model.history_) == 8
    assert_same_weights(model.network_.state_dict(), weights[best])


def test_the_last_cycles_differ_in_the_prior_alone(fit_scored, monkeypatch):
    """With the same prior, they are the same."""
    monkeypatch.setattr(OneCycleTraining, "precision_factors", (1.0, 1.0))
    _, weights = fit_scored([0.0, 1.0], epochs=8)
    assert_same_weights(*weights)


@pytest.fixture
def groups_of_steps():
    """Groups of parameters at each step of any optimiser, as they come."""
    steps = []
    hook = register_optimizer_step_post_hook(
        lambda optimizer, *_: steps.append(deepcopy(optimizer.param_groups))
    )
    yield steps
    hook.remove()


@pytest.mark.parametrize("method", ["svae+", "svae", "ivae", "vae"])
def test_each_cycle_has_its_prior_and_rates(few, groups_of_steps, method):
    """The last ones have twice and half the usual prior; gates have none."""
    model = SparseShiftVAE(3, method, hidden=8, epochs=24, random_state=0).fit(*few)
    n_cells = few[0].shape[0] - len(model.validation_)
    n_batches = n_cells // 128
    priors = np.array([36.0] * 20 + [72.0] * 4 + [18.0] * 4)  # of epochs: 12, three times 4, and 4
    if method != "svae+":
        priors /= n_cells  # beside a loss that is a mean over the cells
    decays, rates = [
        np.array([[group[name] for group in step] for step in groups_of_steps])
        for name in ("weight_decay", "lr")
    ]
    assert decays[:, 0] == approx(np.repeat(priors, n_batches))
    assert not decays[:, 1].any()
    assert (rates[:, 0] == rates[:, 1]).all()
    for cycle in np.split(rates[:, 0], n_batches * np.array([12, 16, 20, 24])):
        assert cycle.max() == approx(2.5e-3, rel=0.02)
        assert cycle.argmax() / len(cycle) == approx(0.2, abs=0.07)
        assert cycle[0] < 0.2e-3 and cycle[-1] < 1e-3


def test_scales_of_genes_are_those_of_the_training_cells(few):
    model = SparseShiftVAE(3, hidden=8, epochs=1, random_state=0).fit(*few)
    logs = np.log1p(np.delete(few[0].toarray(), model.validation_, axis=0))
    assert model.network_.input_mean.numpy() == approx(logs.mean(axis=0), rel=1e-5)
    assert model.network_.input_sd.numpy() == approx(logs.std(axis=0), rel=1e-5)


def test_without_validation_cells_shrinkage_is_strong():
    few_cells = simulate_perturbations(9, 4, 2, 40, random_state=0)
    model = SparseShiftVAE(2, hidden=4, epochs=4, random_state=0).fit(few_cells)
    assert model.weight_precision_ == 72


def test_sampled_gates_are_hard_with_soft_gradients():
    logits = torch.tensor([1.0, -1.0]).repeat(1000, 1).requires_grad_()
    samples = sample_gates(logits, seeded())
    samples.sum().backward()
    assert set(samples.detach().unique().round(decimals=5).tolist()) == {0.0, 1.0}
    assert (logits.grad > 0).all()


CODES = np.array([0, 1, 0, 1, 1, 0, 0, 2, 1])


def test_every_cell_is_for_training_or_validation():
    train, validation = split_cells(CODES, 0.5, np.random.RandomState(0))
    assert sorted([*train, *validation]) == list(range(9))


def test_a_fraction_of_each_perturbation_is_for_validation():
    _, validation = split_cells(CODES, 0.5, np.random.RandomState(0))
    assert sorted(CODES[validation]) == [0, 0, 1, 1]


@pytest.mark.parametrize(("epochs", "expected"), [(None, (300, 50)), (50, (50, 10))])
def test_published_epochs_and_warm_up(few, monkeypatch, epochs, expected):
    """Those of the simulated and of the real screens of the article."""
    calls = []
    monkeypatch.setattr(PublishedTraining, "train_until_best", lambda _, *n: calls.append(n))
    SparseShiftVAE(3, training="published", hidden=8, epochs=epochs).fit(*few)
    assert calls == [expected]
