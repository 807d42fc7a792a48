"""Records come back to the bit, are never half written, and reading one runs no code."""

import io
import lzma
import os
import pickle
import subprocess
import sys
import time
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from files import Payload

from sbnn import results
from sbnn.results import Record, load, save

ARRAYS = [
    *[np.arange(3).astype(kind) for kind in ("?", ">i4", "f2", "<f4")],
    np.array(np.nan),
    np.zeros((2, 0, 1)),
    np.asfortranarray(np.eye(2, 3)),
    np.array([["Sst", "µ"], ["", "Sst"]], dtype=object),
]
PLAIN = {
    1: [None, True, -(2**80), float("inf"), float("nan"), "µ"],
    "1": ([], {}, (1, [2, (3,)])),
    "table": pd.DataFrame({"stage": ["a", "b"], "loss": [1.0, np.nan]}, pd.Index([5, 4], name="n")),
}


RANGE = pd.date_range("2020-01-01", periods=2).to_numpy()
MASKED = np.ma.array([1.0, 2.0], mask=[False, True])
FULL = OSError(28, "No space left on device")


@pytest.fixture
def record():
    """A record of three grid points in two folds, with every kind of value."""
    points = [{"rank": 1}, {"rank": 2}, {"rank": 2, "alpha": 0.3, "genes": ["a"]}]
    values = {
        "test_r2": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
        "n_selected": np.array([[9, 5, 2], [8, 6, 3]]),
        "turned": np.ones((3, 2)),
        "arrays": ARRAYS,
        "plain": PLAIN,
    }
    settings = {"estimator": {"params": {"alpha": 9, "width": 4}}}
    folds = [(np.array([0, 1]), np.array([2])), (np.array([2]), np.array([0, 1]))]
    return Record(
        experiment="cv",
        dataset="toy",
        sha256="ab" * 32,
        params=points,
        seed=3,
        settings=settings,
        folds=folds,
        values=values,
    )


