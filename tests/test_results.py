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
from damage import edits, slots, with_edits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sbnn import (
    SparseBottleneckRegressor,
    fit_full,
    results,
    simulate_patchseq,
    stability_selection,
)
from sbnn.explorer.explore import Explorer
from sbnn.plain import MOST_AXES, ZLIB_RATIO, decode, encode
from sbnn.results import Record, load, save

REFUSED = "r.pickle is not a record of sbnn"


@pytest.fixture
def record():
    rng = np.random.default_rng(0)
    values = {
        "test_r2": rng.normal(size=(2, 2)),
        "predictions": rng.normal(size=(2, 2, 3)).astype(np.float32),
        "selected": rng.random((2, 2, 4)) > 0.5,
        "names": np.array(["Pvalb", "Sst", "µ"], dtype=object),
        "table": pd.DataFrame({"stage": ["a", "b"], "loss": [1.0, np.nan]}, index=["c1", "c2"]),
        "scalar": np.float64(0.25),
        "text": np.str_("Vip"),
        "types": np.array([["Sst", "Vip", "Sst"], ["Sst", "", "Vip"]], dtype=object),
        "unicode": np.array(["a", "bc"]),
        "empty": np.zeros((0, 3)),
        "zeros": np.zeros((3000, 5000), bool),  # shrink as far as zlib can
        "plain": [None, True, -(2**80), 2**63, -1, 0.5, float("inf"), "µ", b"\0\xff"],
        "keys": {1: "a", "1": "b", None: 1, False: 2, b"x": 3, 2**64 - 1: 4},
        "nested": ((), [], {}, (1, [2, (3,)])),
        "arrays": [
            np.arange(3).astype(kind)
            for kind in ("?", "i1", "u1", "<i2", ">i4", "u8", "f2", "<f4", ">f8")
        ],
        "shapes": [np.array(np.nan), np.zeros((2, 0, 1)), np.asfortranarray(np.eye(2, 3))],
        "numbered": pd.DataFrame({"a": [1.0, np.nan], "b": [2, 3]}, index=[5, 4]),
    }
    points = [{"alpha": 0.1, "rank": 2}, {"alpha": 0.3, "rank": 2}]
    folds = [(np.arange(5), np.arange(5, 7)), (np.arange(2, 7), np.arange(2))]
    nested = {"scaling": "fold", "nested": {"a": (1, None, True)}}
    return Record("cross-validation", "toy", "ab" * 32, points, 3, nested, folds, values)


def assert_same(a, b):
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_column_type=False)
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        native = a.dtype.newbyteorder("=")
        assert b.dtype == native or (native.kind == "U" and b.dtype == object)
        assert b.flags.writeable
    elif isinstance(a, dict | list | tuple):
        assert type(a) is type(b)
        for x, y in zip(
            *(part.items() if isinstance(part, dict) else part for part in (a, b)), strict=True
        ):
            assert_same(x, y)
    else:
        assert a == b
        assert type(a) is type(b) or isinstance(a, np.generic)


def test_round_trip_keeps_every_bit(record, tmp_path):
    path = save(record, tmp_path / "deep" / "folder" / "r.pickle")
    again = load(path)
    assert_same(record.__dict__, again.__dict__)
    assert again.versions["numpy"] == np.__version__
    assert_same(again.__dict__, load(save(again, tmp_path / "again.pickle")).__dict__)
    outer = pickle.loads(path.read_bytes())  # by the pickle of everybody, too
    assert list(outer) == ["format", "schema", "sha256", "content"]
    inner = pickle.loads(outer["content"])
    assert inner["dataset"] == "toy"
    assert inner["params"][1] == {"__dict__": [["alpha", 0.3], ["rank", 2]]}
    slow = ("torch", "sklearn", "scipy", "anndata", "matplotlib")
    blocked = f"import sys\nfor name in {slow}: sys.modules[name] = None\n"
    code = blocked + f"from sbnn import results\nprint(results.load({str(path)!r}).test_r2.shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(2, 2)", done.stderr


# -- what a record answers -------------------------------------------------------------------------


@pytest.fixture
def grid():
    """A record of three grid points in two folds."""
    points = [
        {"rank": 1, "alpha": 0.1},
        {"rank": 2, "alpha": 0.1},
        {"rank": 2, "alpha": 0.3, "genes": ["a"]},
    ]
    values = {
        "test_r2": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
        "n_selected": np.array([[9, 5, 2], [8, 6, 3]]),
        "turned": np.ones((3, 2)),
    }
    folds = [(np.array([0, 1]), np.array([2])), (np.array([2]), np.array([0, 1]))]
    estimator = {"params": {"alpha": 9, "width": 4}}
    return Record("cv", "toy", "ab" * 32, points, 3, {"estimator": estimator}, folds, values)


