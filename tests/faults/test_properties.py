"""What holds for all folds, counts and records, whatever the numbers, as hypothesis thinks of them."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sbnn.data.preprocessing import log2p1, normalize_library_size, size_of_library
from sbnn.evaluation.folds import grouped_folds, later_fold, paper_folds
from sbnn.results import Record, load, save

FEW = settings(max_examples=40)


@FEW
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


COUNTS = arrays.arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 8)), elements=st.integers(0, 5000))


@FEW
@given(COUNTS, st.integers(100, 100_000))
def test_cells_have_the_total_asked_for_which_is_found_again_in_the_logarithms(raw, target):
    assume(raw.sum(1).all())
    normalized = normalize_library_size(raw, target).astype(np.float64)
    np.testing.assert_allclose(normalized.sum(1), target, rtol=1e-5)
    np.testing.assert_allclose(normalized * raw.sum(1, keepdims=True), raw * target, rtol=1e-5)
    assert size_of_library(log2p1(normalize_library_size(raw, target)), raw) == pytest.approx(target, rel=1e-4)


TEXT = st.text(max_size=5)
PLAIN = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | TEXT | st.binary(max_size=5)
KEYS = TEXT | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.none() | st.binary(max_size=3)
DTYPES = st.sampled_from(["?", "i1", "u1", "<i2", ">i4", "<i8", "u8", "f2", "<f4", ">f8"])
ARRAYS = DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))
NAMES = st.lists(TEXT, max_size=4).map(lambda names: np.array(names, dtype=object))
TABLES = st.integers(0, 3).flatmap(
    lambda n: st.dictionaries(TEXT, arrays.arrays("f8", n) | arrays.arrays("i8", n), max_size=3).map(
        lambda columns: pd.DataFrame(columns, index=np.arange(n))
    )
)
VALUES = st.recursive(
    PLAIN | ARRAYS | NAMES | TABLES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=3).filter(lambda d: len(set(map(repr, d))) == len(d))
    ),
    max_leaves=6,
)


def alike(a, b):
    if isinstance(a, pd.DataFrame):
        return isinstance(b, pd.DataFrame) and alike(dict(a.items()), dict(b.items()))
    if isinstance(a, pd.Series):
        return alike(a.values, b.values)
    if isinstance(a, np.ndarray):
        kind = b.dtype.newbyteorder(a.dtype.byteorder)
        return a.dtype == kind and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


@settings(max_examples=120)
@given(values=st.dictionaries(TEXT, VALUES, max_size=3))
def test_what_a_record_may_hold_comes_back(values):
    with tempfile.TemporaryDirectory() as folder:
        path = save(Record("fit", "toy", "ab", [{"alpha": 1.0}], values=values, versions={}), Path(folder, "r.pickle"))
        assert alike(values, load(path).values)
