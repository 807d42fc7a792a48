"""Likelihoods, priors and training of models of screens, against what can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from short_recipes import SHORT_PUBLISHED, TINY

from sbnn.mechanism_shift import PUBLISHED, Recipe, SparseShiftVAE
from sbnn.mechanism_shift import training as training_module
from sbnn.mechanism_shift.network import MaskedMeans, Prior, ShiftNetwork
from sbnn.mechanism_shift.training import Training, split


def test_changed_latents_decode_to_the_same_counts_and_take_their_uncertainty_along():
    torch.manual_seed(0)
    network = ShiftNetwork(12, 4, Recipe(hidden=16))
    matrix = torch.randn(4, 4)
    origin = torch.randn(4)
    counts = torch.rand(30, 12)
    before, _ = network.encode(counts)
    variance = network.log_variance.bias.exp().detach()
    decoded = network.decode(before)
    network.change_latents(matrix, origin)
    after, log_variance = network.encode(counts)
    torch.testing.assert_close(after, (before - origin) @ matrix, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network.decode(after), decoded, rtol=1e-3, atol=1e-4)
    expected = (variance @ matrix**2).log().clamp(-10, 4)
    torch.testing.assert_close(log_variance, expected.expand(30, 4))


def test_the_penalties_are_the_published_ones():
    prior = MaskedMeans(2, 3, 10.0, summed=True)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([[5.0, 0.0, -2.0], [1.0, 3.0, -1.0]]))
    p = prior.logits.sigmoid().detach().numpy()
    assert prior.penalty().item() == pytest.approx(-stats.beta.logpdf(p, 1, 10).sum(), rel=1e-5)
    lasso = MaskedMeans(2, 3, 100.0, summed=False)
    assert lasso.penalty().item() == pytest.approx(100 / (1 + np.exp(-5)), rel=1e-5)


def test_a_mask_is_drawn_hard_with_a_soft_gradient():
    prior = MaskedMeans(1, 2, 1.0, summed=True)
    codes = torch.zeros(20000, dtype=torch.long)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([[1.0, -1.0]]))
        prior.table.fill_(2.0)
    drawn = prior(codes, torch.Generator().manual_seed(0))
    assert set(drawn.detach().unique().round().tolist()) == {0.0, 2.0}
    assert drawn.mean(0)[0].item() / 2 == pytest.approx(0.731, abs=0.02)
    drawn.sum().backward()
    assert (prior.logits.grad > 0).all()
    assert prior.means().tolist() == [[2.0, 0.0]]


def small_training(screen, prior, recipe):
    counts = screen.counts[:200].astype(np.float32)
    codes = np.unique(screen.perturbation[:200], return_inverse=True)[1]
    training = Training(counts, codes, prior, recipe, 0)
    training.train = np.arange(150)
    training.validation = np.arange(150, 200)
    training.n_batches = max(150 // recipe.batch_size, 1)
    return training


def test_the_penalty_is_spread_over_the_cells_and_warms_up_where_the_loss_is_a_sum(
    screen, monkeypatch
):
    training = small_training(screen, Prior(41, 2, trained=True), TINY)

    def loss(weight):
        training.generator.manual_seed(0)
        return training.loss(np.arange(40), weight).item()

    whole = loss(1.0)
    quarter = loss(0.25)
    monkeypatch.setattr(training.prior, "penalty", lambda: torch.tensor(3e4))
    assert loss(1.0) - whole == pytest.approx(3e4, rel=1e-3), "of a mean: sVAE"
    assert loss(0.25) - quarter == pytest.approx(3e4, rel=1e-3)
    training.prior.summed = True
    assert loss(1.0) - whole == pytest.approx(3e4 / 150, rel=1e-3)
    assert loss(0.25) - quarter == pytest.approx(0.25 * 3e4 / 150, rel=1e-3)


def test_latents_are_drawn_with_the_variance_of_the_encoder(screen, monkeypatch):
    training = small_training(screen, Prior(41, 2, trained=True), TINY)
    drawn = []

    def encode(counts):
        return torch.ones(len(counts), 2), torch.full((1, 2), np.log(9.0))

    def decode(latents, decode=training.network.decode):
        drawn.append(latents)
        return decode(latents)

    monkeypatch.setattr(training.network, "encode_inputs", encode)
    monkeypatch.setattr(training.network, "decode", decode)
    training.loss(np.arange(150))
    assert drawn[0].mean().item() == pytest.approx(1, abs=0.5)
    assert drawn[0].std().item() == pytest.approx(3, rel=0.15)


def test_the_loss_of_svae_plus_is_the_sum_over_the_training_cells(screen, monkeypatch):
    gradients = []
    decays = []

    def step(optimizer, *_):
        decays.append([decay for *_, decay in optimizer.groups])

    monkeypatch.setattr(training_module.Adam, "step", step)
    for summed in (True, False):
        prior = MaskedMeans(41, 2, 1.0, summed)
        training = small_training(screen, prior, replace(TINY, batch_size=200))
        training.run(1)
        gradients.append(training.network.logits.bias.grad)
    torch.testing.assert_close(gradients[0], 150 * gradients[1], rtol=1e-3, atol=1e-2)
    assert decays == [[36, 0], [36 / 150, 0]], "weights have a normal prior, masks have none"


def test_steps_are_those_of_adam_with_one_cycle_of_the_learning_rate(screen):
    training = small_training(screen, Prior(41, 2), TINY)
    rates, momenta = training._one_cycle(50)
    found, expected = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    optimizer = training_module.Adam([([found], 0.1), ([], 0.0)], 1e-6)
    usual = torch.optim.Adam([expected], TINY.learning_rate, eps=1e-6, weight_decay=0.1, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR
    schedule = cycle(usual, TINY.learning_rate, total_steps=50, pct_start=0.2)
    for i, (rate, momentum) in enumerate(zip(rates, momenta, strict=True)):
        gradient = torch.randn(2, 3)
        found.grad = gradient.clone()
        expected.grad = gradient
        optimizer.step(rate, momentum)
        usual.step()
        if i < 49:
            schedule.step()
    torch.testing.assert_close(found, expected)


def test_shifts_in_doubt_stay_free_until_the_last_unmixing(screen, monkeypatch):
    masks = []
    probabilities = []
    unmix = training_module.unmix
    run = Training.run

    def unmixed(*arguments, **options):
        found = unmix(*arguments, **options)
        random = np.random.default_rng(len(masks))
        found.probabilities[:] = random.random(found.probabilities.shape)
        probabilities.append(found.probabilities)
        return found

    def seen(self, *arguments, **options):
        masks.append(self.prior.mask.numpy())
        return run(self, *arguments, **options)

    monkeypatch.setattr(training_module, "unmix", unmixed)
    monkeypatch.setattr(Training, "run", seen)
    model = SparseShiftVAE(3, recipe=replace(TINY, epochs=4, unmixings=2), random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    others = model.perturbations_ != screen.control
    free, in_doubt, *last = masks
    assert free.all()
    assert not in_doubt[~others].any()
    np.testing.assert_array_equal(in_doubt[others], probabilities[0] > 0.05)
    assert len(last) == 2, "with strong and with weak shrinkage"
    for mask in last:
        np.testing.assert_array_equal(mask[others], probabilities[1] > 0.5)


@pytest.mark.parametrize(
    ("given", "factor"), [((1.0, 2.0), 0.5), ((2.0, 1.0), 2.0), ((np.nan, np.nan), 2.0)]
)
def test_the_last_stage_keeps_the_shrinkage_that_validation_cells_prefer(
    screen, monkeypatch, given, factor
):
    training = small_training(screen, Prior(41, 2), TINY)
    bias = training.network.logits.bias
    states = []

    def run(*_, **__):
        states.append(torch.cat([training.generator.get_state(), bias]))
        torch.rand(1, generator=training.generator)
        bias.data.fill_(training.weight_precision)
        training.history.append(training.weight_precision)

    def held_out(bound, n_samples):
        assert bound is training_module.iwelbo_of_cells and n_samples == 50
        return next(scores)

    scores = iter(given)
    monkeypatch.setattr(training, "held_out", held_out)
    monkeypatch.setattr(training, "run", run)
    training._run_best(1, follow=True)
    expected = factor * TINY.weight_precision
    assert training.history == [expected]
    assert training.weight_precision == expected
    assert (bias == expected).all()
    assert torch.equal(*states), "the same start for both"


def test_the_best_weights_are_kept_where_training_waits(screen):
    recipe = replace(
        SHORT_PUBLISHED, epochs=30, warm_up=1, patience=2, learning_rate=0.05, hidden=8
    )
    model = SparseShiftVAE(3, "ivae", recipe=recipe, random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    history = model.history_["validation_elbo"]
    assert len(history) < 30
    assert history.idxmax() == len(history) - 3
    held_out = model.validation_
    bound = model.elbo(screen.counts[held_out], screen.perturbation[held_out], 1)
    assert bound == pytest.approx(history.max(), rel=1e-5)


CHANGES = {
    "hidden": 12,
    "gene_units": 12,
    "batch_norm": True,
    "dropout": 0.5,
    "standardize": False,
    "epochs": 6,
    "least_updates": 150,
    "updates_per_pair": 60,
    "learning_rate": 1e-2,
    "weight_decay": 0.1,
    "weight_precision": 500.0,
    "epsilon": 0.1,
    "one_cycle": False,
    "batch_size": 64,
    "warm_up": 0,
    "validation_share": 0.3,
    "dispersion": 0.0,
    "dispersion_every": 4,
    "first_share": 0.25,
    "unmixings": 1,
}


@pytest.mark.filterwarnings("ignore:.* of the shifts may or may not be edges")
def test_every_setting_of_the_recipe_counts(few):
    assert {*CHANGES, "patience"} == set(Recipe.__dataclass_fields__)
    base = replace(TINY, epochs=8, warm_up=2, learning_rate=2e-2, unmixings=0)

    def fitted(**changes):
        model = SparseShiftVAE(3, recipe=replace(base, **changes), random_state=0)
        return model.fit(*few).transform(few[0][:50])

    expected = fitted()
    assert np.array_equal(fitted(), expected)
    for name, value in CHANGES.items():
        assert not np.array_equal(fitted(**{name: value}), expected), name


def test_scores_are_compared_from_the_end_of_the_warm_up_on(screen, monkeypatch):
    scores = iter([5.0, 4.0, 1.0, 2.0, 0.5])
    monkeypatch.setattr(training_module, "elbo_of_cells", lambda *_: torch.tensor([next(scores)]))
    training = small_training(screen, Prior(41, 2), replace(TINY, patience=2, batch_size=64))
    weights = []

    def loss(batch, weight, loss=training.loss):
        assert training.network.training, "with dropout, also after validation"
        weights.append(weight)
        return loss(batch, weight)

    monkeypatch.setattr(training, "loss", loss)
    training.network.eval()
    training.run(5, warm_up=3)
    assert len(training.history) == 5
    np.testing.assert_allclose(weights, np.minimum(1, np.linspace(0, 5, len(weights) + 1)[1:] / 3))
    assert len(weights) > 5


def test_epochs_are_raised_to_the_least_number_of_updates():
    recipe = Recipe(least_updates=50, updates_per_pair=32, epochs=2)
    assert recipe.epochs_for(24, 2) == 3, "50 updates"
    assert recipe.epochs_for(24, 3) == 4, "three pairs: 96 updates"
    assert recipe.epochs_for(96, 3) == 2
    assert PUBLISHED.epochs_for(1, 15) == 300


def test_a_share_of_the_cells_of_every_perturbation_is_held_out():
    codes = np.array([0, 1, 0, 1, 1, 0, 0, 2, 1])
    train, held_out = split(codes, 0.5, np.random.RandomState(0))
    assert sorted([*train, *held_out]) == list(range(9))
    assert (np.diff(train) > 0).all() and (np.diff(held_out) > 0).all()
    assert np.bincount(codes[held_out], minlength=3).tolist() == [2, 2, 0]
