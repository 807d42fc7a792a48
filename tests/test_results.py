"""Records come back to the bit, are never half written, and reading one runs no code."""

import os
import pickle
import subprocess
import sys
import tracemalloc
import zlib
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from damage import edits, with_edits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sbnn import results
from sbnn.plain import MOST_AXES, ZLIB_RATIO, decode, encode
from sbnn.results import Record, load, save

FOLDS = [(np.array([0, 1]), np.array([2])), (np.array([2]), np.array([0, 1]))]
ARRAYS = [
    *[np.arange(3).astype(kind) for kind in ("?", "i1", "u1", "<i2", ">i4", "u8", "f2", "<f4")],
    np.array(np.nan),
    np.zeros((2, 0, 1)),
    np.asfortranarray(np.eye(2, 3)),
    np.array([["Sst", "µ", "Sst"], ["Sst", "", "Sst"]], dtype=object),
]
PLAIN = {
    "list": [None, True, -(2**80), 2**63, 0.5, float("inf"), "µ", b"\0\xff"],
    "keys": {1: "a", "1": "b", None: 1, b"x": 3},
    "nested": ((), [], {}, (1, [2, (3,)])),
    "table": pd.DataFrame({"stage": ["a", "b"], "loss": [1.0, np.nan]}, index=[5, 4]),
}


@pytest.fixture
def record():
    """A record of three grid points in two folds, with every kind of value."""
    points = [
        {"rank": 1, "alpha": 0.1},
        {"rank": 2, "alpha": 0.1},
        {"rank": 2, "alpha": 0.3, "genes": ["a"]},
    ]
    values = {
        "test_r2": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
        "n_selected": np.array([[9, 5, 2], [8, 6, 3]]),
        "turned": np.ones((3, 2)),
        "arrays": ARRAYS,
    }
    estimator = {"params": {"alpha": 9, "width": 4}}
    about = "cv", "toy", "ab" * 32, points, 3, {"estimator": estimator}, FOLDS
    return Record(*about, values | PLAIN, {"python": "3"})