def test_grid_points_are_found_by_their_parameters(grid):
    assert grid.points(rank=2) == [1, 2]
    assert grid.points(rank=2 + 1e-10) == [1, 2]
    assert grid.points(rank=2 + 1e-8) == []
    assert grid.points(rank="2") == []
    assert grid.points(width=4, alpha=0.3) == [2], "width is the same for all points"
    assert grid.points(genes=np.array(["a"])) == grid.points(genes={"a"}) == [2]
    assert grid.find(rank=2, alpha=0.3) == 2
    assert grid.parameter(2, "alpha") == 0.3
    assert grid.parameter(2, "x", 7) == 7
    with pytest.raises(KeyError, match="rank"):
        grid.find(rank=2)
    for point in (3, -4, "a"):
        with pytest.raises(ValueError, match="point"):
            grid.parameter(point, "rank")


@pytest.mark.parametrize(
    ("most", "point"), [(1, 2), (2, 2), (3, 2), (5, 2), (6, 1), (7, 1), (8, 0), (99, 0)]
)
def test_the_point_with_the_most_genes_that_are_allowed(grid, most, point):
    """Means are 8.5, 5.5 and 2.5 genes, which round to 8, 6 and 2."""
    assert grid.best_with_at_most(most) == point


def test_the_point_with_the_most_genes_among_some(grid):
    assert grid.best_with_at_most(2, rank=1) == 0
    with pytest.raises(TypeError, match="n_genes"):
        grid.best_with_at_most("many")


def test_a_table_has_a_row_for_each_fold_and_point(grid):
    table = grid.to_frame()
    assert table["fold"].tolist() == [0, 1, 0, 1, 0, 1]
    assert table["rank"].tolist() == [1, 1, 2, 2, 2, 2]
    assert table["test_r2"].tolist() == [0.1, 0.4, 0.2, 0.5, 0.3, 0.6]
    assert "turned" not in table, "it has another shape"
    single = Record("fit", "toy", "ab", [{"a": 1}]).to_frame()
    assert single.to_dict("list") == {"fold": [0], "a": [1]}


def test_values_are_attributes(grid):
    assert grid.test_r2 is grid.values["test_r2"]
    assert "test_r2" in dir(grid)
    assert "3 parameter" in repr(grid)
    assert "2 fold" in repr(grid)
    with pytest.raises(AttributeError, match="no 'r2'"):
        _ = grid.r2


def test_parameters_are_kept_as_plain_containers():
    given = {"a": pd.Series([1, 2], ["x", "y"]), "b": {3, 1}, "c": frozenset("ab"), "d": (1, 2)}
    kept = {"a": {"x": 1, "y": 2}, "b": [1, 3], "c": ["a", "b"], "d": (1, 2)}
    assert results.kept_params(given) == kept


def test_what_a_function_needs_of_a_record(grid):
    results.require(grid, "record", ["test_r2", "rank", "width", "genes"], grid)
    with pytest.raises(ValueError, match="record: .*x, y"):
        results.require(grid, "record", ["x", "rank", "y"])
    with pytest.raises(ValueError, match="record: .*3"):
        results.require(3, "record", [])
    other = Record("fit", "own", "cd" * 32, [{}])
    with pytest.raises(ValueError, match="record: .*'toy'.*'own'"):
        results.require(other, "record", [], grid)


def test_records_of_a_folder_are_of_the_same_data(grid, tmp_path):
    folder = results.results_folder(tmp_path, "toy")
    assert folder == tmp_path / "toy"
    quick = results.results_folder(tmp_path, "toy", fast=True)
    with pytest.raises(FileNotFoundError, match="no results"):
        results.load_folder(folder)
    quick.mkdir()
    with pytest.raises(FileNotFoundError, match="toy-fast"):
        results.load_folder(folder)
    save(grid, folder / "b-all.pickle")
    save(grid, folder / "linear.pickle")
    assert list(results.load_folder(folder)) == ["b-all", "linear"]
    assert list(results.load_folder(folder, "b-")) == ["all"]
    save(Record("fit", "own", "cd" * 32, [{}]), folder / "c.pickle")
    with pytest.raises(ValueError, match="'toy'.*'own'"):
        results.load_folder(folder)
    seeds = results.load_folder(folder, data_of=lambda record: record.seed)
    assert len(seeds) == 3, "a record without a seed goes with any"


