"""Records come back to the bit, are never half written, and reading one runs no code."""

import io
import lzma
import os
import pickle
import pickletools
import subprocess
import sys
import time
import tracemalloc
import zlib
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from material.files import Payload

from sbnn import results, store
from sbnn.results import Record, SavedResults, load, save

ARRAYS = [
    np.array([False, True, True]),
    np.arange(3, dtype=">i4"),
    np.arange(3, dtype="f2"),
    np.arange(3, dtype="<f4"),
    np.array(np.nan),
    np.zeros((2, 0, 1)),
    np.asfortranarray(np.eye(2, 3)),
    np.array([["Sst", "µ"], ["", "Sst"]], dtype=object),
]
TABLE = pd.DataFrame({"stage": ["a", "b"], "loss": [1.0, np.nan]}, index=[5, 4])
TABLE.index.name = "n"
PLAIN = {
    1: [None, True, -(2**80), float("inf"), float("nan"), "µ"],
    "1": ([], {}, (1, [2, (3,)])),
    "table": TABLE,
}


@pytest.fixture
def record():
    """A record of three grid points in two folds, with every kind of value."""
    cells = np.array([0, 1])
    other_cells = np.array([2])
    values = {
        "test_r2": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
        "n_selected": np.array([[9, 5, 2], [8, 6, 3]]),
        "of_other_shape": np.ones((3, 2)),
        "arrays": ARRAYS,
        "plain": PLAIN,
    }
    return Record(
        experiment="cv",
        dataset="toy",
        sha256="ab" * 32,
        params=[
            {"rank": 1, "missing": np.nan},
            {"rank": 2},
            {"rank": 2, "alpha": 0.3, "genes": ["a"]},
        ],
        seed=3,
        settings={"estimator": {"params": {"alpha": 9, "width": 4}}},
        folds=[(cells, other_cells), (other_cells, cells)],
        values=values,
    )


def empty_record(dataset="toy", sha256=""):
    return Record(experiment="fit", dataset=dataset, sha256=sha256, params=[{}])


@pytest.mark.parametrize("name", ["params", "seed", "settings", "folds", "versions", "plain"])
def test_a_file_gives_back_plain_data(record, tmp_path, name):
    path = save(record, tmp_path / "deep" / "folder" / "r.pickle.xz")
    again = load(path)
    assert repr(getattr(again, name)) == repr(getattr(record, name))


def test_a_file_gives_back_arrays(record, tmp_path):
    again = load(save(record, tmp_path / "r.pickle.xz"))
    for array, loaded in zip(ARRAYS, again.arrays, strict=True):
        np.testing.assert_array_equal(loaded, array)
        assert loaded.dtype == array.dtype.newbyteorder("=")
        assert loaded.flags.writeable


def test_a_file_gives_back_many_names(record, tmp_path):
    """Of as many cells as the largest data sets have."""
    names = [f"cell {i}" for i in range(100_000)]
    record.values["many"] = [names, np.array(names, dtype=object)]
    again = load(save(record, tmp_path / "r.pickle.xz"))
    assert again.many[0] == again.many[1].tolist() == names


def test_a_file_gives_back_tables_in_deep_lists(record, tmp_path):
    value = TABLE
    for _ in range(store.DEEPEST - 2):  # a record is a dict, and so are its values
        value = [value]
    record.values["deep"] = value
    again = load(save(record, tmp_path / "r.pickle.xz"))
    assert repr(again.deep) == repr(value)
    record.values["deep"] = [value]
    with pytest.raises(ValueError, match="nested more than 50 deep"):
        save(record, tmp_path / "r.pickle.xz")


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


@pytest.mark.parametrize(
    ("parameters", "points"),
    [
        ({"rank": 2 + 1e-10}, [1, 2]),
        ({"rank": 2 + 1e-8}, []),  # numbers agree to 9 digits
        ({"rank": "2"}, []),
        ({"genes": np.array(["a"])}, [2]),
        ({"genes": ("a",)}, [2]),
        ({"missing": np.nan}, [0]),
        ({"width": 4, "alpha": 0.3}, [2]),  # what the grid leaves out is the estimator's
    ],
)
def test_grid_points_are_found_by_their_parameters(parameters, points, record):
    assert record.points(**parameters) == points


def test_a_single_grid_point_is_found(record):
    assert record.find(rank=2, alpha=0.3) == 2
    assert record.parameter(2, "width") == 4
    with pytest.raises(ValueError, match="rank=2"):
        record.find(rank=2)


