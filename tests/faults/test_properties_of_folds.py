"""What holds for all folds: nothing is tested that was trained on, no group is split, later is later."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from sbnn.evaluation.folds import check_folds, folds_of, grouped_folds, later_fold, paper_folds

FEW = settings(max_examples=40)


class Cells:
    def __init__(self, n):
        self.X = self.Y = np.zeros((n, 1))


@FEW
@given(st.integers(2, 200), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_folds_of_the_paper_part_the_cells(n, n_folds, seed):
    if n < n_folds:
        with pytest.raises(ValueError, match="n_folds"):
            paper_folds(n, n_folds, seed)
        return
    folds = paper_folds(n, n_folds, seed)
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(n)), "each cell on one side"
        assert len(test) == n // n_folds
    tested = np.concatenate([test for _, test in folds])
    assert len(set(tested)) == len(tested), "no cell is tested twice"
    assert folds_of(n_folds, Cells(n))[0][1].tolist() == paper_folds(n, n_folds)[0][1].tolist()


@FEW
@given(st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=60), st.integers(2, 5), st.integers(0, 1000))
def test_no_group_is_split_and_every_cell_is_tested_once(groups, n_folds, seed):
    if len(set(groups)) < n_folds:
        with pytest.raises(ValueError, match="groups leave a fold without|folds need two groups"):
            grouped_folds(groups, n_folds, seed)
        return
    folds, groups = grouped_folds(groups, n_folds, seed), np.array(groups)
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(groups)))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(groups)))


@FEW
@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.floats(0.01, 0.99))
def test_what_is_tested_is_later_than_all_that_is_trained_on(times, share):
    if len(set(times)) < 2:
        with pytest.raises(ValueError, match="there is no later one"):
            later_fold(times, share)
        return
    [(train, test)] = later_fold(times, share)
    times = np.array(times)
    assert times[train].max() < times[test].min()
    assert sorted([*train, *test]) == list(range(len(times)))


@FEW
@given(st.integers(4, 40), st.integers(2, 4), st.data())
def test_folds_with_a_cell_on_both_sides_or_outside_are_refused(n, n_folds, data):
    folds = folds_of(KFold(n_folds), Cells(n))
    fold = data.draw(st.integers(0, n_folds - 1))
    train, test = folds[fold]
    odd = data.draw(st.sampled_from([train[0], n, -1, 10**9]))
    folds[fold] = train, np.append(test, odd)
    with pytest.raises(ValueError, match=f"fold {fold}"):
        check_folds(folds, n)
