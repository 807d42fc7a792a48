import pickle

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.metrics import f1_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import simulate_ephys_types
from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm, training
from sbnn.ephys_types.losses import balanced_weights, effective_number_weights, shift_prior
from sbnn.ephys_types.network import FamilyNetwork, Tokens
from sbnn.ephys_types.training import Plan, disturbed, train
from sbnn.ephys_types.validation import validation_part

QUICK = {"hidden": 8, "max_epochs": 3, "batch_size": 32, "random_state": 0}


@parametrize_with_checks([AttentionBiLSTMClassifier(hidden=8, random_state=0)])
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def cells():
    return simulate_ephys_types(160, random_state=0)


@pytest.fixture(scope="module")
def model(cells):
    return AttentionBiLSTMClassifier(**QUICK).fit(cells.X, cells.y, cells.families)


def fitted(cells, groups=None, **changes):
    return AttentionBiLSTMClassifier(**(QUICK | changes)).fit(cells.X, cells.y, cells.families, groups)


def weights_of(model):
    return torch.cat([value.flatten() for value in model.network_.state_dict().values()])


def test_it_learns(cells):
    model = AttentionBiLSTMClassifier(hidden=16, random_state=0).fit(cells.X[:120], cells.y[:120], cells.families)
    assert f1_score(cells.y[120:], model.predict(cells.X[120:]), average="macro") > 0.7
    assert model.history_.loss.iloc[-1] < 0.5 * model.history_.loss.iloc[0]


def test_shapes(model, cells):
    assert model.predict_proba(cells.X).shape == (160, 4)
    assert model.encode(cells.X).shape == (160, 16)
    np.testing.assert_array_equal(model.attention_, model.attention_weights(cells.X))
    present = cells.families.present(cells.X)
    assert not model.attention_[~present].any()
    np.testing.assert_allclose(model.attention_.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.6},
        {"loss": "focal"},
        {"loss": "arcface"},
        {"class_weight": None},
        {"smote": True},
        {"scaling": "standard"},
        {"hide": 0.0},
        {"noise": 0.0},
        {"learning_rate": 1e-2},
        {"schedule": "constant"},
        {"weight_decay": 1.0},
        {"batch_size": 16},
    ],
    ids=str,
)
def test_every_parameter_of_the_training_counts(cells, model, changes):
    other = fitted(cells, **changes).predict_proba(cells.X)
    assert np.abs(other - model.predict_proba(cells.X)).max() > 1e-4


def test_noise_falls_with_the_number_of_cells(cells, model):
    np.testing.assert_array_equal(fitted(cells, noise=0.5).predict_proba(cells.X), model.predict_proba(cells.X))
    many = AttentionBiLSTMClassifier()._plan(10_000)
    assert many.noise == pytest.approx(0.1)


def test_same_seed_same_bits(model, cells):
    """Whatever was drawn before, and however many threads there are; the caller's generator is left alone."""
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        again = fitted(cells)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(weights_of(again), weights_of(model))
    np.testing.assert_array_equal(again.predict_proba(cells.X), model.predict_proba(cells.X))
    assert not torch.equal(weights_of(fitted(cells, random_state=1)), weights_of(model))


def test_a_copy_from_a_pickle_predicts_the_same(model, cells):
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(cells.X), model.predict_proba(cells.X))


def test_blocks_do_not_change_what_cells_are_given(model, cells, monkeypatch):
    whole = model.predict_proba(cells.X)
    monkeypatch.setattr(attention_bilstm, "CELLS_AT_ONCE", 7)
    np.testing.assert_allclose(model.predict_proba(cells.X), whole, atol=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "arcface"])
def test_weights_are_those_of_training_cells_before_smote(cells, loss):
    model = fitted(cells, loss=loss, smote=True, validation_share=0.25, max_epochs=1)
    counts = np.unique(cells.y[~model.validation_], return_counts=True)[1]
    rule = balanced_weights if loss == "cross_entropy" else effective_number_weights
    np.testing.assert_allclose(model.class_weight_, rule(torch.from_numpy(counts)).numpy(), rtol=1e-6)
    np.testing.assert_allclose(model.training_prior_, counts / counts.sum())


def test_smote_makes_training_cells_only(cells, monkeypatch):
    given = {}

    def look(network, plan, tokens, labels, weights, validation, generator):
        given.update(tokens=tokens, labels=labels, validation=validation)
        network.eval()
        return [{"epoch": 1}]

    monkeypatch.setattr(attention_bilstm, "train", look)
    model = fitted(cells, smote=True, validation_share=0.25)
    aside = model.validation_
    counts = np.bincount(given["labels"])
    assert (counts == counts.max()).all() and len(given["labels"]) > (~aside).sum()
    # The validation part is real cells, as they are.
    codes = np.searchsorted(model.classes_, cells.y)
    np.testing.assert_array_equal(given["validation"][1], codes[aside])
    real = model.reader_.tokens(model.reader_.scaled(cells.X))
    assert torch.equal(given["validation"][0].values, real.values[torch.from_numpy(aside)])
    n_real = (~aside).sum()
    for part in ("values", "missing", "present"):
        made = getattr(given["tokens"], part)
        assert torch.equal(made[:n_real], getattr(real, part)[torch.from_numpy(~aside)])
    no_padding = torch.from_numpy(model.reader_.columns >= 0)
    assert given["tokens"].missing[n_real:][:, no_padding].any()  # what a parent misses is missing in the child