@pytest.mark.parametrize(("most", "point"), [(1, 2), (5, 2), (6, 1), (8, 0)])
def test_the_point_with_most_genes_allowed(record, most, point):
    """Means are 8.5, 5.5 and 2.5 genes, which round to 8, 6 and 2."""
    assert record.best_with_at_most(most) == point
    assert record.best_with_at_most(2, rank=1) == 0


def test_a_table_has_a_row_for_each_fit(record):
    table = record.to_frame()
    assert table["fold"].tolist() == [0, 1, 0, 1, 0, 1]
    assert table["rank"].tolist() == [1, 1, 2, 2, 2, 2]
    assert table["test_r2"].tolist() == [0.1, 0.4, 0.2, 0.5, 0.3, 0.6]
    assert "of_other_shape" not in table


def test_records_of_a_folder_have_their_file_names(record, tmp_path):
    longest = "n" * 245
    for name in ("b-all", "linear", longest):
        save(record, tmp_path / f"{name}.pickle.xz")
    (tmp_path / "._linear.pickle.xz").write_bytes(b"\0\5\x16\7")  # hidden, of macOS
    assert list(results.load_folder(tmp_path)) == ["b-all", "linear", longest]
    assert list(results.load_folder(tmp_path, "b-")) == ["all"]


# -- what is refused -------------------------------------------------------------------------------


def load_two_datasets(record, folder):
    save(record, folder / "a.pickle.xz")
    save(empty_record(dataset="own", sha256="cd" * 32), folder / "b.pickle.xz")
    results.load_folder(folder)


def save_to_pipe(record, folder):
    os.mkfifo(folder / "pipe")
    save(record, folder / "pipe")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (save_to_pipe, ValueError, "pipe is a device, pipe or socket"),
        (lambda *_: load("/dev/null"), ValueError, "/dev/null is a device, pipe or socket"),
        (load_two_datasets, ValueError, "several data sets.*'own'.*'toy'"),
        (lambda _, folder: results.load_folder(folder), FileNotFoundError, "no results"),
        (lambda record, _: record.latent, AttributeError, "no 'latent'; it holds .*'test_r2'"),
    ],
    ids=["pipe", "device", "two data sets", "no record", "attribute"],
)
def test_wrong_uses_are_refused(call, error, message, record, tmp_path):
    with pytest.raises(error, match=message):
        call(record, tmp_path)


# -- writing ---------------------------------------------------------------------------------------


def test_the_file_behind_a_link_is_replaced(record, tmp_path):
    link = tmp_path / "link.pickle.xz"
    link.symlink_to(tmp_path / "file.pickle.xz")
    save(record, link)
    assert link.is_symlink()
    assert load(tmp_path / "file.pickle.xz").dataset == record.dataset


def test_two_writers_have_their_own_temporary_files(record, tmp_path, monkeypatch):
    """As of two notebooks that run side by side."""
    replace = Mock()
    monkeypatch.setattr(os, "replace", replace)
    for _ in range(2):
        save(record, tmp_path / "r.pickle.xz")
    sources = [call.args[0] for call in replace.call_args_list]
    assert len(set(sources)) == 2


TIMES = pd.date_range("2020-01-01", periods=2).to_numpy()
MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    "value", [Payload(), np.array([object()]), os.system, b"1", {1}, TIMES, MASKED]
)
def test_what_is_no_data_is_not_written(record, tmp_path, value):
    record.values["odd"] = value
    with pytest.raises(ValueError, match="may hold data only"):
        save(record, tmp_path / "r.pickle.xz")
    assert not list(tmp_path.iterdir())


TWO_LEVELS = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])
NAMED_COLUMNS = pd.Index(["a", "b"], name="output")


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame({"v": [1, 2]}, TWO_LEVELS),
        pd.DataFrame([[1, 2]], columns=NAMED_COLUMNS),
        {"columns": {"a": np.ones(2)}, "index": np.arange(2), "index_name": None},
        pd.DataFrame(np.eye(2), columns=["a", "a"]),
        np.array(["ends with zero\0"], dtype=object),
    ],
)
def test_what_would_not_come_back_is_not_written(record, tmp_path, value):
    path = save(record, tmp_path / "r.pickle.xz")
    before = path.read_bytes()
    record.values["odd"] = {"deep": [value]}
    with pytest.raises(ValueError, match="would not give back|columns of the same name"):
        save(record, path)
    assert path.read_bytes() == before


