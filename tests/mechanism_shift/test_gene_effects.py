"""Effects on genes beyond the latents, and the choice among recipes."""

import warnings
from copy import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from short_recipes import SHORT, TINY

from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.mechanism_shift.direct import (
    HALF,
    SCALES,
    ClassSums,
    _significant,
    changes,
    direct_effects,
    gene_effects,
    overdispersion,
    posterior_shares,
    shrunken,
)


def test_noise_is_shrunk_and_large_effects_are_not():
    rng = np.random.default_rng(0)
    true = np.where(rng.random((3, 400)) < [[0.0], [0.05], [0.5]], rng.normal(0, 1, (3, 400)), 0.0)
    errors = np.full(true.shape, 0.1)
    estimates = true + rng.normal(0, errors)
    mean, sd = shrunken(estimates, errors)
    assert np.abs(mean[0]).max() < 0.05
    large = np.abs(true) > 0.5
    np.testing.assert_allclose(mean[large], estimates[large], atol=0.06)
    assert ((mean - true) ** 2).mean() < 0.6 * ((estimates - true) ** 2).mean()
    assert (np.abs(mean - true) < 2 * sd + 0.02).mean() > 0.93
    assert sd[1].max() > 0.1, "more than the error where it is open whether there is an effect"


@pytest.mark.filterwarnings("ignore:.* of the shifts may or may not be edges")
def test_an_effect_on_one_gene_is_direct_and_reported_as_the_cells_show_it(screen):
    counts = screen.counts.toarray()
    name = screen.targets[3]
    cells = screen.perturbation == name
    gene = int(np.argmin(counts.std(axis=0)))
    counts[cells, gene] = np.random.default_rng(0).binomial(counts[cells, gene], 0.1)
    model = SparseShiftVAE(5, recipe=SHORT, random_state=0)
    model.fit(counts, screen.perturbation, screen.control)
    found = model.gene_effects_.set_index(["perturbation", "gene"]).loc[(name, gene)]
    train = np.setdiff1d(np.arange(len(counts)), model.validation_)
    totals = pd.DataFrame(counts[train]).groupby(screen.perturbation[train]).sum()
    expected = totals.sum(axis=1) * totals[gene].sum() / totals.to_numpy().sum()
    logs = np.log((totals[gene] + HALF) / (expected + HALF))
    assert found["log_fold_change"] == pytest.approx(logs[name] - logs[screen.control])
    assert found["lower"] < found["log_fold_change"] < found["upper"] < 0
    assert found["significant"] and found["edge"]
    assert found["direct"] < -0.1
    assert model.gene_effects_["edge"].sum() < 10
    predicted = model.predict_counts(1000)
    assert predicted.shape == (len(model.perturbations_), 60)
    np.testing.assert_allclose(predicted.sum(axis=1), 1000, rtol=1e-4)
    totals = pd.DataFrame(counts).groupby(screen.perturbation).sum()
    shares = totals.div(totals.sum(axis=1), axis=0)[gene]
    fold = predicted.loc[name, gene] / predicted.loc[screen.control, gene]
    assert fold == pytest.approx(shares[name] / shares[screen.control], rel=0.05)
    new = model.fit_new_perturbations(screen.counts[cells], np.full(cells.sum(), "new"))
    assert not new.direct_[-1].any()
    assert new.elbo(counts[~cells], screen.perturbation[~cells]) < 0


def test_effects_on_genes_count_if_held_out_cells_become_likelier(screen, staged, monkeypatch):
    codes = pd.Index(staged.perturbations_).get_indexer(screen.perturbation)
    train = np.setdiff1d(np.arange(len(codes)), staged.validation_)
    counts = screen.counts.astype(np.float32)
    for gain in (0.0, 1.0):
        model = copy(staged)

        def mean(*_, direct=None, gain=gain):
            return gain if direct is None else 0.0

        monkeypatch.setattr(model, "_mean", mean)
        model._add_direct_effects(counts, codes, train)
        assert model.direct_.any() == (gain > 0)


