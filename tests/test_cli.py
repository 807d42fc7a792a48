"""The command line does what the notebooks do, and ends with a status that a script can use."""

import io
import subprocess
import sys
import warnings
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import sbnn
from sbnn import cli
from sbnn.data.datasets import _DEFAULTS
from sbnn.ephys_types import own_tables as ephys_tables
from sbnn.results import Record, save
from sbnn.study import notebooks, reproduce


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with three empty files, x, y and m."""
    monkeypatch.chdir(tmp_path)
    for name in "xym":
        Path(name).touch()
    return tmp_path


def run(command):
    return cli.main(command.split())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("report scala", "sbnn report: no results in"),
        ("report lee_human", "sbnn report: no results in"),
        ("report all", "sbnn report: no results in"),
        ("report all --html x.html", "--html: 'all' has tables only"),
        ("fit x", "name: 'x' is a file; give tables with --expression"),
        ("fit mine --expression lost", "expression: there is no file 'lost'"),
        ("fit mine --expression x --outputs lost", "outputs: there is no file 'lost'"),
        ("fit mine --expression x --cell-names lost", "--cell-names: there is no file"),
        ("fit mine --expression x", "outputs: missing"),
        ("fit mine", "--expression is missing"),
        ("screen x --control NT", "guides: missing"),
        ("read types --out y", "--features is missing"),
        ("fit simulated --expression x", "name: 'simulated' is not allowed"),
        ("fit a/x --expression x", "name: 'a/x' is not allowed"),
        ("fit .. --expression x", "name: '..' is not allowed"),
        ("map lost x", "model: there is no file"),
        ("traces x lost", "paths: there is no file 'lost'"),
        ("traces x --out x", "--out: 'x' is an input and would be overwritten"),
        ("ephys-types predict x --model lost", "--model: there is no file 'lost'"),
        ("ephys-types predict x --model m --out x", "--out: "),
        ("ephys-types predict x --model m --out m", "--out: "),
        ("ephys-types fit x --model x", "--model: "),
        ("ephys-types fit x --labels y --model y", "--model: "),
        ("ephys-types predict --features x --labels y --model m", "predict takes no labels"),
        ("reproduce all nonsense", "dataset: 'nonsense' is unknown"),
        ("reproduce 04 simulated", "notebook: '04' is unknown, expected one of ['01_preprocess'"),
    ],
)
def test_errors_are_messages_and_a_status(capsys, command, message):
    assert run(command) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("reproduce", {"notebook": "all", "dataset": None, "saved_models": "", "jobs": 1}),
        ("report x", {"saved_models": "saved_models", "fast": False, "json": False}),
        ("fit a --expression e", {"figures": "figures", "match": None, "type_key": None}),
        ("explore x", {"cv": None, "out": None, "saved_models": "saved_models"}),
        ("map m c", {"out": "map.csv", "predictions": None, "totals": None, "counts": None}),
        ("ephys-types fit f --model m", {"out": "types.csv", "fast": False, "abstain": None}),
        ("network c", {"out": "network", "prior": None, "times": None, "fast": False}),
        ("screen c --guides g --control n", {"latents": 10, "out": "screen", "fast": False}),
        ("traces a b", {"paths": ["a", "b"], "out": "traces.csv", "cache": None, "jobs": 1}),
    ],
)
def test_what_a_command_takes_by_default(command, expected):
    options = vars(cli._parser().parse_args(command.split()))
    assert options | expected == options


@pytest.mark.parametrize(
    "command",
    ["explore x", "map m c", "ephys-types fit f --model m", "network", "screen", "traces a"],
)
def test_help_names_what_is_written_by_default(command, capsys):
    default = cli._parser().parse_args(command.split()).out or "name of the data set"
    with pytest.raises(SystemExit):
        run(f"{command.split()[0]} --help")
    shown = " ".join(capsys.readouterr().out.split())
    assert f"(default: {default}" in shown[shown.index("--out OUT") :]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("ephys-types fit f", "--model"),
        ("ephys-types learn f --model m", "'learn'"),
        ("read", "kind"),
        ("read nothing", "'nothing'"),
        ("fit mine --jobs 0", "--jobs"),
        ("fit mine --missing some", "--missing"),
        ("nothing", "'nothing'"),
    ],
)
def test_a_wrong_command_ends_with_status_2(command, named, capsys):
    with pytest.raises(SystemExit) as ended:
        run(command)
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
    monkeypatch.setitem(cli.RUN, "network", Mock(side_effect=error))
    usual = warnings.formatwarning
    assert run("network x") == status
    assert message in capsys.readouterr().err
    assert warnings.formatwarning is usual


def test_warnings_are_in_the_words_of_the_command_line():
    plainly = cli._Plainly()
    assert plainly(UserWarning("counts=True"), UserWarning) == "warning: --counts\n"
    assert plainly("old", FutureWarning, "file", 3) == "FutureWarning: old\n"
    assert plainly("old", FutureWarning, "file", 4) == "", "once per command"


def test_reports_are_of_the_results_that_exist(here, capsys, monkeypatch):
    scores = pd.DataFrame(
        {"seed": [0], "balanced_accuracy": 0.75, "recall_missing": 0.5, "kept_wrong": 0.25}
    )
    about = "dynamics methods", "grn_350", "s", [{"method": "dash"}], None, {"condition": "noise_5"}
    record = Record(*about, values={"scores": scores})
    save(record, here / "saved_models" / "grn_350" / "dynamics_noise_5_dash.pickle")
    assert run("report all") == 0
    assert "| DASH | 0.750 | 0.500 | 0.250 |" in capsys.readouterr().out
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("report grn_350") == 0
    assert b"Mean ? SD" in terminal.buffer.getvalue(), "a sign that the terminal lacks"


def test_types_are_learned_and_predicted(monkeypatch, capsys):
    scores = pd.DataFrame({"accuracy": [0.75]}, pd.Index(["majority"], name="method"))
    found = pd.DataFrame({"type": ["b", "a", "b"]})
    given = Mock()
    given.read.return_value = AnnData(np.ones((20, 2)))
    given.study.return_value = "fine", scores
    given.predict.return_value = found
    for name in ("study", "predict"):
        monkeypatch.setattr(ephys_tables, name, getattr(given, name))
    monkeypatch.setattr("sbnn.study.own_data.options.read", given.read)
    load = Mock()
    monkeypatch.setattr("sbnn.ephys_types.EphysTypeClassifier.load", load)
    for words, steps in ((" --fast", 20), ("", "auto")):
        assert run(f"ephys-types fit x --labels y --model m{words}") == 0
        assert given.read.call_args.args[0] == "types"
        assert given.read.call_args.kwargs == {"features": "x"}
        given.study.assert_called_with(given.read.return_value, Path("m"), steps)
    printed = capsys.readouterr().out
    assert "fine\n" in printed
    assert "| majority | 0.750 |" in printed
    assert run("ephys-types predict x --model m --abstain 0.5 --sheet S") == 0
    expected = load.return_value, "x", Path("types.csv"), 0.5, "x"
    given.predict.assert_called_with(*expected, sheet="S")
    assert "{'b': 2, 'a': 1}" in capsys.readouterr().out


@pytest.mark.parametrize("fast", [True, False])
def test_networks_and_screens_of_a_quick_run_are_smaller(monkeypatch, fast):
    from sbnn.dynamics import own_tables
    from sbnn.mechanism_shift import own_screen

    tables = Mock()
    for name in ("most_varying", "study"):
        monkeypatch.setattr(own_tables, name, getattr(tables, name))
    monkeypatch.setattr("sbnn.data.readers.course.read_prior", tables.read_prior)
    tables.read.return_value = AnnData(np.ones((20, 2)))
    monkeypatch.setattr("sbnn.study.own_data.options.read", tables.read)
    monkeypatch.setattr(own_screen, "study", tables.screen)
    assert run("network x --out out" + " --fast" * fast) == 0
    assert (tables.read.call_args.args[0], tables.read.call_args.args[2]) == ("course", "out")
    assert tables.read.call_args.kwargs == {"expression": "x"}
    assert tables.most_varying.call_args.args[1] == (100 if fast else None)
    assert tables.study.call_args.args[2:] == ("out", 2 if fast else 5, 1)
    assert Path("out").is_dir()
    assert run("screen x --guides y --control NT" + " --fast" * fast) == 0
    kind, options, name = tables.read.call_args.args
    assert (kind, options.control, name) == ("screen", "NT", "screen")
    assert tables.read.call_args.kwargs == {"expression": "x"}
    adata, folder, latents, recipe = tables.screen.call_args.args
    assert (adata, folder, latents) == (tables.read.return_value, "screen", 10)
    assert (recipe is not None and recipe.epochs == 2) == fast


def test_recordings_are_read_as_asked_for(monkeypatch, here, capsys):
    traces = pytest.importorskip("sbnn.ephys_types.traces")
    read = Mock(return_value=AnnData(np.eye(2)))
    monkeypatch.setattr(traces, "read_traces", read)
    monkeypatch.setattr(traces, "write_traces", lambda _, out: [out])
    assert run("traces x --cache done --jobs 3 --out t.csv") == 0
    read.assert_called_with(["x"], n_jobs=3, cache="done")
    assert capsys.readouterr().out == "2 cells x 2 features\nt.csv\n"


def planned(dataset, saved_models):
    """Numbers of the notebooks to run, with their data sets."""
    jobs = reproduce._jobs(dataset, saved_models)
    return [(path.stem[:2], name) for name, paths in jobs.items() for path in paths]


def test_notebooks_are_run_on_the_data_sets_of_their_study(here, monkeypatch):
    datasets = ["simulated", "simulated_ephys", "simulated_screen", "simulated_grn"]
    names = ["cv_network", "types_lightgbm", "shift_small_pca", "dynamics_noise_5_dash"]
    saved = dict(zip(datasets, names, strict=True))
    saved |= {"gouwens_ephys": "types_lightgbm", "gouwens": "cv_network", "scala": "cv_ridge"}
    for dataset, name in saved.items():
        (here / dataset).mkdir()
        (here / dataset / f"{name}.pickle").touch()
    default = dict(zip(_DEFAULTS, datasets, strict=True))
    states = pd.DataFrame({"state": "download"}, index=[*saved])
    states.loc[datasets] = "here"
    monkeypatch.setattr(reproduce, "list_datasets", lambda: states)
    monkeypatch.setattr(reproduce, "default_dataset", lambda study: default[study])
    simulated = [(number, "simulated") for number in ("01", "02", "03", "07", "08")]
    others = [("04", "simulated_ephys"), ("05", "simulated_screen"), ("06", "simulated_grn")]
    assert planned("all", here) == simulated + others
    assert reproduce._jobs("all", here)["gouwens"] == [], "figures only, as the data are not here"
    assert planned("auto", here) == simulated + others
    default["sbnn"] = "gouwens"
    assert planned("auto", here)[:2] == [("08", "simulated"), ("01", "gouwens")]
    assert [number for number, _ in planned("stoeckius", here)] == ["01", "02", "03"]


def test_figures_are_drawn_from_the_records_of_data_that_are_not_here(here, monkeypatch, capsys):
    drawn = Mock(return_value={"overview": None})
    monkeypatch.setattr(reproduce, "draw", drawn)
    assert run("reproduce figures simulated --figures there") == 0
    [call] = drawn.call_args_list
    assert call.args == ("simulated",)
    assert call.kwargs["figures"] == str(here / "there")


def test_notebooks_take_the_folders_of_the_command(here, monkeypatch, capsys):
    executed = Mock()
    monkeypatch.setattr(notebooks, "run_notebook", executed)
    command = "reproduce all simulated --saved-models here --figures there --fast"
    assert run(command) == 0
    build = reproduce.ROOT / "build" / "notebooks" / "simulated"
    targets = [call.args[1].relative_to(build).name[:2] for call in executed.call_args_list]
    assert targets == ["01", "02", "03", "07", "08"]
    # not relative to a notebook
    expected = {"saved_models": str(here / "here"), "figures": str(here / "there")}
    expected |= {"dataset": "simulated", "fresh": False, "fast": True}
    assert all(call.kwargs == expected for call in executed.call_args_list)
    path = reproduce.ROOT / "02_a.ipynb"
    jobs = Mock(return_value={"simulated": [path, reproduce.ROOT / "03_b.ipynb"]})
    monkeypatch.setattr(reproduce, "_jobs", jobs)
    executed.reset_mock()
    assert run("reproduce 02 --in-place") == 0
    executed.assert_called_once_with(path, path)
    jobs.assert_called_with("auto", reproduce.ROOT / "saved_models")
    assert run("reproduce --saved-models here") == 0
    jobs.assert_called_with("all", here / "here")
    monkeypatch.setattr(reproduce, "ROOT", here)  # as in an installed copy
    assert run("reproduce") == 1
    assert "notebooks need a clone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [("fit --help", 0), ("--version", 0), ("map no no", 1)],
)
def test_what_needs_no_arithmetic_loads_none(arguments, status):
    code = (
        "import atexit, sys\nfrom sbnn import cli\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.exit(cli.main({arguments.split()}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=reproduce.ROOT
    )
    loaded = {module.partition(".")[0] for module in ended.stderr.split()}
    slow = {"anndata", "matplotlib", "numpy", "pandas", "papermill", "scipy", "sklearn", "torch"}
    assert ended.returncode == status
    assert "sbnn" in loaded
    assert not slow & loaded
    if arguments == "--version":
        assert ended.stdout == f"sbnn {sbnn.__version__}\n"
