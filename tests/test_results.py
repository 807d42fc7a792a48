import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sbnn import results
from sbnn.results import Record, load, save


@pytest.fixture
def record():
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
    code = blocked + (
        "import importlib.util as u\n"
        f"spec = u.spec_from_file_location('r', {results.__file__!r}); m = u.module_from_spec(spec)\n"
        "sys.modules['r'] = m; spec.loader.exec_module(m)\n"
        f"print(m.load({str(tmp_path / 'r.pickle')!r}).test_r2.shape)"
    )
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


def test_the_grid_point_nearest_in_genes(record):
    record.values["n_selected"] = np.array([[10, 30], [14, 34]])
    assert record.nearest_in_genes(25) == 1
    assert record.nearest_in_genes(25, among=[0]) == 0


class Payload:
    def __reduce__(self):
        return os.system, ("echo run > owned",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.pickle").write_bytes(pickle.dumps({"format": "sbnn-record", "x": Payload()}, protocol=protocol))
    with pytest.raises(ValueError, match="refused.*could run code"):
        load("bad.pickle")
    assert not (tmp_path / "owned").exists()


def test_foreign_and_damaged_files_are_refused(record, tmp_path):
    path = tmp_path / "r.pickle"
    path.write_bytes(pickle.dumps({"some": "dict"}))
    with pytest.raises(ValueError, match="not a record of sbnn"):
        load(path)
    path.write_bytes(pickle.dumps(np.arange(3)))
    with pytest.raises(ValueError, match="refused"):
        load(path)
    whole = save(record, path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        load(path)
    with pytest.raises(FileNotFoundError, match="no results at"):
        load(tmp_path / "missing.pickle")


@pytest.mark.parametrize("schema", [0, 2, None])
def test_another_schema_version_is_named(record, tmp_path, schema):
    path = save(record, tmp_path / "r.pickle")
    content = pickle.loads(path.read_bytes())
    content["schema"] = schema
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=f"schema version {schema}.*recompute it"):
        load(path)


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
