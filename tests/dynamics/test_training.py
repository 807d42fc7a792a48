"""What training and pruning of PHOENIX promise under extreme schedules, and where training ends."""

import numpy as np
import pytest
from pytest import approx
from torch.optim.optimizer import register_optimizer_step_post_hook

from sbnn.dynamics import PUBLISHED_OPTIONS, PhoenixRegressor, training, trajectories
from sbnn.dynamics.data import as_trajectories
from sbnn.dynamics.phoenix import LAYERS
from sbnn.dynamics.pruning import INFLUENCE
from sbnn.dynamics.training import PENALTY_WEIGHTS, Intervals

pytestmark = pytest.mark.filterwarnings("ignore:the one-step error")

PATIENCE = 5
#: Epochs after the last pruning, and the ways in which training is as published.
SCHEDULES = {"pruned in the last epoch": (1, ()), "trained to the end": (40, PUBLISHED_OPTIONS)}


@pytest.fixture(scope="module")
def noise():
    """Samples of noise: the loss of those that are held out rises, and rises by pruning."""
    values = np.random.default_rng(0).random((8, 4, 10))
    prior = np.random.default_rng(1).choice([-1, 0, 1], size=(10, 10))
    return trajectories(values, range(4)), prior


def prune_late(pruning, n_epochs_after, as_published=()):
    """A model, and the fractions of the weights that it is to keep from an epoch on.

    The rate of learning has fallen by then, and training without pruning would have ended.
    """
    kept = {}
    if pruning in INFLUENCE:
        kept = {2: 0.7, 14: 0.3}
        if as_published:  # at the start of the epoch
            kept = {1: 0.7, 13: 0.3}
    if pruning == "post_hoc":
        kept = {7: 0.3}
    model = PhoenixRegressor(
        4,
        pruning,
        sparsity=0.7,
        epochs=7 if pruning == "post_hoc" else max(kept, default=0) + n_epochs_after,
        fine_tuning=n_epochs_after,
        schedule=(2, 0.3, 14, 0.6),
        learning_rate=0.05,
        data_weight=0.9,
        n_prior_points=20,
        penalty=1.0,  # of the epochs with the least loss and the least penalty, another is best
        as_published=as_published,
        random_state=0,
    )
    return model, kept


def monitored_losses(model):
    """Validation loss of each epoch, with the penalty if there is one."""
    losses = model.history_.reindex(columns=["validation_loss", "penalty"])
    return losses.sum(axis=1).to_numpy()


def expected_rates(losses, prunings, as_published):
    """Rates of the weights in each epoch, relative to the first one.

    They fall by a tenth after more than three epochs without a lower loss; prunings end that.
    """
    rates = []
    for epoch, loss in enumerate(losses):
        if epoch == 0 or epoch in prunings:
            rate, best, n_waited = 1.0, np.inf, 0
        rates.append(rate)
        if loss < (best - 1e-6 if as_published else best * (1 - 1e-4)):
            best, n_waited = loss, 0
        else:
            n_waited += 1
        if n_waited > 3:
            rate, n_waited = 0.9 * rate, 0
    return np.array(rates)


@pytest.fixture
def rates(monkeypatch):
    """Learning rates of the groups of parameters at each step of any optimiser, as they come."""
    monkeypatch.setattr(training, "PHOENIX_PATIENCE", PATIENCE)
    steps = []

    def note(optimizer, *_):
        steps.append([group["lr"] for group in optimizer.param_groups])

    hook = register_optimizer_step_post_hook(note)
    yield steps
    hook.remove()


@pytest.mark.parametrize(("n_epochs_after", "as_published"), SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("pruning", [*INFLUENCE, "post_hoc", *PENALTY_WEIGHTS, "none"])
def test_training_keeps_what_it_promises(noise, pruning, n_epochs_after, as_published, rates):
    model, kept = prune_late(pruning, n_epochs_after, as_published)
    model.fit(*noise)
    losses = monitored_losses(model)
    last = max(kept, default=0)

    # the first rate again after each pruning, and five times as much for the multipliers
    of_epochs = np.reshape(rates, (len(losses), -1, 2))[:, 0]  # in an epoch, it stays
    assert of_epochs[:, 0] == approx(0.05 * expected_rates(losses, kept, as_published))
    assert of_epochs[:, 1] == approx(5 * of_epochs[:, 0])
    if kept:
        assert of_epochs[last - 1, 0] < 0.05 and losses[:last].min() < losses[last]

    # the best epoch after the last pruning, and no more than the patience beyond
    best = last + losses[last:].argmin()
    assert len(losses) == min(last + n_epochs_after, best + PATIENCE + 1)
    held_out = as_trajectories(noise[0]).select(model.validation_)
    loss = Intervals(held_out, model.time_scale_).loss(model.network_).item()
    assert loss == approx(model.history_["validation_loss"][best])

    # pruned weights stay pruned, in each epoch and layer, until the sparsity that was asked for
    for epoch, fraction in kept.items():
        assert (model.history_["sparsity"][epoch:] > 1 - fraction - 0.02).all()
    assert model.sparsity_ == approx(model.history_["sparsity"][best])
    for layer in LAYERS if kept else ():
        weights = getattr(model.network_, layer)
        assert (weights != 0).sum() == round(0.3 * weights.numel())


@pytest.mark.parametrize(("pruning", "influence"), [("imp", (0, 0)), ("biological", (1, 1))])
def test_other_prunings_are_those_of_dash_without_prior_or_size(noise, pruning, influence):
    edges = prune_late(pruning, 1)[0].fit(*noise).edge_scores_
    dash, _ = prune_late("dash", 1)
    assert dash.set_params(influence=influence).fit(*noise).edge_scores_.equals(edges)


#: Validation samples end this training.
LONG = {"epochs": 150, "learning_rate": 0.02, "batch_size": 8, "data_weight": 1.0}
PUBLISHED = {"as_published": PUBLISHED_OPTIONS}

#: Pruning and other parameters; number of epochs, loss, validation loss and penalty at the end (all
#: times 1000), sparsity, and sum of the sizes of edges.
ENDS = [
    ("imp", LONG, "74 3.9556 4.3248 0 0.6062 38.7415"),
    ("dash", PUBLISHED | {"data_weight": 0.8}, "12 7.8979 8.9321 0 0.6458 16.7063"),
    ("path_reg", PUBLISHED | {"penalty": 0.01}, "12 13.7332 17.9808 43.0438 0.35 0.0254"),
]


@pytest.mark.parametrize(("pruning", "options", "end"), ENDS)
def test_training_ends_where_it_always_did(samples, prior, pruning, options, end):
    model = PhoenixRegressor(8, pruning, 0.6, epochs=12, learning_rate=1e-2, random_state=0)
    model.set_params(schedule=(2, 0.5, 3, 0.2), fine_tuning=3, **options).fit(samples, prior)
    last = model.history_.reindex(columns=["epoch", "loss", "validation_loss", "penalty"]).iloc[-1]
    epoch, *losses = last.fillna(0)
    edges = np.abs(model.edge_scores_.to_numpy()).sum()
    found = [epoch, *np.multiply(losses, 1000), model.sparsity_, edges]
    assert found == approx([float(number) for number in end.split()], rel=1e-3, abs=1e-3)