@pytest.mark.parametrize("path", ["", "x/", 3, "a\0b", "~no-such-user-here/x", "/dev/null", "/tmp"])
def test_what_is_no_path_of_a_file_is_refused(path):
    with pytest.raises(ValueError, match="file: expected the path of a file"):
        results.results_path(path, "file")


def test_an_input_is_not_overwritten(tmp_path):
    path = tmp_path / "a.pickle"
    assert results.results_path(path, inputs=[None, tmp_path / "b"]) == path
    with pytest.raises(ValueError, match="out: .*overwritten"):
        results.results_path(path, "out", [None, tmp_path / "." / "a.pickle"])


def test_leftovers_are_those_of_one_file(tmp_path):
    names = [".a.txt.12345678.tmp", ".a.txt.1234567.tmp", ".b.txt.12345678.tmp"]
    for name in names:
        (tmp_path / name).touch()
    results.drop_leftovers(tmp_path / "a.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_only_a_file_of_the_same_kind_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    results.write_atomically(b"one", path)
    results.write_atomically(b"two", path, b"o.")
    with pytest.raises(ValueError, match="another kind"):
        results.write_atomically(b"three", path, b"o")
    assert path.read_bytes() == b"two"


def test_text_that_repeats_is_stored_once():
    repeated = encode(np.array(["a", "a", "a", "b"]), "names")
    assert repeated["__text__"] == ["a", "b"]
    assert encode(np.array(["a", "b"]), "names") == {"__text__": ["a", "b"], "shape": [2]}
    missing = np.array(["a", "b", "a", None, np.nan], dtype=object)
    assert encode(missing, "names")["__text__"] == ["a", "b", "a", "", ""]


@pytest.mark.parametrize("n", [2**16, 2**16 + 1])
def test_codes_of_many_texts_are_right(n):
    texts = np.array([f"t{i}" for i in range(n)] * 2, dtype=object)
    again = decode(encode(texts, "names"), 10**7)
    np.testing.assert_array_equal(again, texts)


def test_bytes_are_grouped_by_significance():
    stored = encode(np.arange(3, dtype=">i2"), "values")
    assert stored["__array__"] == "<i2"
    assert stored["shape"] == [3]
    assert zlib.decompress(stored["planes"]) == b"\0\1\2\0\0\0"


def test_arrays_take_at_most_what_a_file_can_hold():
    largest = encode(np.zeros(ZLIB_RATIO, np.uint8), "values")
    assert decode(largest, 1).shape == (ZLIB_RATIO,)
    for value, size in ((largest, 0), ([largest, largest], 1)):
        with pytest.raises(ValueError, match="more than the file can hold"):
            decode(value, size)
    axes = [1] * (MOST_AXES - 1)
    assert decode(largest | {"shape": [*axes, ZLIB_RATIO]}, 1).ndim == MOST_AXES
    with pytest.raises(ValueError, match="axes"):
        decode(largest | {"shape": [1, *axes, ZLIB_RATIO]}, 1)
    for n in (ZLIB_RATIO - 1, ZLIB_RATIO + 1):
        with pytest.raises(ValueError, match="reshape"):
            decode(largest | {"shape": [n]}, 9)
    text = {"__text__": ["a"], "codes": largest}
    assert decode(text, 9).shape == (ZLIB_RATIO,)
    with pytest.raises(ValueError, match="more than the file can hold"):
        decode(text, 8)


# -- files that are damaged or made to do harm -----------------------------------------------------


def spelled_out(record):
    return {part.name: encode(getattr(record, part.name), part.name) for part in fields(Record)}


def sealed(content):
    """A file with any content and the right checksum, as somebody who means harm would write it."""
    return results._seal(
        content if isinstance(content, bytes) else pickle.dumps(content, protocol=4)
    )


def refused(path, content, message="", most=80_000_000):
    """Reading such a file is a ValueError that names it, and takes at most so many bytes."""
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"{REFUSED}.*{message}"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most + 20 * len(content)


class Payload:
    def __reduce__(self):
        return os.system, ("echo run > owned",)


@pytest.mark.parametrize("seal", [bytes, sealed])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch, seal):
    monkeypatch.chdir(tmp_path)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        refused(tmp_path / "r.pickle", seal(pickle.dumps({"values": Payload()}, protocol=protocol)))
    assert not (tmp_path / "owned").exists()