# -- files that are damaged or made to do harm -----------------------------------------------------


PROTOCOL = b"\x80\x05"


@pytest.fixture
def assert_refused(tmp_path, monkeypatch):
    """Checks that reading a file is a ValueError that names it, and runs nothing."""
    monkeypatch.chdir(tmp_path)

    def check(content, message=""):
        (tmp_path / "r.pickle.xz").write_bytes(content)
        with pytest.raises(ValueError, match=f"r.pickle.xz is not a record .*{message}"):
            load("r.pickle.xz")
        assert not os.path.exists("owned")

    return check


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole[:-1],
        lambda whole: b"",
        lambda whole: whole + b".",
        lambda whole: whole + b"\0" * 4,
        lambda whole: whole + whole,
    ],
    ids=["cut off", "empty", "longer", "padded", "twice"],
)
def test_a_file_of_another_length_is_refused(change, record, tmp_path, assert_refused):
    whole = save(record, tmp_path / "small.pickle.xz").read_bytes()
    assert_refused(change(whole), "delete this file to compute it again")


def test_a_flipped_bit_anywhere_is_noticed(record, tmp_path, assert_refused):
    whole = save(record, tmp_path / "small.pickle.xz").read_bytes()
    for place in range(0, len(whole), 11):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        assert_refused(flipped)


def nest(depth):
    """A pickle of lists in lists."""
    return PROTOCOL + b"]" * depth + b"a" * (depth - 1) + b"."