def test_round_trip_keeps_every_bit(record, tmp_path):
    path = save(record, tmp_path / "deep" / "folder" / "r.pickle.xz")
    again = load(path)
    for name in ("params", "seed", "settings", "folds", "versions", "plain"):
        assert repr(getattr(again, name)) == repr(getattr(record, name))
    for a, b in zip(ARRAYS, again.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
        assert b.dtype == a.dtype.newbyteorder("=")
        assert b.flags.writeable
    assert list(path.parent.iterdir()) == [path]


def test_pandas_reads_a_record_without_this_package(record, tmp_path):
    path = save(record, tmp_path / "r.pickle.xz")
    command = f"""
import sys, pandas
record = pandas.read_pickle({str(path)!r})
assert not any(name.partition(".")[0] == "sbnn" for name in sys.modules)
values = record["values"]
print(record["dataset"], values["test_r2"].tolist(), values["arrays"][-1].tolist())
print(pandas.DataFrame(values["plain"]["table"]["columns"]).shape)
"""
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    rows = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    texts = [["Sst", "µ"], ["", "Sst"]]
    assert done.stdout == f"toy {rows} {texts}\n(2, 2)\n", done.stderr


# -- what a record answers -------------------------------------------------------------------------


def test_grid_points_are_found_by_their_parameters(record):
    assert record.points(rank=2 + 1e-10) == [1, 2]
    assert record.points(rank=2 + 1e-8) == record.points(rank="2") == []
    assert record.points(width=4, alpha=0.3) == [2], "width is the same for all points"
    assert record.points(genes=np.array(["a"])) == [2]
    assert record.find(rank=2, alpha=0.3) == 2
    assert record.parameter(2, "width") == 4
    with pytest.raises(KeyError, match="rank"):
        record.find(rank=2)


def test_the_point_with_the_most_genes_that_are_allowed(record):
    """Means are 8.5, 5.5 and 2.5 genes, which round to 8, 6 and 2."""
    assert [record.best_with_at_most(most) for most in (1, 5, 6, 8)] == [2, 2, 1, 0]
    assert record.best_with_at_most(2, rank=1) == 0


def test_a_table_has_a_row_for_each_fold_and_point(record):
    table = record.to_frame()
    assert table["fold"].tolist() == [0, 1, 0, 1, 0, 1]
    assert table["rank"].tolist() == [1, 1, 2, 2, 2, 2]
    assert table["test_r2"].tolist() == [0.1, 0.4, 0.2, 0.5, 0.3, 0.6]
    assert "turned" not in table, "it has another shape"


def test_records_of_a_folder_are_of_the_same_data(record, tmp_path):
    with pytest.raises(FileNotFoundError, match="no results"):
        results.load_folder(tmp_path)
    save(record, tmp_path / "b-all.pickle.xz")
    save(record, tmp_path / "linear.pickle.xz")
    assert list(results.load_folder(tmp_path)) == ["b-all", "linear"]
    assert list(results.load_folder(tmp_path, "b-")) == ["all"]
    save(Record("fit", "own", "cd" * 32, [{}]), tmp_path / "c.pickle.xz")
    with pytest.raises(ValueError, match="several data sets.*'own'.*'toy'"):
        results.load_folder(tmp_path)


# -- writing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        ("fsync", FULL, "cannot write .*r.pickle.xz.*No space left.*unchanged"),
        ("replace", KeyboardInterrupt(), None),
    ],
)
def test_a_failed_write_leaves_the_old_file(step, error, message, record, tmp_path, monkeypatch):
    path = save(record, tmp_path / "r.pickle.xz")
    before = path.read_bytes()
    monkeypatch.setattr(os, step, Mock(side_effect=error))
    with pytest.raises(type(error), match=message):
        save(Record("fit", "toy", "", [{}]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left behind"


def test_the_file_behind_a_link_is_replaced(record, tmp_path):
    link = tmp_path / "link.pickle.xz"
    link.symlink_to(tmp_path / "file.pickle.xz")
    save(record, link)
    assert link.is_symlink() and load(tmp_path / "file.pickle.xz").dataset == record.dataset


def test_two_writers_of_a_file_have_their_own_temporary_files(record, tmp_path, monkeypatch):
    """As of two notebooks that run side by side."""
    replace = Mock()
    monkeypatch.setattr(os, "replace", replace)
    for _ in range(2):
        save(record, tmp_path / "r.pickle.xz")
    one, other = [call.args[0] for call in replace.call_args_list]
    assert one != other


@pytest.mark.parametrize(
    "value", [Payload(), np.array([object()]), os.system, b"1", {1}, RANGE, MASKED]
)
def test_what_is_no_data_is_not_written(record, tmp_path, value):
    record.values["odd"] = value
    with pytest.raises(ValueError, match="may hold data only"):
        save(record, tmp_path / "r.pickle.xz")
    assert not list(tmp_path.iterdir())


TWO_LEVELS = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame({"v": [1, 2]}, TWO_LEVELS),
        pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="output")),
        {"columns": {"a": np.ones(2)}, "index": np.arange(2), "index_name": None},
        pd.DataFrame(np.eye(2), columns=["a", "a"]),
        np.array(["ends with zero\0"], dtype=object),
    ],
)
def test_what_a_file_would_not_give_back_is_not_written(record, tmp_path, value):
    path = save(record, tmp_path / "r.pickle.xz")
    before = path.read_bytes()
    record.values["odd"] = {"deep": [value]}
    with pytest.raises(ValueError, match="would not give back|columns of the same name"):
        save(record, path)
    assert path.read_bytes() == before