def test_round_trip_keeps_every_bit(record, tmp_path):
    path = save(record, tmp_path / "deep" / "folder" / "r.pickle")
    again = load(path)
    for name in ("params", "seed", "settings", "folds", "versions"):
        assert repr(getattr(again, name)) == repr(getattr(record, name))
    assert repr({name: again.values[name] for name in PLAIN}) == repr(PLAIN)
    for a, b in zip(ARRAYS, again.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
        assert b.dtype == a.dtype.newbyteorder("=")
        assert b.flags.writeable
    outer = pickle.loads(path.read_bytes())  # by the pickle of everybody, too
    assert list(outer) == ["format", "schema", "sha256", "content"]
    inner = pickle.loads(outer["content"])
    assert inner["params"][1] == {"__dict__": [["rank", 2], ["alpha", 0.1]]}
    slow = ("torch", "sklearn", "scipy", "anndata", "matplotlib")
    blocked = f"import sys\nfor name in {slow}: sys.modules[name] = None\n"
    code = f"{blocked}from sbnn import results\nprint(results.load({str(path)!r}).test_r2.shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "(2, 3)\n", done.stderr


def test_scalars_and_text_of_numpy_are_stored_as_those_of_python():
    assert repr(encode([np.float64(0.25), np.str_("Vip")], "x")) == "[0.25, 'Vip']"
    assert encode(np.array(["a", "bc"]), "x") == {"__text__": ["a", "bc"], "shape": [2]}
    assert Record("fit", "toy", "ab", [{}]).versions["numpy"] == np.__version__


def test_a_table_without_rows_is_kept():
    empty = pd.DataFrame({"loss": np.zeros(0)}, index=np.zeros(0, int))
    pd.testing.assert_frame_equal(decode(encode(empty, "x"), 1), empty)


# -- what a record answers -------------------------------------------------------------------------


def test_grid_points_are_found_by_their_parameters(record):
    assert record.points(rank=2) == [1, 2]
    assert record.points(rank=2 + 1e-10) == [1, 2]
    assert record.points(rank=2 + 1e-8) == record.points(rank="2") == []
    assert record.points(width=4, alpha=0.3) == [2], "width is the same for all points"
    assert record.points(genes=np.array(["a"])) == record.points(genes={"a"}) == [2]
    assert record.find(rank=2, alpha=0.3) == 2
    assert record.parameter(2, "alpha") == 0.3
    assert record.parameter(2, "x", 7) == 7
    with pytest.raises(KeyError, match="rank"):
        record.find(rank=2)
    for point in (3, -4, "a"):
        with pytest.raises(ValueError, match="point"):
            record.parameter(point, "rank")


def test_the_point_with_the_most_genes_that_are_allowed(record):
    """Means are 8.5, 5.5 and 2.5 genes, which round to 8, 6 and 2."""
    found = [record.best_with_at_most(most) for most in (1, 2, 5, 6, 7, 8, 99)]
    assert found == [2, 2, 2, 1, 1, 0, 0]
    assert record.best_with_at_most(2, rank=1) == 0
    with pytest.raises(TypeError, match="n_genes"):
        record.best_with_at_most("many")


def test_a_table_has_a_row_for_each_fold_and_point(record):
    table = record.to_frame()
    assert table["fold"].tolist() == [0, 1, 0, 1, 0, 1]
    assert table["rank"].tolist() == [1, 1, 2, 2, 2, 2]
    assert table["test_r2"].tolist() == [0.1, 0.4, 0.2, 0.5, 0.3, 0.6]
    assert "turned" not in table, "it has another shape"
    single = Record("fit", "toy", "ab", [{"a": 1}]).to_frame()
    assert single.to_dict("list") == {"fold": [0], "a": [1]}


def test_values_are_attributes(record):
    assert record.test_r2 is record.values["test_r2"]
    assert "3 parameter setting(s), 2 fold(s)" in repr(record)
    with pytest.raises(AttributeError, match="no 'r2'"):
        _ = record.r2


def test_parameters_are_kept_as_plain_containers():
    given = {"a": pd.Series([1, 2], ["x", "y"]), "b": {3, 1}, "c": np.arange(2), "d": (1, 2)}
    kept = {"a": {"x": 1, "y": 2}, "b": [1, 3], "c": [0, 1], "d": (1, 2)}
    assert results.kept_params(given) == kept


def test_what_a_function_needs_of_a_record(record):
    results.require(record, "record", ["test_r2", "rank", "width", "genes"], record)
    other = Record("fit", "own", "cd" * 32, [{}])
    for wrong, names, same, message in (
        (record, ["x", "rank", "y"], None, "x, y"),
        (3, [], None, "got int"),
        (other, [], record, "'own'"),
    ):
        with pytest.raises(ValueError, match=f"record: .*{message}"):
            results.require(wrong, "record", names, same)


def test_records_of_a_folder_are_of_the_same_data(record, tmp_path):
    folder = results.results_folder(tmp_path, "toy")
    assert folder == tmp_path / "toy"
    assert results.results_folder(tmp_path, "toy", fast=True) == tmp_path / "toy-fast"
    with pytest.raises(FileNotFoundError, match="no results"):
        results.load_folder(folder)
    save(record, folder / "b-all.pickle")
    save(record, folder / "linear.pickle")
    assert list(results.load_folder(folder)) == ["b-all", "linear"]
    assert list(results.load_folder(folder, "b-")) == ["all"]
    save(Record("fit", "own", "cd" * 32, [{}]), folder / "c.pickle")
    with pytest.raises(ValueError, match="'toy'.*'own'"):
        results.load_folder(folder)
    seeds = results.load_folder(folder, data_of=lambda record: record.seed)
    assert len(seeds) == 3, "a record without a seed goes with any"


# -- writing ---------------------------------------------------------------------------------------


def test_paths_of_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "a.pickle"
    assert results.results_path("~/a.pickle", inputs=[None, tmp_path / "b"]) == path
    for wrong in ("", "x/", 3, "/dev/null", "/tmp"):
        with pytest.raises(ValueError, match="file: expected the path of a file"):
            results.results_path(wrong, "file")
    with pytest.raises(ValueError, match="out: .*overwritten"):
        results.results_path(path, "out", [None, "~/./a.pickle"])


def test_what_is_something_else_is_not_overwritten(record, tmp_path):
    path = save(record, tmp_path / "r.pickle")
    save(record, path)
    path.write_text("cell,a")
    with pytest.raises(ValueError, match="is another kind of file"):
        save(record, path)
    results.write_atomically(b"cell,b", path, b"c.l+,")
    assert path.read_text() == "cell,b"


def test_a_failed_write_leaves_the_old_file(record, tmp_path, monkeypatch):
    path = save(record, tmp_path / "r.pickle")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="cannot write"):
        save(record, path / "in a file.pickle")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot write .*r.pickle.*No space left.*unchanged"):
        save(Record("fit", "toy", "", [{}]), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path], "no temporary file is left behind"
    umask = os.umask(0o022)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask, "as other files, not private"


