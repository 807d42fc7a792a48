import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sbnn.dynamics import regulation
from sbnn.dynamics.beliefs import first_beliefs, learned_beliefs
from sbnn.dynamics.paths import Clock
from sbnn.dynamics.regulation import Target


@pytest.fixture
def made(rng):
    """A gene drawn to 0.5 + 0.8 d0 - 0.5 d2 + 2 d0 d2, of eight genes; 3 and 4 are in the prior."""
    clock = Clock(np.tile([0.0, 1, 2, 4], (40, 1)))
    deviations = 0.2 * rng.standard_normal((40, 1, 8)) + 0.1 * rng.standard_normal(
        (40, clock.grid.shape[1], 8)
    )
    memory = clock.memory(1.0)[:, clock.observed[1:]]
    one, other = deviations[:, :, 0], deviations[:, :, 2]
    drawn_to = 0.5 + 0.8 * one - 0.5 * other + 2 * one * other
    values = (memory @ drawn_to[..., None])[..., 0].ravel() + 0.02 * rng.standard_normal(120)
    linear = (memory @ deviations).reshape(120, 8)
    signs = np.array([0, 0, 0, 1, -1, 0, 0, 0])
    log_odds = np.where(signs != 0, 2.0, -4.0)
    return Target(values, linear, deviations, memory, 0.02, first_beliefs(), log_odds, signs)


def test_the_evidence_is_that_of_a_normal_distribution(made):
    for chosen in ((), (0,), (0, 2, 4)):
        fit, k = made.fit(frozenset(chosen)), len(chosen)
        b = made.beliefs
        one, other = np.triu_indices(k)
        sd = np.concatenate(
            [[1], np.full(k, b.effect_sd[k]), np.where(one == other, b.square_sd[k], b.pair_sd[k])]
        )
        mean = np.concatenate([[0.5], fit.signs * b.effect_mean[k], np.zeros(len(one))])
        covariance = fit.features @ np.diag(sd**2) @ fit.features.T + 0.02**2 * np.eye(120)
        expected = multivariate_normal.logpdf(made.values, fit.features @ mean, covariance)
        assert fit.log_evidence == pytest.approx(expected, rel=1e-8)
        gain = np.diag(sd**2) @ fit.features.T @ np.linalg.inv(covariance)
        np.testing.assert_allclose(
            fit.weights, mean + gain @ (made.values - fit.features @ mean), atol=1e-8
        )
        variances = np.diag(np.diag(sd**2) - gain @ fit.features @ np.diag(sd**2))
        np.testing.assert_allclose(fit.variances(), variances, atol=1e-9)


def test_features_are_what_a_gene_remembers_of_products(made):
    fit = made.fit(frozenset((2, 0)))
    assert fit.regulators == (0, 2)
    d = made.deviations
    a, b = d[:, :, 0], d[:, :, 2]
    for column, factor in zip(
        fit.features.T, [np.ones_like(a), a, b, a**2, a * b, b**2], strict=True
    ):
        np.testing.assert_allclose(column, (factor @ made.memory[0].T).ravel(), atol=1e-12)
    slopes, pairs, squares = fit.parts()
    assert slopes.tolist() == [1, 2] and pairs.tolist() == [4] and squares.tolist() == [3, 5]
    assert fit.weights[[0, 1, 2, 4]] == pytest.approx([0.5, 0.8, -0.5, 2], abs=0.25)


def test_the_search_finds_the_regulators_and_drops_those_of_a_wrong_prior(made):
    for start in ((), (3, 4), (0, 3, 5)):
        fit = made.search(start)
        assert fit.regulators == (0, 2) and fit.signs.tolist() == [1, -1]


def test_many_regulators_have_no_products_and_the_strongest_are_taken(made, monkeypatch):
    assert [len(regulation.products_of(k)[0]) for k in (2, 15, 16)] == [3, 120, 0]
    monkeypatch.setattr(regulation, "MOST", 2)
    assert made.strongest(np.array([6, 2, 5, 0])).tolist() == [2, 0], "in the given order"
    assert made.search(()).regulators == (0, 2)
    three = made.fit(frozenset((0, 2, 3)))
    assert len(three.weights) == 4 and made._candidates(frozenset((0, 2))) == []


def test_probabilities_are_those_of_leaving_out_one_edge(made):
    found = frozenset(made.search(()).regulators)
    p = made.probabilities(found)
    assert p.shape == (8,) and (p[[0, 2]] > 0.99).all() and (np.delete(p, [0, 2]) < 0.2).all()
    change = made.score(found | {3}) - made.score(found)
    assert p[3] == pytest.approx(1 / (1 + np.exp(-change)))
    # Odds and free signs enter the score.
    assert made.score(frozenset((3,))) == pytest.approx(made.fit(frozenset((3,))).log_evidence + 2)
    assert made.score(frozenset((5,))) == pytest.approx(
        made.fit(frozenset((5,))).log_evidence - 4 - np.log(2)
    )
    made.log_odds[0] = -np.inf  # an edge that cannot be
    assert 0 not in made.search(()).regulators and made.probabilities(frozenset())[0] == 0


def test_beliefs_are_learned_and_start_from_those_at_first(made):
    first = first_beliefs()
    kinds, possible = np.zeros((8, 8), dtype=int), ~np.eye(8, dtype=bool)
    fit = made.search(())
    learned = learned_beliefs([fit] * 500, np.full((8, 8), 0.5), kinds, possible)
    sizes = fit.weights[1:3] * fit.signs
    assert learned.effect_mean[2] == pytest.approx(sizes.mean(), rel=0.02)
    assert learned.effect_sd[2] == pytest.approx(
        np.sqrt(sizes.var() + fit.variances()[1:3].mean()), rel=0.02
    )
    assert learned.pair_sd[2] == pytest.approx(
        np.sqrt(fit.weights[4] ** 2 + fit.variances()[4]), rel=0.02
    )
    np.testing.assert_allclose(learned.effect_mean[[1, 3]], first.effect_mean[[1, 3]])
    share = (0.5 * 56 + 0.5) / (56 + 5e4)
    assert learned.log_odds[0] == pytest.approx(np.log(share / (1 - share)))
