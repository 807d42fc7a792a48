"""What holds for all folds, and what a record may hold."""

import numpy as np
import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sbnn.evaluation.folds import grouped_folds, later_fold, paper_folds
from sbnn.results import Record, load, save


@settings(max_examples=40)
@given(st.lists(st.integers(0, 7), min_size=5, max_size=60), st.integers(2, 5), st.integers(0, 1000))
def test_folds_part_the_cells_the_groups_or_the_times(groups, n_folds, seed):
    assume(len(set(groups)) >= n_folds)
    groups, cells = np.array(groups), list(range(len(groups)))
    [later], grouped = later_fold(groups, 0.3), grouped_folds(groups, n_folds, seed)
    paper = paper_folds(len(cells), n_folds, seed)
    for train, test in [*paper, *grouped, later]:
        assert sorted([*train, *test]) == cells, "each cell on one side"
    assert all(len(test) == len(cells) // n_folds for _, test in paper)
    assert len({cell for _, test in paper for cell in test}) == n_folds * (len(cells) // n_folds)
    assert all(not set(groups[train]) & set(groups[test]) for train, test in grouped)
    assert sorted(np.concatenate([test for _, test in grouped])) == cells
    assert groups[later[0]].max() < groups[later[1]].min()


VALUES = {
    "plain": [None, True, -(2**80), 2**63, -1, 0.5, float("inf"), "µ", b"\0\xff"],
    "keys": {1: "a", "1": "b", None: 1, False: 2, b"x": 3, 2**64 - 1: 4},
    "nested": ((), [], {}, (1, [2, (3,)])),
    "arrays": [np.arange(3).astype(kind) for kind in ("?", "i1", "u1", "<i2", ">i4", "u8", "f2", "<f4", ">f8")],
    "shapes": [np.array(np.nan), np.zeros((0, 3)), np.zeros((2, 0, 1)), np.asfortranarray(np.eye(2, 3))],
    "table": pd.DataFrame({"a": [1.0, np.nan], "b": [2, 3]}, index=[5, 4]),
}


def test_what_a_record_may_hold_comes_back(tmp_path):
    path = save(Record("fit", "toy", "ab", [{"alpha": 1.0}], values=VALUES, versions={}), tmp_path / "r.pickle")
    found = load(path).values
    for name in ("plain", "nested", "keys"):
        assert repr(found[name]) == repr(VALUES[name])
    for one, other in zip(VALUES["arrays"] + VALUES["shapes"], found["arrays"] + found["shapes"], strict=True):
        assert other.dtype == one.dtype.newbyteorder("=")
        np.testing.assert_array_equal(other, one, strict=other.dtype == one.dtype)
    pd.testing.assert_frame_equal(found["table"], VALUES["table"], check_column_type=False)
