import copyreg
import importlib.metadata
import os
import pickle
import resource
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

from sbnn import results
from sbnn.plain import decode, encode
from sbnn.results import Record, load, results_path, save


@pytest.fixture
def record():
    return small_record()


def small_record():
    rng = np.random.default_rng(0)
    return Record(
        experiment="cross-validation",
        dataset="toy",
        sha256="ab" * 32,
        params=[{"alpha": 0.1, "rank": 2}, {"alpha": 0.3, "rank": 2}],
        seed=3,
        settings={"scaling": "fold", "nested": {"a": (1, None, True)}},
        folds=[(np.arange(5), np.arange(5, 7)), (np.arange(2, 7), np.arange(2))],
        values={
            "test_r2": rng.normal(size=(2, 2)),
            "predictions": rng.normal(size=(2, 2, 3)).astype(np.float32),
            "selected": rng.random((2, 2, 4)) > 0.5,
            "names": np.array(["Pvalb", "Sst", "µ"], dtype=object),
            "table": pd.DataFrame({"stage": ["a", "b"], "loss": [1.0, np.nan]}, index=["c1", "c2"]),
            "scalar": np.float64(0.25),
            "text": np.str_("Vip"),
            "unicode": np.array(["a", "bc"]),
            "empty": np.zeros((0, 3)),
        },
    )


def assert_same(a, b):
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_column_type=False)
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype or (a.dtype.kind == "U" and b.dtype == object)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert type(a) is type(b) and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


def test_round_trip_keeps_every_bit(record, tmp_path):
    path = save(record, tmp_path / "deep" / "folder" / "r.pickle")
    again = load(path)
    assert_same(record.__dict__, again.__dict__)
    assert again.versions["numpy"] == np.__version__
    save(again, tmp_path / "again.pickle")
    assert_same(again.__dict__, load(tmp_path / "again.pickle").__dict__)


def test_load_needs_numpy_and_pandas_alone(record, tmp_path):
    save(record, tmp_path / "r.pickle")
    blocked = "import sys\nfor m in ('torch', 'sklearn', 'scipy', 'anndata', 'matplotlib'): sys.modules[m] = None\n"
    code = blocked + f"from sbnn import results\nprint(results.load({str(tmp_path / 'r.pickle')!r}).test_r2.shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(2, 2)", done.stderr


def test_values_are_attributes(record):
    assert record.test_r2 is record.values["test_r2"]
    assert "test_r2" in dir(record)
    with pytest.raises(AttributeError, match="no 'latent'; it holds"):
        record.latent  # noqa: B018


def test_to_frame_is_tidy(record):
    frame = record.to_frame()
    assert list(frame.columns) == ["fold", "alpha", "rank", "test_r2"]
    row = frame[(frame.fold == 1) & (frame.alpha == 0.3)]
    assert row.test_r2.item() == record.test_r2[1, 1]


def test_find_a_grid_point(record):
    assert record.find(alpha=0.1 + 0.2, rank=2) == 1
    with pytest.raises(KeyError, match="2 of 2 grid points match"):
        record.find(rank=2)
    with pytest.raises(KeyError, match="0 of 2"):
        record.find(alpha=7)


def test_a_parameter_of_the_estimator_belongs_to_every_grid_point(record):
    record.settings["estimator"] = {"params": {"scale": 2, "alpha": 0.7}}
    assert record.parameter(0, "alpha") == 0.1 and record.parameter(0, "scale") == 2
    assert record.parameter(0, "width") is None and record.parameter(0, "width", 3) == 3
    assert record.points(scale=2) == [0, 1] and record.points(alpha=0.7) == []
    assert record.find(alpha=0.3, scale=2.0) == 1


def test_the_grid_point_with_at_most_so_many_genes(record):
    record.params = [{"alpha": 0.1, "rank": 2}, {"alpha": 0.1, "rank": 3}, {"alpha": 0.3, "rank": 3}]
    record.values["n_selected"] = np.array([[10, 30, 12], [14, 34, 22]])
    assert record.within_genes(25) == 2, "32 genes are nearer, but more"
    assert record.within_genes(40) == 1 and record.within_genes(31) == 2
    assert record.within_genes(16) == 0 and record.within_genes(16, rank=3) == 2, "all of rank 3 have more: the fewest"
    assert record.within_genes(12) == 0
    record.values["n_selected"] = np.array([[10, 30, 17], [15, 34, 17]])
    assert record.within_genes(12) == 0, "12.5 genes are named 12"
    with pytest.raises(KeyError, match="no grid point matches {'rank': 4}"):
        record.within_genes(14, rank=4)