def test_validation_cells_are_not_learned_from(cells):
    """Neither by the network nor by the scaling: other values there change nothing, as long as no epoch is chosen."""
    settings = {"validation_share": 0.25, "max_epochs": 1}
    model = fitted(cells, **settings)
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = AttentionBiLSTMClassifier(**(QUICK | settings)).fit(changed, cells.y, cells.families)
    np.testing.assert_array_equal(other.validation_, model.validation_)
    assert torch.equal(weights_of(other), weights_of(model))


def test_donors_stay_together(cells):
    donors = cells.labels["donor"].to_numpy()
    model = fitted(cells, groups=donors, validation_share=0.25, max_epochs=1)
    assert not set(donors[model.validation_]) & set(donors[~model.validation_])
    assert 0.1 < model.validation_.mean() < 0.4


@pytest.mark.parametrize("stop_on", ["macro_f1", "accuracy", "loss"])
def test_best_epoch_is_restored_and_patience_ends_training(cells, stop_on):
    model = fitted(
        cells, validation_share=0.3, stop_on=stop_on, max_epochs=30, patience=2, learning_rate=0.02, schedule="constant"
    )
    history = model.history_
    sign = -1 if stop_on == "loss" else 1
    score = sign * history[f"validation_{stop_on}"]
    best = max(range(len(score)), key=lambda i: (score[i], -history.validation_loss[i]))
    assert len(history) == best + 1 + 2 < 30
    X, y = cells.X[model.validation_], cells.y[model.validation_]
    found = model.predict(X)
    assert np.mean(found == y) == pytest.approx(history.validation_accuracy[best])
    expected = f1_score(y, found, average="macro", labels=np.unique(y))
    assert expected == pytest.approx(history.validation_macro_f1[best])


def test_waiting_begins_anew_with_each_best_epoch(monkeypatch):
    scores = iter([0.5, 0.4, 0.6, 0.5, 0.6, 0.9])
    monkeypatch.setattr(training, "score", lambda *_: {"validation_macro_f1": next(scores), "validation_loss": 1.0})
    network = FamilyNetwork(torch.ones(1, 2, dtype=bool), 2, hidden=3)
    tokens = Tokens(torch.randn(6, 1, 2), torch.zeros(6, 1, 2, dtype=torch.bool), torch.ones(6, 1, dtype=bool))
    plan = Plan(max_epochs=9, patience=2)
    history = train(network, plan, tokens, torch.arange(6) % 2, None, (None, None), torch.Generator())
    assert [row["validation_macro_f1"] for row in history] == [0.5, 0.4, 0.6, 0.5, 0.6]  # an equal one is no better


def test_arcface_gives_the_scaled_cosines(cells):
    model = fitted(cells, loss="arcface")
    state = model.encode(cells.X)
    centres = model.network_.head.weight.detach().double().numpy()
    cosines = state @ centres.T / np.linalg.norm(state, axis=1)[:, None] / np.linalg.norm(centres, axis=1)
    np.testing.assert_allclose(model.predict_proba(cells.X), softmax(30 * cosines, axis=1), atol=1e-4)


def test_prior_of_the_predictions(cells):
    """Balanced training is moved towards frequent types; unweighted training away from them."""
    frequency = np.unique(cells.y, return_counts=True)[1] / 160
    most = frequency.argmax()
    balanced, plain = fitted(cells), fitted(cells, class_weight=None)
    np.testing.assert_allclose(balanced.trained_prior_, 0.25, atol=1e-6)
    np.testing.assert_allclose(plain.trained_prior_, frequency)
    for model, prior, wanted, towards in (
        (balanced, "training", frequency, 1),
        (plain, "uniform", np.full(4, 0.25), -1),
    ):
        before = model.predict_proba(cells.X)
        moved = clone(model).set_params(prior=prior).fit(cells.X, cells.y, cells.families).predict_proba(cells.X)
        assert (towards * (moved[:, most] - before[:, most]) > 0).all()
        shift = shift_prior(
            torch.from_numpy(np.log(before)), torch.from_numpy(model.trained_prior_), torch.from_numpy(wanted)
        )
        np.testing.assert_allclose(moved, shift.softmax(1), atol=1e-9)


def test_published_treatment_by_its_name(cells):
    model = AttentionBiLSTMClassifier.published(**QUICK, smote=True).fit(cells.X, cells.y, cells.families)
    assert model.missing == "zeros_as_data" and model.schedule == "constant" and model.validation_share == 0.25
    zeros = np.nan_to_num(cells.X)
    np.testing.assert_array_equal(model.predict_proba(zeros), model.predict_proba(cells.X))
    masked = fitted(cells)
    assert not np.allclose(masked.predict_proba(zeros), masked.predict_proba(cells.X))