def test_a_flipped_bit_anywhere_is_noticed(record, tmp_path):
    path = save(record, tmp_path / "r.pickle")
    whole = path.read_bytes()
    ends = [*range(170), *range(len(whole) - 10, len(whole))]
    for bit in [8 * byte + byte % 8 for byte in ends] + list(range(0, 8 * len(whole), 331)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=REFUSED):
            load(path)
    for other in (
        whole + b".",
        whole + whole,
        whole[:-1],
        whole[1:],
        whole[: len(whole) // 2],
        b"",
    ):
        refused(path, other, "truncated, altered")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.pickle")


def zeros(n, shape):
    return {"__array__": "|u1", "shape": shape, "zlib": zlib.compress(bytes(n), 9)}


PACKED = zeros(10_000_000, [10_000_000])  # its bytes may stand in many places, no container may


def shared(value):
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (zeros(90_000_000, [1]), ""),
        (zeros(90_000_000, [-1]), "more than the file can hold|axes"),
        (zeros(1000, [1001]), ""),
        (zeros(1, [2**40]), "more than the file can hold|axes"),
        (zeros(1, [2**62] * 100_000), "more than the file can hold|axes"),
        ([zeros(30_000_000, [30_000_000])] * 100, "BINGET"),
        (
            [{**PACKED, "shape": [10_000_000]} for _ in range(100)],
            "more than the file can hold|axes",
        ),
        (shared(b""), "BINGET"),
        (
            [{"__text__": ["a"], "codes": zeros(2_000_000, [2_000_000])} for _ in range(10)],
            "more than the file can hold",
        ),
        (zeros(0, [0, 2**63 - 1, 2**63 - 1]), ""),
    ],
)
def test_a_small_file_takes_little_memory(record, tmp_path, odd, message):
    content = spelled_out(record) | {"values": {"__dict__": [["odd", odd]]}}
    refused(tmp_path / "r.pickle", sealed(content), message)


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
def test_odd_instructions_are_refused(tmp_path, content):
    refused(
        tmp_path / "r.pickle", sealed(content), "EXT1" if b"\x82" in content else "", most=1_000_000
    )


def array(values, dtype, shape):
    return {"__array__": dtype, "shape": shape, "zlib": zlib.compress(bytes(values))}


PAIR = array(16, "<f8", [2])


def test_entries_of_another_kind_are_refused(record, tmp_path):
    for part, value in (
        ("params", [1]),
        ("seed", "x"),
        ("dataset", None),
        ("settings", {"__dict__": [[1, 2]]}),
        ("folds", [{"__tuple__": [PAIR, array(8, "<f8", [1])]}]),
        ("more", 1),
        ("values", {"__dict__": [["a"]]}),
        ("values", {"__dict__": [[["a"], 1]]}),
        ("odd", {"__text__": ["a", 1], "shape": [2]}),
        ("odd", {"__text__": ["a"], "codes": array([0, 1], "|u1", [2])}),
        ("odd", array(16, "O", [2])),
        ("odd", {"__array__": "<f8", "shape": [2], "zlib": bytes(16)}),
        ("odd", {"__table__": {"a": PAIR}, "index": array(24, "<i8", [3])}),
        ("odd", {"__table__": {"a": array(8, "<f8", [])}, "index": array(24, "<i8", [3])}),
        ("odd", {"__table__": {"a": array(16, "<f8", [2, 1])}, "index": array(16, "<i8", [2, 1])}),
    ):
        content = spelled_out(record)
        content |= {"values": {"__dict__": [[part, value]]}} if part == "odd" else {part: value}
        message = f"{part}: expected" if part in ("params", "seed", "folds") else ""
        refused(tmp_path / "r.pickle", sealed(content), message)