def test_of_several_sizes_and_recipes_the_one_under_which_held_out_cells_are_likeliest_is_taken(
    few,
):
    longer = replace(TINY, epochs=12, learning_rate=4e-3)
    recipes = [TINY, longer, TINY]
    model = SparseShiftVAE((1, 3), recipe=recipes, random_state=0).fit(*few)
    alone = SparseShiftVAE(3, recipe=longer, random_state=0).fit(*few)
    assert (model.n_latent_, model.recipe_) == (3, longer)
    assert model.recipe == recipes
    assert np.array_equal(model.transform(few[0]), alone.transform(few[0]))
    without = replace(TINY, epochs=1, validation_share=0)
    first = SparseShiftVAE((3, 1), recipe=without, random_state=0).fit(*few)
    assert first.n_latent_ == 3, "without held-out cells the first"


def warned(model, cells, **changes):
    """Messages of a fitted model with other results."""
    model = copy(model)
    for name, value in changes.items():
        setattr(model, name, value)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model._warn(*cells)
    return [str(one.message) for one in caught]


def test_doubtful_graphs_and_latents_of_a_batch_are_warned_of(screen, staged):
    counts = screen.counts.astype(np.float32)
    names = screen.perturbation
    latent = staged.transform(counts)[:, 2]
    labels = pd.DataFrame({"replicate": np.arange(len(names)) % 3, "guide": names})
    labels["well"] = np.argsort(np.argsort(latent)) // 8  # of too few cells
    cells = counts, names, labels
    assert warned(staged, cells) == []
    batch = np.where(latent > 0, "late", "early")
    [message] = warned(staged, (counts, names, labels.assign(batch=batch)))
    assert "batch explains" in message and "latent_2" in message
    clear = staged.shift_graph_.assign(probability=1.0)
    assert warned(staged, cells, shift_graph_=clear) == [], "many edges are no reason"
    doubtful = staged.shift_graph_.assign(probability=0.5)
    [message] = warned(staged, cells, shift_graph_=doubtful)
    assert message.startswith("100% of the shifts")


def test_the_posterior_of_an_effect_is_that_of_its_prior(monkeypatch):
    """Without a round of estimation, all scales are equally probable."""
    monkeypatch.setattr("sbnn.mechanism_shift.direct.ROUNDS", 0)
    estimate, error = 0.7, 0.3
    mean, sd = shrunken(np.array([[estimate]]), np.array([[error]]))
    effects = np.linspace(-8, 8, 200_001)
    likelihood = stats.norm(effects, error).pdf(estimate)
    step = effects[1] - effects[0]
    at_zero = stats.norm(0, error).pdf(estimate)
    mass, first, second = at_zero, 0.0, 0.0
    for scale in SCALES[1:]:
        weights = likelihood * stats.norm(0, scale).pdf(effects) * step
        mass += weights.sum()
        first += (weights * effects).sum()
        second += (weights * effects**2).sum()
    assert mean.item() == pytest.approx(first / mass, rel=1e-3)
    assert sd.item() == pytest.approx(np.sqrt(second / mass - (first / mass) ** 2), rel=1e-3)


def test_rows_share_a_prior_that_assumes_some_genes_without_an_effect():
    estimates = np.array([[0.05, 0.1, 0.6], [2.0, -1.8, 0.6]])
    mean, _ = shrunken(estimates, np.full((2, 3), 0.2))
    assert mean[0, 2] < mean[1, 2] < 0.6
    alone, _ = shrunken(estimates[:1], np.full((1, 3), 0.2))
    np.testing.assert_array_equal(alone, mean[:1])
    assert shrunken(np.array([[3.0]]), np.array([[1.0]]))[0] < 1.5


SEEN = np.array([[700.0, 40, 500, 60, 9], [300, 200, 480, 30, 4], [320, 210, 500, 35, 0]])
MOVED = np.array([True, True, False])


def sums_of(squares, seen=SEEN):
    """Sums over cells with ten counts each."""
    totals = seen.sum(axis=1, keepdims=True)
    return ClassSums(seen, seen / 2, seen * 3, squares, totals, 10 * totals)


def test_log_ratios_and_their_errors_follow_the_counts():
    ratios, errors = direct_effects(sums_of(SEEN))
    np.testing.assert_allclose(ratios, np.log((SEEN + 0.5) / (SEEN / 2 + 0.5)))
    np.testing.assert_allclose(errors, np.sqrt(6 / (SEEN / 2 + 0.5)))
    sparse = sums_of(SEEN)._replace(unexplained=SEEN / 100)
    _, errors = direct_effects(sparse)
    np.testing.assert_allclose(errors, np.sqrt(1 / (SEEN / 2 + 0.5)), err_msg="at least Poisson")


