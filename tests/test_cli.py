"""The command line does what the notebooks do, and ends with a status that a script can use."""

import io
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import sbnn
from sbnn import cli
from sbnn.data.datasets import STUDIES
from sbnn.ephys_types import own_tables as ephys_tables
from sbnn.results import Record, save
from sbnn.study import notebooks, reproduce

#: Numbers of the notebooks of own data that are there.
OWN = [path.stem[:2] for path in (reproduce.ROOT / "notebooks").glob("09_*")]
SAVED = Path(__file__).parents[1] / "saved_models"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_errors_are_messages_and_a_status(capsys):
    for command, message in (
        ("report scala", "sbnn report: no results in"),
        ("report lee_human", "sbnn report: no results in"),
        (
            "fit mine --expression counts.csv --outputs ephys.tsv",
            "--expression: there is no file 'counts.csv'",
        ),
        (
            "fit mine --expression . --outputs ephys.h5ad",
            "--outputs: there is no file 'ephys.h5ad'",
        ),
        ("fit mine --expression . --outputs . --groups donor", "--labels is missing"),
        ("ephys-types predict . --model model", "--model: there is no file 'model'"),
        ("fit mine --expression counts.csv", "--outputs is missing"),
        ("fit mine --outputs ephys.tsv", "--expression is missing"),
        (
            "fit simulated --expression counts.csv --outputs ephys.tsv",
            "name: 'simulated' is not allowed",
        ),
        ("fit ../x --expression counts.csv --outputs ephys.tsv", "name: '../x' is not allowed"),
        ("reproduce all nonsense", "dataset: 'nonsense' is unknown"),
        (
            "reproduce 05 simulated",
            "notebook: '05' is unknown, expected one of ['all', '01_preprocess'",
        ),
    ):
        assert cli.main(command.split()) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("reproduce", {"notebook": "all", "dataset": None, "saved_models": None, "jobs": 1}),
        ("report x", {"saved_models": "saved_models", "fast": False, "json": False}),
        ("fit a", {"figures": "figures", "missing": "error", "match": "exact", "jobs": 1}),
        ("fit a", {"duplicates": "error", "spike_ins": "leave out", "type_key": "type"}),
        ("explore x", {"cv": None, "out": None, "saved_models": "saved_models"}),
        ("map m c", {"out": "map.csv", "predictions": None, "totals": None}),
        ("ephys-types fit f --model m", {"out": "types.csv", "fast": False, "abstain": None}),
        ("network c", {"out": "network", "prior": None, "times": None, "fast": False}),
        ("screen c --guides g --control n", {"latents": 10, "out": "screen", "fast": False}),
        ("traces a b", {"paths": ["a", "b"], "out": "traces.csv", "cache": None, "jobs": 1}),
    ],
)
def test_what_a_command_takes_by_default(command, expected):
    options = vars(cli._parser().parse_args(command.split()))
    assert expected.items() <= options.items()


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("screen c --control NT", "--guides"),
        ("screen c --guides g", "--control"),
        ("ephys-types fit f", "--model"),
        ("ephys-types learn f --model m", "'learn'"),
        ("traces", "paths"),
        ("fit mine --jobs 0", "--jobs"),
        ("fit mine --missing some", "--missing"),
        ("network", "course"),
        ("map m", "cells"),
        ("nothing", "'nothing'"),
    ],
)
def test_a_wrong_command_ends_with_status_2(command, named, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(command.split())
    assert ended.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (None, 0, ""),
        (KeyboardInterrupt, 130, "stopped"),
        (KeyError("no 'x' here"), 1, "sbnn network: no 'x' here\n"),
        (ValueError("missing='cells' or counts=False"), 1, "--missing 'cells' or --log"),
        (OSError("full"), 1, "full"),
        (ImportError("no y"), 1, "no y"),
    ],
)
def test_the_status_of_errors(monkeypatch, capsys, error, status, message):
    monkeypatch.setattr(cli, "_network", Mock(side_effect=error))
    usual = warnings.formatwarning
    assert cli.main(["network", "course.csv"]) == status
    assert message in capsys.readouterr().err
    assert warnings.formatwarning is usual