SMALL = Record(
    "fit",
    "toy",
    "ab",
    [{"alpha": 0.1}],
    3,
    {"a": (1, None)},
    [(np.arange(3), np.arange(3, 5))],
    {
        "table": pd.DataFrame({"a": ["x", "y"]}),
        "x": np.arange(6.0).reshape(2, 3),
        "names": np.array(["a", "b"]),
    },
    {"python": "3"},
)
CONTENT = pickle.dumps(spelled_out(SMALL), protocol=4)
INSTRUCTIONS = b"}]()(.aesu\x94h\x8cCKJG2012R\x82\x95"
PLAIN = st.sampled_from(
    [None, True, -1, 0, 1, 2, 2**40, 2**64, 0.5, "", "a", "<f8", b"", zlib.compress(bytes(16))]
)
KEYS = st.sampled_from(
    ["__array__", "shape", "zlib", "__text__", "__dict__", "__tuple__", "__table__", "index", "a"]
)
TREES = st.recursive(
    PLAIN | st.builds(array, st.just(16), st.just("<f8"), st.builds(lambda: [2])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


def with_odd(place, odd):
    """The content with another tree in one place."""
    content = pickle.loads(CONTENT)
    places = list(slots(content))
    container, key = places[place * len(places) // 10_000]
    container[key] = odd
    return content


CHANGED = edits(INSTRUCTIONS).map(lambda changes: with_edits(CONTENT, changes))
LISTED = st.lists(st.sampled_from(INSTRUCTIONS) | st.integers(0, 255), max_size=20)
HOSTILE = st.one_of(
    edits(INSTRUCTIONS).map(lambda changes: with_edits(sealed(CONTENT), changes)),
    CHANGED.map(sealed),
    LISTED.map(lambda listed: sealed(b"\x80\x04" + bytes(listed) + b".")),
    st.builds(with_odd, st.integers(0, 9999), TREES).map(sealed),
)


@pytest.mark.parametrize("times", [100, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_hostile_file_is_a_record_or_refused(tmp_path, times):
    path = tmp_path / "r.pickle"

    @settings(max_examples=times, suppress_health_check=list(HealthCheck))
    @given(HOSTILE)
    def try_one(content):
        path.write_bytes(content)
        try:
            record = load(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:  # one that can be saved again
            repr(record)
            spelled_out(record)

    try_one()


# -- writing ---------------------------------------------------------------------------------------


def test_what_is_something_else_is_not_overwritten(record, tmp_path):
    other = tmp_path / "counts.csv"
    fit = tmp_path / "fit.pickle"
    other.write_text("cell,a")
    cells = simulate_patchseq(20, 6, 2, n_true_genes=3, random_state=0)
    page = Explorer("<!DOCTYPE html>")
    model = SparseBottleneckRegressor(n_genes=2, epochs=(1, 1, 1, 1)).fit(cells)
    written = [lambda path: save(record, path), model.save, page.save]
    paths = fit, tmp_path / "model.safetensors", tmp_path / "page.html"
    for write, path in zip(written, paths, strict=True):
        write(path)
        write(path)
        for kept in {other, *paths} - {path}:
            if kept.exists():
                with pytest.raises(ValueError, match="is another kind of file"):
                    write(kept)
    assert other.read_text() == "cell,a"
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="model_file: .* would be overwritten"):
        fit_full(model, cells, results=fit, model_file=tmp_path / "link" / "fit.pickle")
    with pytest.raises(OSError, match="results: cannot write to /proc"):
        stability_selection(model, cells, results="/proc/x")


def test_a_failed_write_leaves_the_old_file(record, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = save(record, "~/r.pickle")
    before = path.read_bytes()
    assert path == tmp_path / "home" / "r.pickle"
    assert load("~/r.pickle").dataset == "toy"

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="cannot write"):
        save(record, path / "in a file.pickle")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot write .*r.pickle.*No space left.*unchanged"):
        save(Record("fit", "toy", "", [{}]), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path], "no temporary file is left behind"
    os.umask(umask := os.umask(0o022))
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask, "as other files, not private"


circle = []
circle.append(circle)


@pytest.mark.parametrize(
    ("part", "value", "error"),
    [
        *[
            ("values", {"odd": odd}, TypeError)
            for odd in ({1, 2}, len, np.array([object()]), np.array([1j]))
        ],
        ("params", [1], TypeError),
        ("folds", [([1, 2], [3])], TypeError),
        ("seed", 1.5, TypeError),
        ("values", {"a": {(1, 2): 3}}, TypeError),
        ("values", {"a": pd.DataFrame([[1, 2]], columns=["1", 1])}, ValueError),
        ("values", {"a": circle}, RecursionError),
    ],
)
def test_what_could_not_be_read_back_is_not_written(record, tmp_path, part, value, error):
    setattr(record, part, value)
    with pytest.raises(error, match="recursion" if error is RecursionError else part):
        save(record, tmp_path / "r.pickle")
    assert not list(tmp_path.iterdir())
