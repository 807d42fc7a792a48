"""What holds for all folds, scores, counts and records, whatever the numbers, as hypothesis thinks of them."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sbnn.data.preprocessing import log2p1, normalize_library_size, size_of_library
from sbnn.evaluation.folds import grouped_folds, later_fold, paper_folds
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Record, load, save

FEW = settings(max_examples=40)


@FEW
@given(st.integers(2, 200), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_folds_of_the_paper_part_the_cells(n, n_folds, seed):
    assume(n >= n_folds)
    folds = paper_folds(n, n_folds, seed)
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(n)), "each cell on one side"
        assert len(test) == n // n_folds
    tested = np.concatenate([test for _, test in folds])
    assert len(set(tested)) == len(tested), "no cell is tested twice"


@FEW
@given(st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=60), st.integers(2, 5), st.integers(0, 1000))
def test_no_group_is_split_and_every_cell_is_tested_once(groups, n_folds, seed):
    assume(len(set(groups)) >= n_folds)
    folds, groups = grouped_folds(groups, n_folds, seed), np.array(groups)
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(groups)))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(groups)))


@FEW
@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.floats(0.01, 0.99))
def test_what_is_tested_is_later_than_all_that_is_trained_on(times, share):
    assume(len(set(times)) > 1)
    [(train, test)] = later_fold(times, share)
    times = np.array(times)
    assert times[train].max() < times[test].min()
    assert sorted([*train, *test]) == list(range(len(times)))


COUNTS = arrays.arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 8)), elements=st.integers(0, 5000))


@FEW
@given(COUNTS, st.integers(100, 100_000))
def test_cells_have_the_total_asked_for_which_is_found_again_in_the_logarithms(raw, target):
    assume(raw.sum(1).all())
    normalized = normalize_library_size(raw, target).astype(np.float64)
    np.testing.assert_allclose(normalized.sum(1), target, rtol=1e-5)
    np.testing.assert_allclose(normalized * raw.sum(1, keepdims=True), raw * target, rtol=1e-5)
    assert size_of_library(log2p1(normalize_library_size(raw, target)), raw) == pytest.approx(target, rel=1e-4)


@FEW
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.floats(-1e3, 1e3)),
    st.integers(0, 2**32 - 1),
)
def test_scores_are_what_their_definition_says(Y, seed):
    rng = np.random.default_rng(seed)
    predicted, mean = Y + rng.normal(size=Y.shape), rng.normal(size=Y.shape[1])
    errors = sum((Y[i, j] - predicted[i, j]) ** 2 for i in range(len(Y)) for j in range(Y.shape[1]))
    total = sum((Y[i, j] - mean[j]) ** 2 for i in range(len(Y)) for j in range(Y.shape[1]))
    assert pooled_r2(Y, predicted, mean) == pytest.approx(1 - errors / total, rel=1e-9)
    for j, r2 in enumerate(feature_r2(Y, predicted, mean)):
        assert r2 == pytest.approx(pooled_r2(Y[:, j], predicted[:, j], mean[j]), rel=1e-9)
    order = rng.permutation(len(Y))
    assert pooled_r2(Y[order], predicted[order], mean) == pytest.approx(1 - errors / total, rel=1e-9)


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
        return isinstance(b, pd.DataFrame) and list(a) == list(b) and all(alike(a[c].values, b[c].values) for c in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype.newbyteorder(a.dtype.byteorder) and np.array_equal(
            a, b, equal_nan=a.dtype.kind == "f"
        )
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


def record(values):
    return Record("fit", "toy", "ab", [{"alpha": 1.0}], values=values, versions={})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("results") / "r.pickle"


@settings(max_examples=120)
@given(values=st.dictionaries(TEXT, VALUES, max_size=3))
def test_what_a_record_may_hold_comes_back(path, values):
    path.unlink(missing_ok=True)
    save(record(values), path)
    assert alike(values, load(path).values)