def test_without_attention(cells):
    model = fitted(cells, attention=False)
    assert not hasattr(model, "attention_weights") and not hasattr(model, "attention_")
    assert model.predict(cells.X).shape == (160,)


def test_a_feature_without_values_is_left_out(cells):
    X, columns = cells.X.copy(), cells.families.columns[cells.families.names[1]]
    X[:, columns] = np.nan
    with pytest.warns(UserWarning, match="left out"):
        model = AttentionBiLSTMClassifier(**QUICK).fit(X, cells.y, cells.families)
    assert not model.attention_weights(cells.X)[:, 1].any()
    np.testing.assert_array_equal(model.predict_proba(cells.X), model.predict_proba(X))


def test_a_cell_without_any_value_is_given_an_answer(model, cells):
    p = model.predict_proba(np.full((2, cells.n_features), np.nan))
    np.testing.assert_allclose(p.sum(1), 1)
    assert not model.attention_weights(np.full((2, cells.n_features), np.nan)).any()


def test_class_weights_by_name(cells):
    name = cells.y[0]
    model = fitted(cells, class_weight={name: 1e4}, max_epochs=8)
    assert np.mean(model.predict(cells.X) == name) > 0.9
    with pytest.raises(ValueError, match="no such class: stranger"):
        fitted(cells, class_weight={"stranger": 1.0})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"loss": "hinge"}, ValueError, "loss must be one of"),
        ({"stop_on": "luck"}, ValueError, "stop_on must be one of"),
        ({"missing": "maybe"}, ValueError, "missing must be one of"),
        ({"prior": "mine"}, ValueError, "prior must be one of"),
        ({"schedule": "step"}, ValueError, "schedule must be one of"),
        ({"class_weight": "heavy"}, ValueError, "class_weight must be"),
        ({"hide": 1.5}, ValueError, "hide must be"),
        ({"noise": -1.0}, ValueError, "noise must be"),
        ({"hidden": 0}, ValueError, "hidden must be"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be a whole number"),
        ({"validation_share": 1e-6}, ValueError, "no cell for validation"),
    ],
)
def test_parameters_are_checked(cells, changes, error, message):
    with pytest.raises(error, match=message):
        fitted(cells, **changes)


def test_smote_names_a_class_of_one_cell(cells):
    y = cells.y.copy()
    y[0] = "alone"
    with pytest.raises(ValueError, match="only one of alone"):
        AttentionBiLSTMClassifier(**QUICK, smote=True).fit(cells.X, y, cells.families)


def test_validation_part_of_each_class(rng):
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    part = validation_part(labels, 0.2, random_state=np.random.RandomState(0))  # noqa: NPY002
    assert np.bincount(labels[part], minlength=3).tolist() == [20, 8, 0]
    # A donor that has all cells of a class stays for training, however large the share.
    donors = np.r_[np.arange(100) % 10, np.full(40, 11), 3]
    part = validation_part(labels, 0.9, donors, random_state=np.random.RandomState(0))  # noqa: NPY002
    assert set(donors[part]) and set(labels[~part]) == {0, 1, 2}
    with pytest.raises(ValueError, match="groups: expected one for each of the 141 cells"):
        validation_part(labels, 0.2, donors[:5])


def test_what_is_hidden_is_missing_and_noise_is_small():
    generator = torch.Generator().manual_seed(0)
    tokens = Tokens(torch.zeros(500, 2, 3), torch.zeros(500, 2, 3, dtype=torch.bool), torch.ones(500, 2, dtype=bool))
    values, missing, present = disturbed(tokens, Plan(hide=0.3, noise=0.5), generator)
    assert float(missing.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(values.std()) == pytest.approx(0.5, abs=0.03)
    assert present.all() and not tokens.missing.any() and not tokens.values.any()
    assert torch.equal(disturbed(tokens, Plan(), generator).values, tokens.values)


def test_gradients_are_clipped_and_all_cells_seen(monkeypatch):
    torch.manual_seed(0)
    network = FamilyNetwork(torch.ones(1, 2, dtype=bool), 2, hidden=3)
    values = torch.randn(10, 1, 2)
    tokens = Tokens(values, torch.zeros(10, 1, 2, dtype=torch.bool), torch.ones(10, 1, dtype=bool))
    labels = (values[:, 0, 0] > 0).long()
    norms = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda p, limit: norms.append(limit) or clip(p, limit))
    seen = []
    network.tokens.register_forward_hook(lambda _, given, __: seen.append(given[0].values[:, 0, 0].clone()))
    train(network, Plan(batch_size=4, max_epochs=2), tokens, labels, None, None, torch.Generator().manual_seed(0))
    assert norms == [2.0] * 6 and [len(batch) for batch in seen] == [4, 4, 2] * 2
    for epoch in (seen[:3], seen[3:]):
        torch.testing.assert_close(torch.cat(epoch).sort().values, values[:, 0, 0].sort().values)
    assert not torch.equal(torch.cat(seen[:3]), torch.cat(seen[3:]))
