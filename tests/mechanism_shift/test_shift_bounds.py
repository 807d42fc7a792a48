"""Bounds on the likelihood, effects and settings of models of screens, against what can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from short_recipes import SHORT_PUBLISHED, TINY, TINY_SCREEN

from sbnn.mechanism_shift import Recipe, SparseShiftVAE, report, screen_study, simulate_perturbations, simulated_study
from sbnn.mechanism_shift.graph import graph_table, wide
from sbnn.mechanism_shift.methods import METHODS
from sbnn.mechanism_shift.network import ShiftNetwork
from sbnn.mechanism_shift.simulated_study import held_out_bounds, score, split_screen
from sbnn.mechanism_shift.training import Training
from sbnn.mechanism_shift.unmixing import _Moments, describe, unmix
from sbnn.results import Record

TINY_RECIPE = Recipe(**TINY)


def test_bounds_are_exact_where_the_decoder_ignores_the_latents(screen):
    model = SparseShiftVAE(2, "vae", recipe=replace(SHORT_PUBLISHED, epochs=1, hidden=8), random_state=0)
    network = model.fit(screen.counts, screen.perturbation, screen.control).network_
    with torch.no_grad():
        for layer in (network.logits, network.mean, network.log_variance):
            layer.weight.zero_()
        network.mean.bias.zero_()
        network.log_variance.bias.zero_()
    counts, names = screen.counts[:5].toarray(), screen.perturbation[:5]
    inverse, shares = network.dispersion.exp().detach().numpy(), network.logits.bias.softmax(0).detach().numpy()
    means = shares * counts.sum(axis=1, keepdims=True)
    expected = stats.nbinom.logpmf(counts, inverse, inverse / (inverse + means)).sum(axis=1)
    np.testing.assert_allclose(model.elbo(counts, names, per_cell=True), expected, rtol=1e-4)
    np.testing.assert_allclose(model.iwelbo(counts, names, 3, per_cell=True), expected, rtol=1e-4)
    with torch.no_grad():
        network.mean.bias.fill_(2.0)
    np.testing.assert_allclose(model.elbo(counts, names, per_cell=True), expected - 2 * 2**2 / 2, rtol=1e-4)


def test_held_out_bounds_are_of_the_other_half_of_the_cells():
    known, new = split_screen(simulate_perturbations(**TINY_SCREEN, random_state=3))
    _, (model, *_) = score(METHODS["staged"], known, 3, 3, **TINY)
    bounds = held_out_bounds(model, new, 3, n_samples=20)
    order = np.random.default_rng(3).permutation(new.n_cells)
    learn, test = order[::2], order[1::2][:500]
    for end, learned in (("", True), ("_before", False)):
        other = model.fit_new_perturbations(new.counts[learn], new.perturbation[learn], learn_shifts=learned)
        assert bounds[f"new_elbo{end}"] == other.elbo(new.counts[test], new.perturbation[test])
        assert bounds[f"new_iwelbo{end}"] == other.iwelbo(new.counts[test], new.perturbation[test], 20)


def test_the_control_is_held_at_zero(screen, staged):
    assert not staged.prior_.means()[torch.from_numpy(staged.perturbations_ == screen.control)].any()
    assert staged.median_total_ == np.median(screen.counts.sum(axis=1))


@pytest.mark.parametrize("method", ["ivae", "svae+"])
def test_effects_of_trained_means_are_told_against_the_control(screen, method):
    model = SparseShiftVAE(3, method, recipe=replace(SHORT_PUBLISHED, hidden=8), random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    means = pd.DataFrame(model.prior_.means().detach().numpy(), model.perturbations_)
    effects = wide(model.shift_graph_, "effect")
    assert means.loc[screen.control].abs().max() > 0
    np.testing.assert_allclose(effects, (means - means.loc[screen.control]).loc[effects.index], atol=1e-6)


def test_effects_of_new_perturbations_are_told_as_those_of_the_others(screen, staged):
    cells = screen.perturbation == screen.targets[0]
    again = staged.fit_new_perturbations(screen.counts[cells], np.repeat("new", cells.sum())).shift_graph_
    old, new = (wide(again, "effect").loc[name] for name in (screen.targets[0], "new"))
    np.testing.assert_allclose(new, old, atol=0.2)  # the old ones are of the cells that were trained on, nine of ten
    still = staged.fit_new_perturbations(screen.counts[cells], np.repeat("new", cells.sum()), learn_shifts=False)
    rows = still.shift_graph_[still.shift_graph_["perturbation"] == "new"]
    assert not rows[["effect", "probability"]].to_numpy().any()


def test_uncertainty_goes_along_when_latents_are_changed():
    torch.manual_seed(0)
    network = ShiftNetwork(12, 4, Recipe(hidden=16), torch.ones(12) / 12)
    matrix, origin, inputs = torch.randn(4, 4), torch.randn(4), torch.randn(30, 12)
    before = network.log_variance.bias.exp().detach()
    network.change_latents(matrix, origin)
    expected = (before @ matrix**2).log().clamp(-10, 4).expand(30, 4)
    torch.testing.assert_close(network.encode(inputs)[1], expected)


CHANGES = {
    "hidden": 12, "batch_norm": True, "dropout": 0.5, "standardize": False, "epochs": 6, "least_updates": 150,
    "updates_per_pair": 60, "learning_rate": 1e-2, "weight_decay": 0.1, "weight_precision": 500.0, "epsilon": 0.1,
    "one_cycle": False, "batch_size": 64, "warm_up": 0, "validation_share": 0.3, "patience": 1, "dispersion": 0.0,
    "first_share": 0.25, "unmixings": 1,
}  # fmt: skip


def test_every_setting_of_the_recipe_counts(screen):
    assert set(CHANGES) == set(Recipe.__dataclass_fields__)
    base = replace(TINY_RECIPE, epochs=4, warm_up=2, learning_rate=2e-2)

    def fitted(**changes):
        model = SparseShiftVAE(3, recipe=replace(base, **changes), random_state=0)
        return model.fit(screen.counts, screen.perturbation, screen.control).transform(screen.counts[:50])

    expected = fitted()
    assert np.array_equal(fitted(), expected)
    for name, value in CHANGES.items():
        if name != "patience":
            assert not np.array_equal(fitted(**{name: value}), expected), name


def test_the_best_weights_are_kept_where_training_waits(screen):
    recipe = replace(SHORT_PUBLISHED, epochs=30, warm_up=1, patience=2, learning_rate=0.05, hidden=8)
    model = SparseShiftVAE(3, "ivae", recipe=recipe, random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    history, aside = model.history_["validation_elbo"], model.validation_
    assert len(history) < 30 and history.idxmax() == len(history) - 3
    assert model.elbo(screen.counts[aside], screen.perturbation[aside]) == pytest.approx(history.max(), abs=1.0)


def test_what_is_shown_is_in_the_order_and_with_the_signs_of_the_truth():
    known, _ = split_screen(simulate_perturbations(**TINY_SCREEN, random_state=3))
    true, order = known.truth["latents"], [2, 0, 1]
    shifts = known.truth["shifts"].loc[known.targets]
    found = pd.DataFrame(-shifts.to_numpy()[:, order], shifts.index, [f"latent_{i}" for i in range(3)])
    shown = simulated_study._shown(known, -true[:, order], graph_table(found, found.abs()), found != 0)
    np.testing.assert_allclose(shown["effects"], shown["true_shifts"])
    np.testing.assert_allclose(shown["latents"], shown["true_latents"], rtol=1e-5)
    assert np.array_equal(shown["edges"], shown["true_shifts"].to_numpy() != 0)


def test_the_table_of_trust_tells_distances_within_and_to_others():
    effects = pd.DataFrame([[3.0, 0.0], [3.0, 0.5], [0.0, 0.0], [0.0, 2.0]], list("abcd"), ["x", "y"])
    graph = graph_table(effects, (effects > 1).astype(float)).assign(seed=0)
    null = Record("", "", "", [], values={"edges": pd.DataFrame({"seed": [0], "edges": [1]}), "null": np.zeros(8)})
    row = report.trust_table({"fits": Record("", "", "", [], 0, values={"graph": graph}), "permuted": null}, ["a", "b"])
    assert row.loc["seed 0"].to_dict() == {
        "edges": 3, "edges, permuted labels": 1, "false discovery rate": 0.0,
        "latents that all of the pathway move": 1, "largest distance within": 0.5, "smallest to others": 3.0,
    }  # fmt: skip
    assert screen_study.nearest_others(graph, ["a", "b"]) == (0.5, 3.0)


def test_a_fitted_model_keeps_the_recipe_it_was_fitted_with(screen):
    model = SparseShiftVAE(3, recipe=TINY_RECIPE, random_state=0)
    expected = model.fit(screen.counts, screen.perturbation, screen.control).transform(screen.counts[:20])
    model.set_params(recipe=replace(TINY_RECIPE, standardize=False))
    assert np.array_equal(model.transform(screen.counts[:20]), expected)


def test_a_control_may_be_a_number(screen):
    numbers = np.where(screen.perturbation == screen.control, "0", screen.perturbation)
    latents = np.random.default_rng(0).normal(size=(screen.n_cells, 2))
    assert "0" not in unmix(latents, numbers, control=0).shifts.index
    model = SparseShiftVAE(2, recipe=TINY_RECIPE, random_state=0).fit(screen.counts, numbers, control=0)
    assert model.control_ == "0" and "0" not in set(model.shift_graph_["perturbation"])


def test_bad_input_of_unmixing_is_named(screen):
    latents, names = np.random.default_rng(0).normal(size=(screen.n_cells, 2)), screen.perturbation.astype(object)
    for function in (unmix, describe):
        with pytest.raises(ValueError, match="perturbation: 1 cells have none"):
            function(latents, np.where(np.arange(len(names)) == 3, None, names))
        with pytest.raises(ValueError, match="variances: expected finite values"):
            function(latents, names, variances=np.full(latents.shape, np.nan))
        with pytest.raises(ValueError, match=r"variances: expected .* got shape \(1, 2\)"):
            function(latents, names, variances=np.ones((1, 2)))
        with pytest.raises(ValueError, match="do not vary within perturbations"):
            function(latents * [1, 0], names)


def test_bad_input_of_predicted_counts_is_named(staged):
    with pytest.raises(ValueError, match="n_cells: expected 1 or more, got 0"):
        staged.predict_counts("perturbation_00", n_cells=0)
    with pytest.raises(ValueError, match="total: expected a number > 0 or None, got -5"):
        staged.predict_counts("perturbation_00", total=-5)


def test_prior_means_follow_the_encoder_before_every_epoch_but_the_first(screen, monkeypatch):
    followed, follow = [], Training.follow_encoder
    monkeypatch.setattr(Training, "follow_encoder", lambda self: followed.append(len(self.history)) or follow(self))
    model = SparseShiftVAE(3, recipe=replace(TINY_RECIPE, epochs=8), random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    assert len(model.history_) == 8 and followed == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("method", ["svae+", "svae"])
def test_a_stronger_penalty_makes_shifts_less_probable(screen, method):
    recipe, means = replace(SHORT_PUBLISHED, hidden=8), []
    for strength in (2.0, 1000.0):
        model = SparseShiftVAE(3, method, strength, recipe, 0)
        graph = model.fit(screen.counts, screen.perturbation, screen.control).shift_graph_
        means.append(graph["probability"].mean())
    assert means[1] < means[0]


def test_every_column_of_the_table_of_methods_is_the_mean_of_its_scores():
    columns = {"mcc": "MCC", "f1": "edge F1", "precision": "precision", "recall": "recall", "elbo": "ELBO",
               "seconds": "CPU s", "new_iwelbo": "IWELBO, held out"}  # fmt: skip
    scores = pd.DataFrame({column: [i, i + 0.5] for i, column in enumerate(columns)})
    row = report.methods_table({"small_pca": Record("", "", "", [], values={"scores": scores})}, "small").loc["PCA"]
    assert {label: row[label] for label in columns.values()} == {
        label: scores[column].mean() for column, label in columns.items()
    }


def test_sampling_error_of_a_shift_is_that_of_both_means():
    rng = np.random.default_rng(0)
    names = np.repeat(["a", "b", "none"], [50, 20, 5])
    moments = _Moments(rng.normal(size=(75, 2)), names, "none", None)
    np.testing.assert_allclose(moments.errors, np.sqrt([1 / 50 + 1 / 5, 1 / 20 + 1 / 5]))
    assert np.array_equal(
        _Moments(rng.normal(size=(75, 2)), names, None, None).errors, np.sqrt(1 / np.array([50, 20, 5]))
    )