# -- files that are damaged or made to do harm -----------------------------------------------------


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Checks that reading a file is a ValueError that names it, soon, and runs nothing."""
    monkeypatch.chdir(tmp_path)

    def check(content, message=""):
        (tmp_path / "r.pickle.xz").write_bytes(content)
        start = time.process_time()
        with pytest.raises(ValueError, match=f"r.pickle.xz is not a record .*{message}"):
            load("r.pickle.xz")
        assert not os.path.exists("owned")
        return time.process_time() - start

    return check


def test_a_flipped_bit_anywhere_is_noticed(record, tmp_path, refused):
    whole = save(record, tmp_path / "small.pickle.xz").read_bytes()
    for place in range(0, len(whole), 11):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        refused(flipped)
    for other in (whole + b".", whole + b"\0" * 4, whole + whole, whole[:-1], b""):
        refused(other, "sbnn 1.0 or earlier must be computed again")


def nested(depth):
    return b"\x80\x05" + b"]" * depth + b"a" * (depth - 1) + b"."


def called(module, name, arguments):
    """A pickle that calls a function by its name."""
    names = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"\x80\x05" + names + b"\x93" + arguments + b"R."


def dumped(value):
    """A pickle without references to objects that were stored before."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()


SHARED = ["x"] * 10
for _ in range(6):
    SHARED = [SHARED] * 10
EMPTY = dumped(((10**6, 10**6), "<f8", bytearray()))[2:-1]
OBJECTS = dumped(((1,), "|O8", bytearray(8)))[2:-1]
HOSTILE = {
    **{f"protocol {protocol}": pickle.dumps(Payload(), protocol) for protocol in range(6)},
    # of objects that are registered in this process, whatever their class is
    "EXT1": b"\x80\x02\x82\xf0.",
    "EXT2": b"\x80\x02\x83\xf0\0.",
    "EXT4": b"\x80\x02\x84\xf0\0\0\0.",
    "PERSID": b"Powned\n.",
    "BINPERSID": b"\x80\x02K\x01Q.",
    "lists that hold one another": pickle.dumps({"values": SHARED}, 5),
    "deep lists": nested(100),
    "very deep lists": nested(100_000),
    "many items": b"\x80\x05](" + b"N" * 1_500_000 + b"e.",
    "a gigabyte of zeros": b"\x80\x05\x96" + (2**30).to_bytes(8, "little") + bytes(2**30) + b".",
    "an array larger than its bytes": called("numpy", "ndarray", EMPTY),
    "keys that are deep tuples": b"\x80\x05})" + b"\x85" * 800_000 + b"Ns.",
    "keys of one hash": b"\x80\x05}\x8a\x08" + (2**61 - 1).to_bytes(8, "little") + b"Ns.",
    "an array of many axes": called(
        "numpy", "ndarray", dumped(((2**31 - 1,) * 300_000, "<f8", bytearray()))[2:-1]
    ),
    "a shape of text": called(
        "numpy", "ndarray", dumped((("x" * 10,), "<U50000000", bytearray()))[2:-1]
    ),
    "text without characters": called(
        "numpy", "ndarray", dumped(((10**8,), "<U0", bytearray()))[2:-1]
    ),
    "a function in place of a value": b"\x80\x05\x8c\x05numpy\x8c\x07ndarray\x93.",
    "bytes in place of a value": dumped(bytearray(b"x")),
    "something after the end": dumped({}) + b"N.",
    "a table that would be broadcast": dumped(
        {"values": {"columns": {"a": 1}, "index": [1, 2], "index_name": None}}
    ),
    "an array of pointers": called("numpy", "ndarray", OBJECTS),
    "another function of NumPy": called("numpy", "fromfile", b"\x8c\x01x\x85"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_pickle_made_to_do_harm_is_refused(kind, refused):
    """With the right checksum, as somebody who means harm would write it."""
    preset = 0 if len(HOSTILE[kind]) > 2**25 else 6
    assert refused(lzma.compress(HOSTILE[kind], preset=preset)) < 3


def test_a_file_without_a_checksum_is_refused(refused):
    content = lzma.compress(pickle.dumps({}, 5), check=lzma.CHECK_NONE)
    refused(content, "it has no checksum")