def test_a_bug_is_no_message(monkeypatch):
    monkeypatch.setattr(cli, "_network", Mock(side_effect=RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["network", "course.csv"])


def test_warnings_are_in_the_words_of_the_command_line():
    assert cli._plainly(UserWarning("counts=True"), UserWarning) == "warning: --counts\n"
    assert cli._plainly("old", FutureWarning, "file", 3) == "FutureWarning: old\n"


@pytest.fixture
def scores(tmp_path):
    """A folder with a record of one study."""
    values = {"seed": [0], "balanced_accuracy": 0.75, "recall_missing": 0.5, "kept_wrong": 0.25}
    record = Record(
        "dynamics methods",
        "grn_350",
        "s",
        [{"method": "dash"}],
        settings={"condition": "noise_5"},
        values={"scores": pd.DataFrame(values)},
    )
    return save(record, tmp_path / "grn_350" / "dynamics_noise_5_dash.pickle")


def test_reports_are_of_the_results_that_exist(scores, tmp_path, capsys, monkeypatch):
    where = ["--saved-models", str(tmp_path)]
    assert cli.main(["report", "all", *where]) == 0
    assert "| DASH | 0.750 | 0.500 | 0.250 |" in capsys.readouterr().out
    assert cli.main(["report", "all", "--saved-models", str(tmp_path / "none")]) == 1
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert cli.main(["report", "grn_350", *where]) == 0
    assert b"Mean ? SD" in terminal.buffer.getvalue(), "a sign that the terminal lacks"


@pytest.fixture
def own_tables(monkeypatch):
    """Classifiers of a user's tables that only record how they are called."""
    model = SimpleNamespace(classes_=["a", "b"], save=lambda path: path)
    found = pd.DataFrame({"type": ["b", "a", "b"]}, pd.Index(["c1", "c2", "c3"], name="cell"))
    for name, value in {"fit_table": model, "predict_table": found}.items():
        monkeypatch.setattr(ephys_tables, name, Mock(return_value=value))
    monkeypatch.setattr(ephys_tables, "held_out_sentence", Mock(return_value="fine"))
    monkeypatch.setattr("sbnn.ephys_types.EphysTypeClassifier.load", Mock())
    return ephys_tables


def test_types_are_learned_and_predicted(own_tables, scores, tmp_path, capsys):
    (tmp_path / "m").touch()
    assert cli.main(["ephys-types", "fit", str(scores), "--model", "m", "--fast"]) == 0
    assert own_tables.fit_table.call_args.args == (str(scores), None, 20)
    assert cli.main(["ephys-types", "fit", str(scores), "--model", "m", "--sheet", "S"]) == 0
    assert own_tables.fit_table.call_args.args == ((str(scores), "S"), None, "auto")
    assert "types a, b; fine" in capsys.readouterr().out
    predict = ["ephys-types", "predict", str(scores), "--model", "m", "--abstain", "0.5"]
    assert cli.main(predict) == 0
    assert own_tables.predict_table.call_args.args[1:] == (str(scores), 0.5)
    assert Path("types.csv").read_text() == "cell,type\nc1,b\nc2,a\nc3,b\n"
    assert "{'b': 2, 'a': 1}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("predict x --model m --out x", "--out"),
        ("predict x --model m --out m", "--out"),
        ("fit x --model x", "--model"),
        ("fit x --types y --model y", "--model"),
    ],
)
def test_no_input_is_overwritten(own_tables, tmp_path, capsys, command, option):
    for name in "xym":
        (tmp_path / name).touch()
    assert cli.main(["ephys-types", *command.split()]) == 1
    assert f"{option}: " in capsys.readouterr().err


@pytest.mark.parametrize(("fast", "members"), [([], 5), (["--fast"], 2)])
def test_networks_of_a_quick_run_have_fewer_members(scores, tmp_path, monkeypatch, fast, members):
    from sbnn.dynamics import own_tables

    for name in ("read_course", "read_prior", "study"):
        monkeypatch.setattr(own_tables, name, Mock())
    out = str(tmp_path / "out")
    assert cli.main(["network", str(scores), "--out", out, *fast]) == 0
    assert own_tables.read_course.call_args.args == (str(scores), None)
    assert own_tables.study.call_args.args[2:] == (out, members)


def planned(dataset, saved_models):
    """Numbers of the notebooks to run, with their data sets."""
    jobs = reproduce._jobs(dataset, saved_models)
    return [(path.stem[:2], name) for name, paths in jobs.items() for path in paths]