def dump(value):
    """A pickle without references to objects that were stored before."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()


def part(content):
    """Of a pickle, what another pickle may hold."""
    return content.removeprefix(PROTOCOL).removesuffix(b".")


def call(module, name, arguments):
    """A pickle that calls a function by its name."""
    names = b""
    for text in (module, name):
        names += b"\x8c" + bytes([len(text)]) + text.encode()
    return PROTOCOL + names + b"\x93" + arguments + b"R."


def array(shape, dtype, content=b""):
    """A pickle of an array."""
    return call("numpy", "ndarray", part(dump((shape, dtype, bytearray(content)))))


def text_array(n):
    return array((n,), "<U1", "Ω".encode("utf-32-le") * n)


def hidden_record():
    """A record in a text that crosses the end of a frame, where unpicklers drop two bytes of it."""
    text = b"\0\0" + pickle.dumps(vars(empty_record()), protocol=0)
    length = len(text).to_bytes(4, "little")
    return PROTOCOL + b"\x95\3" + bytes(7) + b"X" + length + text + b"."


HASHED_TO_0 = 2**61 - 1
LARGE = 2**16  # of larger numbers, enough may be chosen that a dict looks up one after another
HOSTILE = {
    "a command": (dump(Payload()), "it refers to .*system"),
    "another function of NumPy": (call("numpy", "fromfile", b"\x8c\x01x\x85"), "numpy.fromfile"),
    "a function in place of a value": (PROTOCOL + b"\x8c\x05numpy\x8c\x07ndarray\x93.", "method"),
    "very deep lists": (nest(100_000), "more than 50 deep"),
    "a key that is a deep tuple": (PROTOCOL + b"})" + b"\x85" * 800_000 + b"Ns.", "50 deep"),
    "a key that is a tuple": (dump({(1, 2): 3}), "keys of text and whole numbers"),
    "a key with the hash of others": (dump({HASHED_TO_0: 3}), "keys of text and whole numbers"),
    "a key that is a large number": (dump({"a": 1, LARGE: 3}), "keys of text and whole numbers"),
    "many items": (PROTOCOL + b"](" + b"N" * 500_000 + b"e.", "too many items"),
    "many empty arrays": (PROTOCOL + b"(" + part(array((0,), "<f8")) * 50_000 + b"t.", "too many"),
    "much text": (dump(["x" * 6_000_000, "y" * 6_000_000]), "too much text"),
    "an array larger than its bytes": (array((10**6, 10**6), "<f8"), "has 0 bytes, not 8000"),
    "an array of many axes": (array((2**31 - 1,) * 30_000, "<f8"), "without a valid shape"),
    "a shape of text": (array(("x" * 10,), "<U50000000"), "without a valid shape"),
    "text without characters": (array((10**8,), "<U0"), "an array of '<U0'"),
    "an array of pointers": (array((1,), "|O8", bytes(8)), "an array of '|O8'"),
    "bytes that are not there": (PROTOCOL + b"\x96" + bytes(7) + b"\1.", "only 1 remain"),
    "bytes in place of a value": (dump(bytearray(b"x")), "not a bytearray"),
    "something after the end": (dump({}) + b"N.", "something follows its end"),
    "another record for other readers": (hidden_record(), ""),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_pickle_made_to_do_harm_is_refused(kind, assert_refused):
    """Soon, and with the right checksum, as somebody who means harm would write it."""
    content, message = HOSTILE[kind]
    compressed = lzma.compress(content)
    start = time.process_time()
    assert_refused(compressed, message)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("column", [np.array(1.0), np.ones(1), [1.0, 2.0]])
def test_a_table_has_arrays_of_its_length(column):
    content = {"columns": {"a": column}, "index": np.arange(2), "index_name": None}
    with pytest.raises(ValueError, match="no arrays of the same length"):
        store.decode(content)


def test_instructions_that_no_record_has_are_refused(record, tmp_path, assert_refused):
    record.values["more"] = ["x" * 300, 300, 2**20, False, (1, 2, 3, 4)]
    written = lzma.decompress(save(record, tmp_path / "full.pickle.xz").read_bytes())
    known = {instruction.name for instruction, _, _ in pickletools.genops(written)}
    others = [instruction for instruction in pickletools.opcodes if instruction.name not in known]
    for instruction in others:
        argument = bytes(8)
        if instruction.arg and instruction.arg.n == pickletools.UP_TO_NEWLINE:
            argument = b"''\n" if instruction.name == "STRING" else b"1\n1\n"
        content = PROTOCOL + instruction.code.encode("latin-1") + argument
        assert_refused(lzma.compress(content), f"instruction {instruction.name} is not allowed")


@pytest.mark.parametrize(
    "content",
    [text_array(500_000), PROTOCOL + b"(" + part(text_array(500)) * 1000 + b"t."],
    ids=["one array", "many arrays"],
)
def test_text_in_arrays_that_would_take_much_memory_is_refused(
    content, assert_refused, monkeypatch
):
    """As values of an array of objects, the 4 bytes of a character become 80."""
    monkeypatch.setattr(store, "ALWAYS_ALLOWED", 2**21)
    compressed = lzma.compress(content)
    tracemalloc.start()
    assert_refused(compressed, "500000 texts")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**24


def test_a_file_compressed_too_much_is_refused(assert_refused, monkeypatch):
    monkeypatch.setattr(store, "ALWAYS_ALLOWED", 2**20)
    zeros = b"\x96" + (2**24).to_bytes(8, "little") + bytes(2**24)
    content = lzma.compress(PROTOCOL + zeros + b".")
    assert_refused(content, "more than .* bytes, 500 times its size")


def test_a_file_that_wants_much_memory_is_refused(assert_refused):
    """4 GiB to decompress the few bytes that it has."""
    content = bytearray(lzma.compress(dump(vars(empty_record()))))
    end = 12 + 4 * (content[12] + 1)  # of the header of its block
    content[16] = 40  # the size of the dictionary
    checksum = zlib.crc32(content[12 : end - 4])
    content[end - 4 : end] = checksum.to_bytes(4, "little")
    assert_refused(content, "Memory usage limit exceeded")


@pytest.mark.parametrize("name", ["settings", "values", "versions", "arguments"])
def test_a_record_with_another_kind_of_entry_is_refused(name, assert_refused):
    content = dump(vars(empty_record()) | {name: [1]})
    assert_refused(lzma.compress(content), f"its {name} are no dict")


def test_a_file_without_a_checksum_is_refused(assert_refused):
    content = lzma.compress(pickle.dumps({}, 5), check=lzma.CHECK_NONE)
    assert_refused(content, "it has no checksum")


@pytest.mark.parametrize("overwrite", [False, True])
def test_saved_results_hand_their_place_on(overwrite, tmp_path):
    compute = Mock()
    saved = SavedResults(tmp_path, overwrite)
    assert saved.compute("ridge", compute, 1, folds=2) is compute.return_value
    path = tmp_path / "ridge.pickle.xz"
    compute.assert_called_once_with(1, folds=2, results=path, overwrite=overwrite)


@pytest.mark.parametrize("name", ["../ridge", "", 3])
def test_saved_results_stay_in_their_folder(name, tmp_path):
    with pytest.raises(ValueError, match="name must be that of a file without its folder"):
        SavedResults(tmp_path).compute(name, Mock())
