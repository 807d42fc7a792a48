"""Folds, the scaled arrays of a fold, and predictions of held-out cells."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from material.records import made_up
from numpy.testing import assert_equal as equal
from sklearn.model_selection import GroupKFold, StratifiedKFold

from sbnn import (
    SparseReducedRankRegression,
    cross_validate,
    fit_full,
    grouped_folds,
    later_fold,
    paper_folds,
    stability_selection,
)
from sbnn.evaluation.folds import held_out_means, make_folds

GROUPS = st.lists(st.integers(0, 7), min_size=5, max_size=60)


def test_paper_folds_are_the_published_ones():
    folds = paper_folds(1213)
    order = np.random.RandomState(42).permutation(1213)
    assert order[:5].tolist() == [382, 787, 43, 155, 493]
    tested = np.array([test for _, test in folds])
    equal(tested, order[:1210].reshape(10, 121))
    trained = np.append(order[:121], order[242:])
    equal(folds[1][0], trained)


def test_a_number_of_folds_means_paper_folds():
    equal(make_folds(np.int64(10), 30), paper_folds(30, 10, 42))


@settings(max_examples=40)
@given(GROUPS, st.integers(2, 5))
def test_grouped_folds_part_the_cells_and_groups(groups, n_folds):
    groups = np.array(groups)
    assume(len(set(groups)) >= n_folds)
    folds = grouped_folds(groups, n_folds)
    cells = np.arange(len(groups))
    for train, test in folds:
        equal(sorted([*train, *test]), cells)
        assert not set(groups[train]) & set(groups[test])
    tested = np.concatenate([test for _, test in folds])
    equal(sorted(tested), cells)


@settings(max_examples=40)
@given(GROUPS)
def test_a_later_fold_trains_on_earlier_times(times):
    times = np.array(times)
    n_times = len(set(times))
    assume(n_times >= 2)
    [(train, test)] = later_fold(times)
    equal(sorted([*train, *test]), np.arange(len(times)))
    assert times[train].max() < times[test].min()
    n_earlier = len(set(times[train]))
    assert n_earlier == min(round(0.8 * n_times), n_times - 1)


@pytest.mark.parametrize(
    ("times", "earlier", "later"),
    [
        (["20181002", "2017-05", "2018-10-02 12:00"], [0, 1], [2]),
        (["9", "10.5", "08"], [0, 2], [1]),
        (["2018-10-28T02:30+01:00", "2018-10-28T02:45+02:00"], [1], [0]),
    ],
    ids=["dates", "numbers", "offsets from UTC"],
)
def test_times_may_be_text(times, earlier, later):
    [(train, test)] = later_fold(times)
    assert (train.tolist(), test.tolist()) == (earlier, later)


SOME_OFFSETS = ["2018-10-28T02:30+01:00", "2018-10-28T02:45"]
NOT_FOLDS = "folds: .*expected a number, a splitter that needs no types or groups"


def check_four(folds):
    """As folds of four cells."""
    return make_folds(folds, 4)


@pytest.mark.parametrize(
    ("function", "value", "message"),
    [
        (later_fold, SOME_OFFSETS, "times: some have an offset from UTC"),
        (later_fold, ["May", "June"], "times: expected|ISO8601"),
        (later_fold, [None, "2018"], "times: expected"),
        (later_fold, [np.nan, 2018.0], "times: expected"),
        (grouped_folds, [1, "1", 2, 3], "groups: some are text, such as '1', others .* 1;"),
        (check_four, [], NOT_FOLDS),
        (check_four, [([], [2])], NOT_FOLDS),
        (check_four, [([2], [])], NOT_FOLDS),
        (check_four, [([0, 1], [2, 2])], NOT_FOLDS),
        (check_four, [([0, 1], [1, 2])], NOT_FOLDS),
        (check_four, [([0], [1]), ([0], [4])], NOT_FOLDS),
        (check_four, [([0, 1.5], [2])], NOT_FOLDS),
        (check_four, pd.DataFrame({"train": [0], "test": [1]}), NOT_FOLDS),
        (check_four, GroupKFold(2), NOT_FOLDS),
        (check_four, StratifiedKFold(2), NOT_FOLDS),
        (check_four, 2.0, NOT_FOLDS),
    ],
)
def test_folds_that_would_mislead_are_refused(function, value, message):
    with pytest.raises(ValueError, match=message):
        function(value)


@pytest.mark.parametrize("preselect", [0, -3])
def test_preselect_is_a_number_of_genes(preselect, data):
    for function in (cross_validate, stability_selection, fit_full):
        with pytest.raises(ValueError, match="preselect must be"):
            function(SparseReducedRankRegression(), data, preselect=preselect)


def test_folds_may_share_training_cells_and_skip_cells():
    pairs = [([0, 1, 1], [2]), ([0, 1], [3])]
    equal(make_folds(pairs, 5), pairs)


def test_held_out_predictions_of_several_folds_are_averaged():
    """Of z-scores of the training cells, whose mean is 5 and SD 2."""
    predictions = [np.array([[1.0], [2.0]]), np.array([[4.0], [8.0]])]
    record = made_up(
        {"test_predictions": [predictions]},
        settings={"scaling": "fold"},
        folds=[([2, 3], [0, 1]), ([2, 3], [1, 2])],
    )
    Y = [[0], [0], [3], [7], [0]]
    means = held_out_means(record, Y, 0)
    equal(means.ravel(), [7, 11, 21, np.nan, np.nan])