class Payload:
    def __reduce__(self):
        return os.system, ("echo run > owned",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.pickle").write_bytes(pickle.dumps({"format": "sbnn-record", "x": Payload()}, protocol=protocol))
    with pytest.raises(ValueError, match="bad.pickle is not a record"):
        load("bad.pickle")
    assert not (tmp_path / "owned").exists()


def test_foreign_and_damaged_files_are_refused(record, tmp_path):
    path = tmp_path / "r.pickle"
    path.write_bytes(pickle.dumps({"some": "dict"}))
    with pytest.raises(ValueError, match="not a record of sbnn"):
        load(path)
    path.write_bytes(pickle.dumps(np.arange(3)))
    with pytest.raises(ValueError, match="r.pickle is not a record"):
        load(path)
    whole = save(record, path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        load(path)
    with pytest.raises(FileNotFoundError, match="no results at"):
        load(tmp_path / "missing.pickle")


def spelled_out(record):
    return {part.name: encode(getattr(record, part.name), part.name) for part in fields(Record)}


def first_schema(content):
    """A file as it was written before there was a checksum."""
    return pickle.dumps({"format": "sbnn-record", "schema": 1, **content}, protocol=4)


def sealed(content):
    """A file with any content and the right checksum, as somebody who means harm would write it."""
    return results._seal(content if isinstance(content, bytes) else pickle.dumps(content, protocol=4))


def test_records_without_a_checksum_still_load(record, tmp_path):
    (tmp_path / "old.pickle").write_bytes(first_schema(spelled_out(record)))
    assert_same(record.__dict__, load(tmp_path / "old.pickle").__dict__)


@pytest.mark.parametrize(
    ("schema", "message"),
    [(0, "schema version 0"), (3, "version 3"), (2, "altered"), (None, "altered"), (True, "altered")],
)
def test_another_schema_version_is_named(record, tmp_path, schema, message):
    content = {"format": "sbnn-record", "schema": schema, **spelled_out(record)}
    (tmp_path / "r.pickle").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(ValueError, match=f"r.pickle.*{message}"):
        load(tmp_path / "r.pickle")


def test_a_record_is_a_pickle_of_plain_data(record, tmp_path):
    outer = pickle.loads(save(record, tmp_path / "r.pickle").read_bytes())
    assert list(outer) == ["format", "schema", "sha256", "content"]
    inner = pickle.loads(outer["content"])
    assert inner["dataset"] == "toy" and inner["params"][1] == {"__dict__": [["alpha", 0.3], ["rank", 2]]}


def test_a_flipped_bit_anywhere_is_noticed(record, tmp_path):
    path = save(record, tmp_path / "r.pickle")
    whole = path.read_bytes()
    ends = [*range(170), *range(len(whole) - 10, len(whole))]
    bits = [8 * byte + bit for byte in ends for bit in range(8)] + list(range(0, 8 * len(whole), 31))
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="r.pickle is not a record of sbnn"):
            load(path)
    for more in (whole + b".", whole + whole, whole[:-1], whole[1:], b""):
        path.write_bytes(more)
        with pytest.raises(ValueError, match="r.pickle is not a record of sbnn"):
            load(path)


called = []


def test_a_registered_function_is_not_called(tmp_path):
    """Codes of the registry of extensions need no import, so that forbidding imports does not forbid them."""
    copyreg.add_extension(__name__, "remember", 240)
    try:
        sys.modules.setdefault(__name__, sys.modules[remember.__module__])
        assert pickle.loads(b"\x80\x02\x82\xf0.") is remember  # from now on without an import
        (tmp_path / "r.pickle").write_bytes(b"\x80\x02\x82\xf0)R.")
        with pytest.raises(ValueError, match="EXT1"):
            load(tmp_path / "r.pickle")
    finally:
        copyreg.remove_extension(__name__, "remember", 240)
    assert called == []


def remember():
    called.append(True)


def zeros(n, shape):
    return {"__array__": "|u1", "shape": shape, "zlib": zlib.compress(bytes(n), 9)}


def nested(depth):
    """The instructions for lists inside each other."""
    return b"]" * depth + b"a" * (depth - 1)


def shared(levels=60):
    value = []
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (zeros(100_000_000, [1]), "not 1 bytes long"),
        (zeros(1000, [1001]), "not 1001 bytes long"),
        (zeros(1, [2**40]), "more than the file can hold"),
        (zeros(1, [2**62] * 64), "more than the file can hold"),
        (zeros(1, [2**62] * 100_000), "at most 64 whole numbers"),
        ([zeros(30_000_000, [30_000_000])] * 100, "two places"),
        (shared(), "a list in two places"),
        (nested(100_000), "more than 64 containers"),
        (zeros(0, [0, 2**63 - 1, 2**63 - 1]), None),
    ],
)
def test_a_small_file_takes_little_memory(record, tmp_path, odd, message):
    content = spelled_out(record) | {"values": {"__dict__": [["odd", b"ODD" if isinstance(odd, bytes) else odd]]}}
    content = pickle.dumps(content, protocol=4)
    if isinstance(odd, bytes):
        content = content.replace(b"C\x03ODD", odd)
    path = tmp_path / "r.pickle"
    path.write_bytes(sealed(content))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"r.pickle is not a record of sbnn.*{message or ''}"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80_000_000 + 20 * len(content)


