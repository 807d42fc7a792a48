"""Whatever a record may hold comes back as it was; what it may not hold is refused before the file is touched."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sbnn.results import Record, load, save

FEW = settings(max_examples=120)
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
NO_DATA = st.sampled_from([{1}, object(), print, 1j, np.array([1j]), np.array([{}]), np.datetime64("2020"), range(3)])


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


@FEW
@given(values=st.dictionaries(TEXT, VALUES, max_size=3))
def test_what_a_record_may_hold_comes_back(path, values):
    path.unlink(missing_ok=True)
    save(record(values), path)
    assert alike(values, load(path).values)


@FEW
@given(values=st.dictionaries(TEXT, VALUES, max_size=2), odd=NO_DATA, nested=st.booleans())
def test_what_it_may_not_hold_is_refused_before_the_file_is_touched(path, values, odd, nested):
    before = save(record({"old": 1}), path).stat()
    with pytest.raises(TypeError, match="odd"):
        save(record(values | {"odd": [(1, {"a": odd})] if nested else odd}), path)
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert list(path.parent.iterdir()) == [path]