circle = []
circle.append(circle)


@pytest.mark.parametrize(
    ("part", "value", "error"),
    [
        ("values", {"odd": {1, 2}}, TypeError),
        ("values", {"odd": np.array([object()])}, TypeError),
        ("values", {"odd": np.array([1j])}, TypeError),
        ("values", {"odd": {(1, 2): 3}}, TypeError),
        ("values", {"odd": pd.DataFrame([[1, 2]], columns=["1", 1])}, ValueError),
        ("values", {"recursion": circle}, RecursionError),
        ("values", {1: 2}, TypeError),
        ("params", [1], TypeError),
        ("folds", [([1, 2], [3])], TypeError),
        ("folds", [(np.arange(2), np.eye(1, dtype=int))], TypeError),
        ("folds", [(np.eye(1, dtype=int), np.arange(2))], TypeError),
        ("seed", 1.5, TypeError),
    ],
)
def test_what_could_not_be_read_back_is_not_written(record, tmp_path, part, value, error):
    setattr(record, part, value)
    with pytest.raises(error, match=f"{part}|recursion"):
        save(record, tmp_path / "r.pickle")
    assert not list(tmp_path.iterdir())


# -- how values are stored -------------------------------------------------------------------------


def test_text_that_repeats_is_stored_once():
    texts = np.array(["a", "b", "a", None, np.nan], dtype=object)
    assert encode(texts, "names")["__text__"] == ["a", "b", "a", "", ""]
    for n in (2, 2**16, 2**16 + 1):  # codes of more than 16 bits
        texts = np.array([f"t{i}" for i in range(n)] * 2, dtype=object)
        stored = encode(texts, "names")
        assert len(stored["__text__"]) == n
        np.testing.assert_array_equal(decode(stored, 10**7), texts)


def test_bytes_are_grouped_by_significance():
    stored = encode(np.arange(3, dtype=">i2"), "values")
    assert zlib.decompress(stored.pop("planes")) == b"\0\1\2\0\0\0"
    assert stored == {"__array__": "<i2", "shape": [3]}


def test_arrays_take_at_most_what_a_file_can_hold():
    largest = encode(np.zeros(ZLIB_RATIO, np.uint8), "values")
    text = {"__text__": ["a"], "codes": largest}
    axes = [1] * MOST_AXES
    assert decode(largest, 1).shape == decode(text, 9).shape == (ZLIB_RATIO,)
    assert decode(largest | {"shape": [*axes[:31], ZLIB_RATIO]}, 1).ndim == 32  # any numpy takes it
    for value, size, message in (
        (largest, 0, "more than the file can hold"),
        ([largest, largest], 1, "more than the file can hold"),
        (text, 8, "more than the file can hold"),
        (largest | {"shape": [*axes, ZLIB_RATIO]}, 1, "axes"),
        (largest | {"shape": [ZLIB_RATIO - 1]}, 9, "reshape"),
        (largest | {"shape": [ZLIB_RATIO + 1]}, 9, "reshape"),
    ):
        with pytest.raises(ValueError, match=message):
            decode(value, size)


# -- files that are damaged or made to do harm -----------------------------------------------------


def spelled_out(record, **parts):
    return {
        part.name: encode(getattr(record, part.name), part.name) for part in fields(Record)
    } | parts