def test_one_compressed_array_is_not_unpacked_again_and_again(record, tmp_path):
    packed = zeros(10_000_000, [10_000_000])
    many = [{**packed, "shape": [10_000_000]} for _ in range(100)]  # text and bytes may be shared, containers not
    content = spelled_out(record) | {"values": {"__dict__": [["many", many]]}}
    (tmp_path / "r.pickle").write_bytes(sealed(content))
    with pytest.raises(ValueError, match="more than the file can hold"):
        load(tmp_path / "r.pickle")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x0f.",  # puts into slot 2**28 of the memo
        b"\x80\x04Nj\xff\xff\xff\x7f.",  # takes from slot 2**31
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes of length 2**63
        b"\x80\x04\x8b\xff\xff\xff\x7f\x01.",  # a number of 2**31 bytes
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a frame
        b"\x80\x04(((((((((.",
        b"\x80\x04a.",
        b"\x80\x04u.",
        b"\x80\x04]2a.",  # a list in itself
        b"\x80\x04]\x94h\x00a.",
        b"\x80\x04}K\x01K\x01s.",
        b"L" + b"9" * 10_000 + b"L\n.",
    ],
)
@pytest.mark.parametrize("write", [bytes, sealed])
def test_odd_instructions_are_refused(tmp_path, content, write):
    (tmp_path / "r.pickle").write_bytes(write(content))
    tracemalloc.start()
    with pytest.raises(ValueError, match="r.pickle is not a record of sbnn"):
        load(tmp_path / "r.pickle")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def array(values, dtype, shape):
    return {"__array__": dtype, "shape": shape, "zlib": zlib.compress(bytes(values))}


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("params", 3, "params: expected a list of dicts"),
        ("params", [1], "params: expected a list of dicts"),
        ("seed", "x", "seed: expected a whole number"),
        ("dataset", None, "dataset: expected text"),
        ("settings", [], "settings: expected a dict"),
        ("settings", {"__dict__": [[1, 2]]}, "settings: expected a dict with text"),
        ("folds", [1], "folds: expected a list of pairs"),
        ("folds", [{"__tuple__": [array(16, "<f8", [2]), array(16, "<f8", [2])]}], "folds: expected a list of pairs"),
        ("values", {"__dict__": 3}, "a int in place of a list"),
        ("values", {"__dict__": [["a"]]}, "not a key and a value"),
        ("values", {"__dict__": [[["a"], 1]]}, "not a key and a value"),
        ("values", {"__dict__": [[2**64, 1]]}, "not a key and a value"),
        ("values", {"__dict__": [], "more": 1}, "unknown entry"),
        ("values", {"what": 1}, "unknown entry"),
        ("text", {"__text__": ["a", 1], "shape": [2]}, "text with something else"),
        ("text", {"__text__": [b"a", "b"], "shape": [2]}, "text with something else"),
        ("text", {"__text__": "ab", "shape": [2]}, "a str in place of a list"),
        ("text", {"__text__": ["a", "b"], "shape": [3]}, "2 values whose shape is another"),
        ("text", {"__text__": ["a", "b"], "shape": [-2]}, "whole numbers"),
        ("text", {"__text__": ["a", "b"], "shape": 2}, "a int in place of a list"),
        ("array", array(16, "<f8", [True, 2]), "whole numbers"),
        ("array", array(16, "O", [2]), "unknown dtype 'O'"),
        ("array", array(16, "<f8,<f8", [1]), "unknown dtype"),
        ("array", array(16, 8, [2]), "a int in place of a str"),
        ("array", array(b"\0\2", "|b1", [2]), "truth values"),
        ("array", {"__array__": "<f8", "shape": [2], "zlib": bytes(16)}, "damaged array"),
        ("array", {"__array__": "<f8", "shape": [2], "zlib": zlib.compress(bytes(16)) + b"x"}, "as its shape says"),
        ("array", {"__array__": "<f8", "shape": [2], "zlib": zlib.compress(bytes(16))[:-1]}, "as its shape says"),
        ("table", {"__table__": {"a": array(16, "<f8", [2])}, "index": array(24, "<i8", [3])}, "differ in length"),
        ("table", {"__table__": {"a": 1.0}, "index": array(24, "<i8", [3])}, "a float in place of a dict"),
        ("table", {"__table__": {"a": array(16, "<f8", [2])}, "index": array(16, "<i8", [2, 1])}, "differ in length"),
        ("table", {"__table__": {"a": array(8, "<f8", [])}, "index": array(8, "<i8", [])}, "differ in length"),
    ],
)
def test_entries_of_another_kind_are_refused(record, tmp_path, part, value, message):
    content = spelled_out(record)
    content |= {part: value} if part in content else {"values": {"__dict__": [[part, value]]}}
    for file in (sealed(content), first_schema(content)):
        (tmp_path / "r.pickle").write_bytes(file)
        with pytest.raises(ValueError, match=f"r.pickle is not a record of sbnn.*{message}"):
            load(tmp_path / "r.pickle")