def tables(moved=MOVED, squares=SEEN * 1.5):
    """Effects of a model whose predictions are too small for the first gene of the first row."""
    sums = sums_of(squares)
    shares = SEEN / sums.totals
    predicted = shares * [0.8, 1.0, 1.0, 1.1, 1.0]
    predicted[0, 0] /= 1.5
    predicted[2, 4] = 1e-3
    expected = SEEN / [[2.0, 0.3, 1, 1, 2], [1.0, 1, 1, 1, 1], [1.0, 1.1, 1, 1, 1]]
    sums = sums._replace(expected=expected, unexplained=expected * 1.5)
    table = gene_effects(sums, predicted, np.array([[1.0, 1, 0, 1, 0]] * 3), moved)
    mean = SEEN.sum(axis=0) / SEEN.sum() * sums.totals
    logs = np.log((SEEN + HALF) / (mean + HALF))
    return logs, predicted, table


def test_significant_changes_are_given_as_measured_and_others_near_the_scaled_model():
    logs, predicted, table = tables()
    measured = (logs[:2] - logs[2]).ravel()
    model = np.log(predicted[:2] / predicted[2]).ravel()
    np.testing.assert_allclose(table["model"], model)
    significant = table["significant"].to_numpy()
    assert significant.tolist() == [True, True] + [False] * 8
    np.testing.assert_allclose(table["log_fold_change"][:2], measured[:2])
    own, known = measured[:2], model[:2]
    scaled = model * (own @ known) / (known @ known)
    np.testing.assert_allclose(table["log_fold_change"][2:9], scaled[2:9], atol=0.03)
    assert table["edge"].to_numpy().nonzero()[0].tolist() == [0, 1], "with a direct effect only"
    inside = table["log_fold_change"].between(table["lower"], table["upper"])
    assert inside.all()


def test_without_a_control_changes_are_against_the_mean_of_the_others():
    logs, _, table = tables(moved=np.ones(3, dtype=bool))
    assert len(table) == 15 and table["significant"][1]
    assert table["log_fold_change"][1] == pytest.approx(logs[0, 1] - logs[1:, 1].mean())


def test_if_no_change_is_significant_the_model_is_not_scaled():
    _, _, table = tables(squares=SEEN * 1e9)
    assert not table["significant"].any()
    np.testing.assert_allclose(table["log_fold_change"], table["model"], atol=1e-6)


def test_shares_are_measured_where_precise_and_predicted_where_not():
    """Shares of the second of three genes differ from the prediction, those of others do not."""
    rng = np.random.default_rng(0)
    predicted = np.tile([0.1, 0.2, 0.7], (40, 1))
    true = predicted * np.exp(rng.normal(0, [0.0, 0.3, 0.0], (40, 3)))
    true /= true.sum(axis=1, keepdims=True)
    totals = np.full((40, 1), 2000.0)
    observed = rng.poisson(true * totals).astype(float)
    squares = observed  # as of Poisson counts
    sums = ClassSums(observed, predicted * totals, observed, squares, totals, 10 * totals)
    found = posterior_shares(sums, predicted)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    errors = {
        name: np.mean((np.log(shares) - np.log(true)) ** 2, axis=0)
        for name, shares in (("found", found), ("measured", observed / totals))
    }
    assert (errors["found"] < errors["measured"] * [1, 1.05, 1]).all()
    assert np.polyfit(np.log(true[:, 1]), np.log(found[:, 1]), 1)[0] == pytest.approx(1, abs=0.1)


def test_shares_that_are_predicted_too_large_in_all_cells_are_corrected_and_none_is_0():
    totals = np.full((3, 1), 1e5)
    observed = np.array([[2e4, 3e4, 0]] * 3) + 5e4 * np.array([0, 0, 1])
    observed[1] = [4e4, 6e4, 0]
    sums = ClassSums(observed, observed, observed, observed, totals, 10 * totals)
    found = posterior_shares(sums, np.array([[0.4, 0.3, 0.3]] * 3))
    np.testing.assert_allclose(found[0], observed[0] / 1e5, rtol=0.01)
    assert 0 < found[1, 2] < 1e-4


