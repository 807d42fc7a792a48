"""Folds, the scaled arrays of a fold, and predictions of held-out cells."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_equal as equal
from sklearn.model_selection import GroupKFold

from sbnn import grouped_folds, later_fold, paper_folds
from sbnn.evaluation.folds import check_folds, held_out_means
from sbnn.results import Record


def test_paper_folds_are_the_published_ones():
    folds = paper_folds(1213)
    order = np.random.RandomState(42).permutation(1213)
    assert order[:5].tolist() == [382, 787, 43, 155, 493]
    equal(np.array([test for _, test in folds]), order[:1210].reshape(10, 121))
    equal(folds[1][0], np.r_[order[:121], order[242:]])
    equal(check_folds(np.int64(10), 30), paper_folds(30, 10, 42))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 7), min_size=5, max_size=60), st.integers(2, 5))
def test_folds_part_the_cells_the_groups_or_the_times(groups, n_folds):
    groups = np.array(groups)
    n_groups = len(set(groups))
    assume(n_groups >= n_folds)
    grouped = grouped_folds(groups, n_folds)
    [later] = later_fold(groups)
    cells = np.arange(len(groups))
    for train, test in [*grouped, later]:
        equal(sorted([*train, *test]), cells)
        assert not set(groups[train]) & set(groups[test])
    equal(sorted(np.concatenate([test for _, test in grouped])), cells)
    earlier = set(groups[later[0]])
    assert max(earlier) < groups[later[1]].min()
    assert len(earlier) == min(round(0.8 * n_groups), n_groups - 1)


def test_dates_may_be_text_and_none_may_be_missing():
    [(train, test)] = later_fold(["20181002", "2017-05", "2018-10-02 12:00"])
    assert (train.tolist(), test.tolist()) == ([0, 1], [2])
    for wrong in (["May", "June"], [None, "2018"], [np.nan, 2018.0]):
        with pytest.raises(ValueError, match="times: expected|ISO8601"):
            later_fold(wrong)


@pytest.mark.parametrize(
    "folds",
    [
        [],
        [([], [2])],
        [([2], [])],
        [([0, 1], [2, 2])],
        [([0, 1], [1, 2])],
        [([0], [1]), ([0], [4])],
        [([0, 1.5], [2])],
        pd.DataFrame({"train": [0], "test": [1]}),
        GroupKFold(2),
    ],
)
def test_folds_that_would_mislead_are_rejected(folds):
    """Others may share training cells and leave cells out."""
    pairs = [([0, 1, 1], [2]), ([0, 1], [3])]
    equal(check_folds(pairs, 5), pairs)
    with pytest.raises(ValueError, match="folds: .*expected a number, a splitter"):
        check_folds(folds, 4)


def test_held_out_predictions_of_several_folds_are_averaged():
    """Of z-scores of the training cells, whose mean is 5 and SD 2."""
    folds = [([2, 3], [0, 1]), ([2, 3], [1, 2])]
    predictions = [np.array([[1.0], [2.0]]), np.array([[4.0], [8.0]])]
    values = {"test_predictions": [predictions]}
    record = Record("", "", "", [{}], settings={"scaling": "fold"}, folds=folds, values=values)
    equal(held_out_means(record, [[0], [0], [3], [7], [0]], 0).ravel(), [7, 11, 21, np.nan, np.nan])