def test_notebooks_are_run_on_the_data_sets_of_their_study(tmp_path, monkeypatch):
    datasets = ["simulated", "simulated_ephys", "simulated_screen", "simulated_grn"]
    names = ["cv_network", "types_lightgbm", "shift_small_pca", "dynamics_noise_5_dash"]
    saved = dict(zip(datasets, names, strict=True))
    saved |= {"gouwens_ephys": "types_lightgbm", "gouwens": "cv_network"}
    for dataset, name in saved.items():
        (tmp_path / dataset).mkdir()
        (tmp_path / dataset / f"{name}.pickle").touch()
    default = dict(zip(STUDIES, datasets, strict=True))
    monkeypatch.setattr(reproduce, "list_datasets", dict)
    monkeypatch.setattr(reproduce, "default_dataset", lambda study: default[study])
    simulated = [(number, "simulated") for number in ("01", "02", "03", "08", "04", *OWN)]
    others = [("05", "simulated_ephys"), ("06", "simulated_screen"), ("07", "simulated_grn")]
    everything = planned("all", tmp_path)
    assert everything == [("04", "gouwens"), *simulated, *others], "figures of what is not here"
    assert planned("auto", tmp_path) == simulated + others
    assert planned("lee_human", tmp_path) == [("05", "lee_human")]
    without_list = [number for number, _ in planned("stoeckius", tmp_path)]
    assert without_list == ["01", "02", "03", "04"], "no list of genes to believe in is known"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("fit --help", 0),
        ("--version", 0),
        ("data list", 0),
        ("fit mine --expression lost.csv --outputs o.csv", 1),
        ("map lost.safetensors lost.csv", 1),
    ],
)
def test_what_needs_no_arithmetic_loads_none(arguments, status):
    code = (
        "import atexit, sys\nfrom sbnn import cli\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.exit(cli.main({arguments.split()}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=SAVED.parent
    )
    loaded = {module.partition(".")[0] for module in ended.stderr.split()}
    slow = {"anndata", "matplotlib", "numpy", "pandas", "papermill", "scipy", "sklearn", "torch"}
    assert ended.returncode == status
    assert "sbnn" in loaded
    assert not slow & loaded
    if arguments == "--version":
        found = subprocess.run(
            [sys.executable, "-m", "sbnn", arguments], capture_output=True, text=True
        )
        assert found.stdout == ended.stdout == f"sbnn {sbnn.__version__}\n"


def test_recordings_are_read_as_asked_for(monkeypatch, tmp_path, capsys):
    traces = pytest.importorskip("sbnn.ephys_types.traces")
    given = []
    out = tmp_path / "t.nwb"
    out.touch()
    assert cli.main(["traces", str(out), "--out", str(out)]) == 1
    assert "overwritten" in capsys.readouterr().err
    monkeypatch.setattr(
        traces,
        "read_traces",
        lambda *paths, **how: given.append((*paths, how)) or AnnData(np.eye(2)),
    )
    monkeypatch.setattr(traces, "write_traces", lambda _, out: [out])
    assert (
        cli.main(["traces", str(tmp_path), "--cache", "done", "--jobs", "3", "--out", "t.csv"]) == 0
    )
    assert given == [([str(tmp_path)], {"n_jobs": 3, "cache": "done"})]
    assert "2 cells x 2 f" in capsys.readouterr().out


def test_notebooks_take_the_folders_of_the_command(tmp_path, monkeypatch, capsys):
    ran = []
    asked = []

    def run_notebook(source, target, **given):
        ran.append((target, given))

    def jobs(*given):
        asked.append(given)
        return {given[0]: [reproduce.ROOT / "a.ipynb"]}

    monkeypatch.setattr(notebooks, "run_notebook", run_notebook)
    command = "reproduce all simulated --saved-models here --figures there --fast"
    assert cli.main(command.split()) == 0
    assert [target.stem[:2] for target, _ in ran] == ["01", "02", "03", "08", "04", *OWN]
    # not relative to a notebook
    expected = {"saved_models": str(tmp_path / "here"), "figures": str(tmp_path / "there")}
    expected |= {"dataset": "simulated", "fresh": False, "fast": True}
    assert all(given == expected for _, given in ran)
    assert ran[0][0] == reproduce.ROOT / "build" / "notebooks" / "simulated" / "01_preprocess.ipynb"
    ran.clear()
    monkeypatch.setattr(reproduce, "_jobs", jobs)
    assert cli.main(["reproduce", "--in-place"]) == 0
    assert ran == [(reproduce.ROOT / "a.ipynb", {})]
    assert cli.main(["reproduce", "--saved-models", "here"]) == 0
    folders = [reproduce.ROOT / "saved_models", tmp_path / "here"]
    assert asked == [("auto", folders[0]), ("all", folders[1])], "where results are"
    # as in an installed copy: no notebooks beside the package
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    assert cli.main(["reproduce"]) == 1
    assert "notebooks need a clone" in capsys.readouterr().err
