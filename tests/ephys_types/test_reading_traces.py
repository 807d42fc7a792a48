"""A folder of recordings: damaged files, workers, the cache, labels, and what is said where nothing can be read."""

import importlib.util
import logging
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from sbnn.data.ephys_features import EphysFeatures
from sbnn.ephys_types.traces import find_recordings, read_traces, trace_families, write_traces
from sbnn.ephys_types.traces.extra import quiet, require_extra

needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("ipfx") is None, reason="reading recordings needs the extra 'traces'"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three recordings of 50 % of the usual sweeps, a truncated one and one that is no HDF5 at all."""
    from sbnn.ephys_types.traces.simulate import Protocol, write_recording

    folder = tmp_path_factory.mktemp("recordings")
    for k in range(3):
        protocols = [
            Protocol(name, "square", 1.0, amplitude)
            for name, amplitude in (("X1PS_SubThresh_DA_0", -90), ("X3LP_Rheo_DA_0", 150 + 10 * k), ("", 190 + 10 * k))
        ]
        write_recording(folder, protocols=protocols, session=f"{k}", donor=f"9{k // 2}", random_state=k)
    intact = next(folder.rglob("*ses-1_*")).read_bytes()
    (folder / "sub-1_ses-3.nwb").write_bytes(intact[: len(intact) // 2])
    (folder / "sub-1_ses-4.nwb").write_bytes(b"not a recording")
    (folder / "notes.txt").write_text("not meant")
    return folder


@pytest.fixture(scope="module")
def features(folder):
    return read_traces(folder, cache=False, verbose=False)


@needs_extra
def test_damaged_files_are_named_and_the_others_are_read(features):
    assert features.cell_names.tolist() == ["0", "1", "2"]
    assert sum(features.dropped.values(), []) == ["sub-1_ses-3.nwb", "sub-1_ses-4.nwb"]
    truncated, strange = features.dropped
    assert "truncated" in truncated and "signature" in strange
    assert features.labels["donor"].tolist() == ["90", "90", "91"]
    assert features.labels["file"].tolist() == [f"sub-9{k // 2}_ses-{k}_icephys.nwb" for k in range(3)]
    assert (features.X[0] != features.X[1]).any()


@needs_extra
def test_two_workers_give_what_one_gives(folder, features):
    two = read_traces(folder, n_jobs=2, cache=False, verbose=False)
    np.testing.assert_array_equal(two.X, features.X)
    assert two.sha256 == features.sha256 and two.dropped == features.dropped
    pd.testing.assert_frame_equal(two.labels, features.labels)


@needs_extra
def test_damage_inside_a_file_does_not_end_the_run(folder, tmp_path):
    content = bytearray(next(folder.rglob("*ses-0_*")).read_bytes())
    rng = np.random.default_rng(0)
    for k in range(6):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 30):
            damaged[place] ^= 255
        (tmp_path / f"ses-{k}.nwb").write_bytes(damaged)
    (tmp_path / "ses-whole.nwb").write_bytes(content)
    features = read_traces(tmp_path, cache=False, verbose=False)
    assert "whole" in features.cell_names
    assert features.n_cells + len(sum(features.dropped.values(), [])) == 7


@needs_extra
def test_finished_recordings_are_not_computed_again(folder, features, tmp_path, monkeypatch):
    from sbnn.ephys_types.traces import reading

    read = {"cache": tmp_path / "cache", "verbose": False}
    first = read_traces(folder, **read)
    np.testing.assert_array_equal(first.X, features.X)
    kept = sorted((tmp_path / "cache").iterdir())
    assert len(kept) == 3 and all(path.suffix == ".npz" for path in kept)
    computed, compute = [], reading.cell_vectors
    monkeypatch.setattr(reading, "cell_vectors", lambda path: computed.append(path.name) or compute(path))
    broken = ["sub-1_ses-3.nwb", "sub-1_ses-4.nwb"]

    again = read_traces(folder, **read)
    assert computed == broken and again.sha256 == first.sha256
    np.testing.assert_array_equal(again.X, first.X)
    pd.testing.assert_frame_equal(again.labels, first.labels)

    kept[0].write_bytes(kept[0].read_bytes()[:500])  # as a kill while writing would leave it, were it not atomic
    computed.clear()
    np.testing.assert_array_equal(read_traces(folder, **read).X, first.X)
    assert len(computed) == 3

    monkeypatch.setattr(reading, "settings_fingerprint", lambda: "f" * 64)  # another version of IPFX, say
    computed.clear()
    other = read_traces(folder, **read)
    assert len(computed) == 5 and other.sha256 != first.sha256


@needs_extra
def test_a_file_of_the_same_name_with_other_content_is_computed(folder, tmp_path):
    files = [next(folder.rglob(f"*ses-{k}_*")) for k in range(2)]
    path, results = tmp_path / "ses-0.nwb", []
    for file in files:
        path.write_bytes(file.read_bytes())
        results.append(read_traces(path, cache=tmp_path / "cache", verbose=False))
    assert (results[0].X != results[1].X).any() and results[0].sha256 != results[1].sha256


@needs_extra
def test_labels_go_to_their_cells(folder):
    labels = pd.DataFrame({"type": ["Vip", "Sst", "Sst"], "donor": ["a", "b", "c"]}, index=[2, 0, 77])
    features = read_traces(folder, labels=labels, cache=False, verbose=False)
    assert features.labels["type"].tolist() == ["Sst", "unknown", "Vip"]
    assert features.labels["donor"].tolist() == ["b", "unknown", "a"]


@needs_extra
@pytest.mark.filterwarnings("ignore:.* are left out")  # features that are the same in all of three cells
def test_tables_of_features_are_read_back(folder, tmp_path):
    labels = pd.DataFrame({"type": ["Vip", "Sst", "Sst"]}, index=["2", "1", "0"])
    features = read_traces(folder, labels=labels, cache=False, verbose=False)
    table, cells = write_traces(features, tmp_path / "new" / "features.csv")
    back = EphysFeatures.from_table(table, families=trace_families(), classes=[])
    same = features.with_features(back.feature_names)
    assert back.n_features > 1500 and back.families == same.families
    np.testing.assert_allclose(back.X, same.X, rtol=1e-12, atol=1e-13)
    assert back.labels[["type", "donor"]].equals(features.labels[["type", "donor"]])
    told = pd.read_csv(cells, index_col="cell", dtype={"cell": str})
    assert told["notes"].tolist() == features.labels["notes"].tolist() and "no ramp sweep" in told["notes"].iloc[0]


@needs_extra
def test_a_table_of_cells_without_types_says_nothing_of_types(features, tmp_path):
    table, _ = write_traces(features, tmp_path / "features.csv")
    assert pd.read_csv(table, index_col=0, nrows=1).columns[:2].tolist() == ["donor", "first_ap_v_0"]


@needs_extra
@pytest.mark.parametrize(
    ("labels", "error", "said"),
    [
        ({"0": "Sst"}, TypeError, "labels must be a pandas DataFrame, got dict"),
        (
            pd.DataFrame({"type": ["Sst"]}, index=["x"]),
            ValueError,
            "labels knows none of the cells; it is indexed by",
        ),
        (pd.DataFrame({"type": ["Sst", "Vip"]}, index=["0", "0"]), ValueError, "duplicate cell names in labels: 0"),
    ],
)
def test_labels_that_do_not_fit(labels, error, said, folder):
    with pytest.raises(error) as raised:
        read_traces(folder, labels=labels, verbose=False)
    assert said in str(raised.value)


@needs_extra
def test_paths_that_hold_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_traces(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no file that ends in .nwb"):
        read_traces(tmp_path)
    with pytest.raises(TypeError, match="paths must be"):
        read_traces(7)
    for name in ("a_ses-1.nwb", "b_ses-1.nwb"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"two files of cell '1': .*a_ses-1.nwb and .*b_ses-1.nwb"):
        read_traces(tmp_path)
    with pytest.raises(ValueError, match=r"none of the 1 file\(s\) gives a cell: a_ses-1.nwb: OSError"):
        read_traces([tmp_path / "a_ses-1.nwb"], cache=False, verbose=False)


@needs_extra
def test_recordings_without_a_known_stimulus_say_what_they_hold(tmp_path):
    from sbnn.ephys_types.traces.simulate import write_sweeps

    sweeps = [("X2LP_Search_DA_0", np.zeros(50_000), np.full(50_000, -70.0))]
    for name, held in (("ses-1.nwb", sweeps), ("ses-2.nwb", [])):
        write_sweeps(tmp_path / name, held)
    with pytest.raises(ValueError) as error:
        read_traces(tmp_path, cache=False, verbose=False)
    assert "ses-1.nwb: no short square, long square or ramp was recognised" in str(error.value)
    assert "ses-2.nwb: the file holds no sweep in current clamp" in str(error.value)


def test_recordings_stand_in_the_order_of_their_names(tmp_path):
    for name in ("b/ses-1.nwb", "a/ses-2.nwb", "a/c/ses-3.nwb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list(find_recordings(tmp_path)) == ["1", "2", "3"]
    assert list(find_recordings([tmp_path / "a", tmp_path / "b" / "ses-1.nwb"])) == ["1", "2", "3"]


def test_the_logging_of_the_process_is_as_it_was(monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root.manager, "disable", logging.DEBUG)
    with quiet():
        logging.warning("what a library has to say")  # sets up logging where nobody has
        warnings.warn("and once more", stacklevel=1)
    assert logging.root.handlers == [] and logging.root.manager.disable == logging.DEBUG
    assert capsys.readouterr().err == ""


def test_without_the_extra_the_message_names_it(monkeypatch, tmp_path):
    monkeypatch.setattr("sbnn.ephys_types.traces.extra.find_spec", lambda name: None)
    for call in (require_extra, lambda: read_traces(tmp_path)):
        with pytest.raises(ImportError, match=r"needs ipfx and pynwb.*pip install 'sbnn\[traces\]'"):
            call()


def test_nothing_of_the_extra_is_loaded_before_it_is_needed():
    code = (
        "import sys, sbnn.ephys_types.traces as t; t.trace_families(); "
        "print(*{'ipfx', 'pynwb', 'h5py', 'torch', 'sklearn'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "\n"