def test_entries_that_a_record_lacks_or_should_not_have(record, tmp_path):
    content = spelled_out(record)
    for odd in (content | {"more": 1}, {k: v for k, v in content.items() if k != "seed"}, [1], {}):
        (tmp_path / "r.pickle").write_bytes(sealed(odd))
        with pytest.raises(ValueError, match="r.pickle is not a record of sbnn"):
            load(tmp_path / "r.pickle")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """Where damaged files go; what it takes to read them all must not add up, nor be much for one."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield tmp_path_factory.mktemp("fuzzed") / "r.pickle"
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 500e6


def load_or_refuse(path, file):
    """The only two outcomes: a record that can be saved again, or a ValueError that names the file."""
    path.write_bytes(file)
    try:
        record = load(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        repr(record)
        assert results._wrong_part(record) is None
        spelled_out(record)


FUZZ = {"suppress_health_check": list(HealthCheck)}
SMALL = Record(
    "fit", "toy", "ab", [{"alpha": 0.1}], 3, {"a": (1, None)}, [(np.arange(3), np.arange(3, 5))],
    {"table": pd.DataFrame({"a": ["x", "y"]}), "x": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "b"])},
    {"python": "3"},
)  # fmt: skip
CONTENT = pickle.dumps(spelled_out(SMALL), protocol=4)
FORMS = {
    "whole": lambda changes: with_edits(sealed(CONTENT), changes),
    "without a checksum": lambda changes: with_edits(first_schema(pickle.loads(CONTENT)), changes),
    "with a checksum of the damaged content": lambda changes: sealed(with_edits(CONTENT, changes)),
}
INSTRUCTIONS = b"}]()(.aesu\x94h\x8cCKJG2012R\x82\x95"
PLAIN = st.sampled_from([None, True, -1, 0, 1, 2, 2**40, 2**64, 0.5, "", "a", "<f8", b"", zlib.compress(bytes(16))])
KEYS = st.sampled_from(["__array__", "shape", "zlib", "__text__", "__dict__", "__tuple__", "__table__", "index", "a"])
TREES = st.recursive(
    PLAIN | st.builds(array, st.just(16), st.just("<f8"), st.builds(lambda: [2])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=2500, **FUZZ)
@given(st.sampled_from(sorted(FORMS)), edits(INSTRUCTIONS))
def test_fuzzed_bytes(fuzzed, form, changes):
    load_or_refuse(fuzzed, FORMS[form](changes))


@settings(max_examples=1000, **FUZZ)
@given(st.lists(st.sampled_from(INSTRUCTIONS) | st.integers(0, 255), max_size=20))
def test_fuzzed_instructions(fuzzed, instructions):
    load_or_refuse(fuzzed, sealed(b"\x80\x04" + bytes(instructions) + b"."))


@settings(max_examples=1500, **FUZZ)
@given(st.integers(0, 9999), TREES)
def test_fuzzed_structure(fuzzed, place, odd):
    content = pickle.loads(CONTENT)
    places = list(slots(content))
    container, key = places[place * len(places) // 10_000]
    container[key] = odd
    load_or_refuse(fuzzed, sealed(content))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "results: expected the path of a file, got no name"),
        (".", "got the folder"),
        ("new/", "got the folder"),
        ("~no-such-user-here/x.pickle", "got '~no-such-user-here/x.pickle'"),
    ],
)
def test_a_path_that_is_no_file(record, path, message):
    with pytest.raises(ValueError, match=message):
        results_path(path, "results")
    for use in (lambda: save(record, path), lambda: load(path), lambda: results.write_atomically(b"", path)):
        with pytest.raises(ValueError, match="path: expected the path of a file"):
            use()


def test_a_path_of_another_type():
    for path in (None, 3, True, b"x", ["x"]):
        with pytest.raises(TypeError, match="results: expected the path of a file"):
            results_path(path, "results")


def test_the_home_of_the_user_is_meant_by_a_tilde(record, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert save(record, "~/r.pickle") == tmp_path / "home" / "r.pickle"
    assert load("~/r.pickle").dataset == "toy"
    assert not (tmp_path / "~").exists()


def test_a_failed_write_leaves_the_old_file(record, tmp_path, monkeypatch):
    path = save(record, tmp_path / "r.pickle")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot write .*r.pickle.*No space left.*unchanged"):
        save(Record("fit", "toy", "", [{}]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left behind"


def test_a_folder_that_cannot_be_made_is_named(record, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot write"):
        save(record, tmp_path / "file" / "r.pickle")


@pytest.mark.parametrize("value", [{1, 2}, lambda: 0, np.array([object()]), np.array([1j])])
def test_what_is_no_data_cannot_be_saved(record, tmp_path, value):
    record.values["odd"] = value
    with pytest.raises(TypeError, match="values.odd"):
        save(record, tmp_path / "r.pickle")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("part", "value", "error"),
    [
        ("params", [1], TypeError),
        ("folds", [([1, 2], [3])], TypeError),
        ("seed", 1.5, TypeError),
        ("sha256", None, TypeError),
        ("values", {1: 2}, TypeError),
        ("values", {"a": {(1, 2): 3}}, TypeError),
        ("values", {"a": pd.DataFrame([[1, 2]], columns=["x", "x"])}, ValueError),
        ("values", {"a": pd.DataFrame([[1, 2]], columns=["1", 1])}, ValueError),
    ],
)
def test_what_could_not_be_read_back_is_not_written(record, tmp_path, part, value, error):
    setattr(record, part, value)
    with pytest.raises(error, match=part):
        save(record, tmp_path / "r.pickle")
    assert not list(tmp_path.iterdir())


def test_values_nested_too_deep_are_not_written(record, tmp_path):
    record.values["deep"] = deep = []
    for _ in range(100):
        deep.append([])
        deep = deep[0]
    with pytest.raises(ValueError, match="deep: expected at most 64 containers"):
        save(record, tmp_path / "r.pickle")
    circle = []
    circle.append(circle)
    record.values["deep"] = circle
    with pytest.raises(ValueError, match="deep: expected at most 64 containers"):
        save(record, tmp_path / "r.pickle")


@pytest.mark.parametrize("spell", [lambda value: encode(value, "deep"), lambda value: decode(value, 1000)])
def test_what_can_be_written_can_be_read_to_the_same_depth(spell):
    deep = 7
    for _ in range(64):
        deep = [deep]
    assert spell(deep) == deep
    with pytest.raises(ValueError, match="64 containers inside each other"):
        spell([deep])


def test_a_library_that_is_missing_is_said_to_be(monkeypatch):
    def version(name):
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return "9.9"

    monkeypatch.setattr(importlib.metadata, "version", version)
    versions = results.library_versions()
    assert versions["torch"] == "not installed" and versions["numpy"] == "9.9"


def test_zeros_that_shrink_as_far_as_zlib_can_still_load(record, tmp_path):
    record.values = {"zeros": np.zeros((3000, 5000), bool), "more": np.zeros(2_000_000)}
    assert_same(record.values, load(save(record, tmp_path / "r.pickle")).values)