def sealed(content):
    """A file with any content and the right checksum, as somebody who means harm would write it."""
    return results._seal(
        content if isinstance(content, bytes) else pickle.dumps(content, protocol=4)
    )


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Checks that reading a file is a ValueError that names it, and takes little memory."""
    monkeypatch.chdir(tmp_path)

    def check(content, message=""):
        (tmp_path / "r.pickle").write_bytes(content)
        tracemalloc.start()
        with pytest.raises(ValueError, match=f"r.pickle is not a record of sbnn.*{message}"):
            load("r.pickle")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20_000_000 + 20 * len(content)

    return check


class Payload:
    def __reduce__(self):
        return os.system, ("echo run > owned",)


def test_a_pickle_that_would_run_code_is_refused(refused):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps({"values": Payload()}, protocol=protocol)
        refused(content)
        refused(sealed(content))
    assert not os.path.exists("owned")


def test_a_flipped_bit_anywhere_is_noticed(record, tmp_path, refused):
    whole = save(record, tmp_path / "small.pickle").read_bytes()
    for bit in [*range(0, 8 * 170, 7), *range(8 * 170, 8 * len(whole), 331), -1]:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(flipped)
    for other in (whole + b".", whole[:-1], whole[1:], b""):
        refused(other, "truncated, altered")
    with pytest.raises(FileNotFoundError):
        load("missing.pickle")


def zeros(n, shape, dtype="|u1"):
    return {"__array__": dtype, "shape": shape, "planes": zlib.compress(bytes(n), 9)}


PAIR = zeros(16, [2], "<f8")
PACKED = zeros(1_000_000, [1_000_000])  # its bytes may stand in many places, no container may
TOO_MUCH = "more than the file can hold"


def shared(value):
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (zeros(90_000_000, [1]), ""),
        (zeros(90_000_000, [-1]), TOO_MUCH),
        (zeros(1, [2**40]), TOO_MUCH),
        (zeros(1, [2**62] * 100_000), "axes"),
        (zeros(0, [0, 2**63 - 1, 2**63 - 1]), ""),
        ([PACKED] * 100, "BINGET"),
        ([PACKED | {"shape": [1_000_000]} for _ in range(100)], TOO_MUCH),
        (shared(b""), "BINGET"),
        (
            [{"__text__": ["a"], "codes": zeros(10**6 - i, [10**6 - i])} for i in range(10)],
            TOO_MUCH,
        ),
        ({"__text__": ["a", 1], "shape": [2]}, ""),
        ({"__text__": ["a"], "codes": zeros(2, [2], "O")}, ""),
        (PAIR | {"planes": bytes(16)}, ""),
        ({"__table__": {"a": PAIR}, "index": zeros(24, [3], "<i8")}, "differ in length"),
        ({"__table__": {"a": zeros(16, [2, 1])}, "index": zeros(16, [2, 1], "<i8")}, "of labels"),
    ],
)
def test_a_small_file_takes_little_memory(record, refused, odd, message):
    refused(sealed(spelled_out(record, values={"__dict__": [["odd", odd]]})), message)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x0f.",  # puts into slot 2**28 of the memo
        b"\x80\x04Nj\xff\xff\xff\x7f.",  # takes from slot 2**31
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes of length 2**63
        b"\x80\x04\x8b\xff\xff\xff\x7f\x01.",  # a number of 2**31 bytes
        b"\x80\x04(((((((((.",
        b"\x80\x04]2a.",  # a list in itself
        b"\x80\x04]\x94h\x00a.",
        b"\x80\x02\x82\xf0)R.",  # calls what is registered as extension 240, which needs no import
    ],
)
def test_odd_instructions_are_refused(refused, content):
    refused(sealed(content), "EXT1" if b"\x82" in content else "")


INSTRUCTIONS = b"}]()(.aesu\x94h\x8cCKJG2012R\x82\x95"


@pytest.mark.parametrize("times", [100, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_hostile_file_is_a_record_or_refused(record, tmp_path, times):
    path = tmp_path / "r.pickle"
    usual = pickle.dumps(spelled_out(record), protocol=4)

    @settings(max_examples=times, suppress_health_check=list(HealthCheck))
    @given(edits(INSTRUCTIONS), st.booleans())
    def try_one(changes, before):
        content = with_edits(usual, changes)
        path.write_bytes(sealed(content) if before else with_edits(sealed(usual), changes))
        try:
            read = load(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:  # one that can be saved again
            spelled_out(read)

    try_one()