def test_significance_holds_a_false_discovery_rate_over_all_pairs():
    p = np.array([[0.004, 0.6], [1.0, 1e-4]])
    assert _significant(p).tolist() == [[True, False], [False, True]]
    assert not _significant(np.array([[0.01] + [1.0] * 9])).any()


def compared(observed, expected, extra=0.0):
    """Changes of one gene in the first perturbation, against the second, the control."""
    observed, expected = np.array([observed, expected], dtype=float)[..., None]
    return changes(observed, expected, np.full((2, 1), extra), np.array([True, False]))


@pytest.mark.parametrize("count", [0, 3, 40])
def test_p_values_of_poisson_counts_are_those_of_the_binomial_test(count):
    found = compared([count, 10_000], [12, 10_000]).p_values().item()
    share = 12 / 10_012
    tails = (
        stats.binom.cdf(count, count + 10_000, share),
        stats.binom.sf(count - 1, count + 10_000, share),
    )
    assert found == pytest.approx(min(1, 2 * min(tails)), rel=0.02)


@pytest.mark.parametrize("count", [0, 3, 90])
def test_p_values_of_overdispersed_counts_are_those_of_the_negative_binomial(count):
    expected = np.array([[12.0], [1e9]])
    observed = np.array([[float(count)], [1e9]])
    extra = np.array([[0.25], [0.0]])
    found = changes(observed, expected, extra, np.array([True, False])).p_values().item()
    null = stats.nbinom(4, 4 / 16)  # mean 12, squared relative error 1/4 beyond Poisson's
    assert found == pytest.approx(min(1, 2 * min(null.cdf(count), null.sf(count - 1))), rel=1e-3)


def test_limits_are_between_those_changes_that_would_be_called_significant():
    changed = compared([40, 10_000], [12, 10_000], 0.01)
    for outside in (0.05, 0.001):
        limits = np.array(changed.intervals(outside)).ravel()
        for limit, beyond in zip(limits, (-0.15, 0.15), strict=True):
            inner, outer = np.exp([limit - beyond, limit + beyond])
            assert compared([40, 10_000], [12 * inner, 10_000], 0.01).p_values() > outside
            assert compared([40, 10_000], [12 * outer, 10_000], 0.01).p_values() < outside


def test_the_excess_over_poisson_is_estimated_from_all_cells():
    rng = np.random.default_rng(0)
    totals = np.repeat([200.0, 400.0], 300)
    codes = np.tile(np.arange(20), 30)
    rates = rng.gamma(2, 0.5, (600, 5)) * totals[:, None] * 0.05  # relative variance 1/2
    observed, squares, expected = np.zeros((3, 20, 5))
    np.add.at(observed, codes, rng.poisson(rates))
    np.add.at(squares, codes, (rng.poisson(rates) - totals[:, None] * 0.05) ** 2)
    np.add.at(expected, codes, totals[:, None] * 0.05)
    total, total_squares = np.zeros((2, 20, 1))
    np.add.at(total, codes, totals[:, None])
    np.add.at(total_squares, codes, totals[:, None] ** 2)
    sums = ClassSums(observed, expected, squares, squares, total, total_squares)
    extra = overdispersion(squares, expected, expected, sums)
    true = 0.5 * total_squares / total**2
    assert (extra / true).mean() == pytest.approx(1.08, abs=0.1), "one standard error above"
    assert not overdispersion(expected * 0.5, expected, expected, sums).any(), "at least Poisson"


def test_changes_of_rare_genes_are_given_as_measured_and_sizes_cause_none():
    shares = np.array([1e-5, 2e-4, 0.9998])
    totals = np.array([[1e8], [1e6], [1e8]])
    seen = shares * totals
    seen[0, 0] *= np.exp(-2.29)
    table = gene_effects(sums_of(seen, seen), shares * np.ones((3, 1)), 0 * seen, MOVED)
    assert table["significant"].tolist() == [True] + [False] * 5
    assert table["log_fold_change"][0] == pytest.approx(-2.29, abs=0.02)
    np.testing.assert_allclose(table["log_fold_change"][1:], 0, atol=0.02)
