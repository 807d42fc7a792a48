"""Records come back to the bit, are never half written, and reading one runs no code."""

import hashlib
import os
import pickle
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
    1: [None, True, -(2**80), float("inf"), "µ", b"\0\xff"],
    "1": ([], {}, (1, [2, (3,)])),
    "table": pd.DataFrame({"stage": ["a", "b"], "loss": [1.0, np.nan]}, index=[5, 4]),
}


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
    return Record("cv", "toy", "ab" * 32, points, 3, settings, folds, values)


def test_round_trip_keeps_every_bit(record, tmp_path):
    path = save(record, tmp_path / "deep" / "folder" / "r.pickle")
    again = load(path)
    for name in ("params", "seed", "settings", "folds", "versions", "plain"):
        assert repr(getattr(again, name)) == repr(getattr(record, name))
    for a, b in zip(ARRAYS, again.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
        assert b.dtype == a.dtype.newbyteorder("=")
        assert b.flags.writeable
    assert list(path.parent.iterdir()) == [path]


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
    save(record, tmp_path / "b-all.pickle")
    save(record, tmp_path / "linear.pickle")
    assert list(results.load_folder(tmp_path)) == ["b-all", "linear"]
    assert list(results.load_folder(tmp_path, "b-")) == ["all"]
    save(Record("fit", "own", "cd" * 32, [{}]), tmp_path / "c.pickle")
    with pytest.raises(ValueError, match="several data sets.*'own'.*'toy'"):
        results.load_folder(tmp_path)


# -- writing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        ("fsync", FULL, "cannot write .*r.pickle.*No space left.*unchanged"),
        ("replace", KeyboardInterrupt(), None),
    ],
)
def test_a_failed_write_leaves_the_old_file(step, error, message, record, tmp_path, monkeypatch):
    path = save(record, tmp_path / "r.pickle")
    before = path.read_bytes()
    monkeypatch.setattr(os, step, Mock(side_effect=error))
    with pytest.raises(type(error), match=message):
        save(Record("fit", "toy", "", [{}]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left behind"


def test_the_file_behind_a_link_is_replaced(record, tmp_path):
    link = tmp_path / "link.pickle"
    link.symlink_to(tmp_path / "file.pickle")
    save(record, link)
    assert link.is_symlink() and load(tmp_path / "file.pickle").dataset == record.dataset


def test_two_writers_of_a_file_have_their_own_temporary_files(record, tmp_path, monkeypatch):
    """As of two notebooks that run side by side."""
    replace = Mock()
    monkeypatch.setattr(os, "replace", replace)
    for _ in range(2):
        save(record, tmp_path / "r.pickle")
    one, other = [call.args[0] for call in replace.call_args_list]
    assert one != other


@pytest.mark.parametrize("value", [Payload(), np.array([object()]), os.system])
def test_what_could_not_be_read_back_is_not_written(record, tmp_path, value):
    record.values["odd"] = value
    with pytest.raises(ValueError, match="may hold data only"):
        save(record, tmp_path / "r.pickle")
    assert not list(tmp_path.iterdir())


# -- files that are damaged or made to do harm -----------------------------------------------------


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Checks that reading a file is a ValueError that names it, and runs nothing."""
    monkeypatch.chdir(tmp_path)

    def check(content, message=""):
        (tmp_path / "r.pickle").write_bytes(content)
        with pytest.raises(ValueError, match=f"r.pickle is not a record .*{message}"):
            load("r.pickle")
        assert not os.path.exists("owned")

    return check


def test_a_flipped_bit_anywhere_is_noticed(record, tmp_path, refused):
    whole = save(record, tmp_path / "small.pickle").read_bytes()
    for place in range(0, len(whole), 41):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        refused(flipped)
    for other in (whole + b".", whole[:-1], b""):
        refused(other, "sbnn 1.0 or earlier must be computed again")


HOSTILE = [
    *[(pickle.dumps(Payload(), protocol), "system") for protocol in range(6)],
    # of objects that are registered in this process, whatever their class is
    *[(b"\x80\x02\x82\xf0.", "EXT1"), (b"\x80\x02\x83\xf0\0.", "EXT2")],
    *[(b"\x80\x02\x84\xf0\0\0\0.", "EXT4"), (b"Powned\n.", "PERSID")],
    (b"\x80\x02K\x01Q.", "BINPERSID"),
]


@pytest.mark.parametrize(("content", "message"), HOSTILE)
def test_a_pickle_that_would_run_code_is_refused(content, message, refused):
    """With the right checksum, as somebody who means harm would write it."""
    refused(content + hashlib.sha256(content).digest(), message)
