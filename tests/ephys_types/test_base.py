"""Scales of features, and distances to training cells."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, rankdata, t

from sbnn.ephys_types.base import FeatureScaling, seen_columns
from sbnn.ephys_types.distance import Surroundings


def test_standard_scores_ignore_missing_values(rng):
    X = rng.normal(5, 3, (50, 3))
    X[::4, 1] = np.nan
    X[:, 2] = 100000.1
    found = FeatureScaling("standard").fit_transform(X)
    expected = (X - np.nanmean(X, axis=0)) / np.append(np.nanstd(X[:, :2], axis=0), 1)
    assert_allclose(found, expected, atol=1e-9)


def test_normal_scores_follow_ranks_and_are_clipped(rng):
    x = rng.lognormal(size=90)
    scaling = FeatureScaling().fit(x[:, None])
    scores = norm.ppf((rankdata(x) - 1) / 89).clip(-2.5, 2.5)
    expected = (scores - scores.mean()) / scores.std()
    assert_allclose(scaling.transform(x[:, None])[:, 0], expected, atol=1e-6)
    beyond = scaling.transform([[1e9], [-1e9], [np.nan]])[:, 0]
    assert_allclose(beyond, [expected.max(), expected.min(), np.nan])


def test_unseen_columns_are_skipped():
    families = {"f": np.array([0, 3]), "g": np.array([1]), "h": np.array([2])}
    found = seen_columns(families, np.array([True, False, True, True]))
    assert [columns.tolist() for columns in found.values()] == [[0, 2], [], [1]]


def test_distances_are_to_the_fifth_nearest_cell_of_other_groups(rng):
    scores = rng.normal(size=(60, 3))
    scores[::7, 1] = np.nan
    groups = np.repeat(np.arange(12), 5)
    around = Surroundings(scores, groups)

    def distance(cell, others):
        both = np.isfinite(cell) & np.isfinite(others)
        squares = np.where(both, (cell - others) ** 2, 0).sum(axis=1)
        return np.sort(np.sqrt(squares * 3 / both.sum(axis=1)))[4]

    own = [distance(scores[i], scores[groups != groups[i]]) for i in range(60)]
    assert around.limit == pytest.approx(max(own))
    assert around.n_beyond == 0
    new = 2 * rng.normal(size=(40, 3))
    assert around.far(new).tolist() == [distance(cell, scores) > max(own) for cell in new]
    assert around.far([[np.nan] * 3]).all()


def test_large_tables_are_compared_with_a_thousand_cells(rng):
    around = Surroundings(rng.normal(size=(1200, 2)), np.arange(1200) % 7)
    assert around.scores.shape == (1000, 2)
    assert around.n_beyond == 9
    for n_cells, most in ((20, 1), (1000, 18)):
        far = np.arange(n_cells) < most
        assert not around.too_many(far)
        far[most] = True
        assert around.too_many(far)
    tables = list(around._tables(5))
    assert len(tables) == 400
    for table in tables:
        assert len(set(table)) == 5
        assert len(set(around.groups[table])) == 1
    assert len(next(around._tables(300))) == 300


def test_a_mean_has_moved_if_random_tables_seldom_differ_as_much(rng):
    around = Surroundings(rng.normal(size=(1000, 2)), np.arange(1000))
    for n in (4, 100):
        # Tables of n cells: the larger of two deviations exceeds 2.24 SDs in 5 %.
        least = 2.24 * np.sqrt(1 / n + 1 / 1000)
        shifts = around.scores.mean(axis=0)[1] + least * np.array([0.8, 1.2, -1.2])
        found = [around.moved(np.full((n, 2), [0, shift])).tolist() for shift in shifts]
        assert found == [[False, False], [False, True], [False, True]]
    assert around.moved(np.array([[np.nan, 9.0]] * 2)).tolist() == [False, True]


def test_a_donor_is_compared_with_the_prediction_interval_of_few_donors(rng):
    of_donors = rng.normal(size=(6, 1))
    groups = np.repeat(np.arange(6), 20)
    around = Surroundings(of_donors[groups], groups)
    # of a mean of one more donor: 400 random tables give its SD within a few percent
    half = t.ppf(0.975, 5) * of_donors.std(ddof=1) * np.sqrt(1 + 1 / 6)
    for by, expected in ((0.85, False), (1.2, True), (-1.2, True)):
        new = np.full((20, 1), of_donors.mean() + by * half)
        assert around.moved(new).tolist() == [expected]
    alone = Surroundings(rng.normal(size=(30, 1)), np.zeros(30))
    assert not alone.moved(np.full((30, 1), 99.0)).any()
