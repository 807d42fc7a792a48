"""The command line does what the notebooks do, and ends with a status that a script can use."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

import sbnn
from sbnn import cli
from sbnn.data.datasets import STUDIES
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


def test_notebooks_are_run_on_the_data_sets_of_their_study(tmp_path, monkeypatch):
    made = dict(
        zip(
            STUDIES,
            ("simulated", "simulated_ephys", "simulated_screen", "simulated_grn"),
            strict=True,
        )
    )
    names = ("cv_network", "types_lightgbm", "shift_small_pca", "dynamics_noise_5_dash")
    for dataset, name in [
        *zip(made.values(), names, strict=True),
        ("gouwens_ephys", "types_lightgbm"),
    ]:
        (tmp_path / dataset).mkdir()
        (tmp_path / dataset / f"{name}.pickle").touch()
    (tmp_path / "gouwens").mkdir()
    (tmp_path / "gouwens" / "cv_network.pickle").touch()
    monkeypatch.setattr(reproduce, "list_datasets", dict)
    monkeypatch.setattr(reproduce, "default_dataset", lambda study: made[study])
    jobs = [(path.stem[:2], name) for path, name in reproduce._jobs("all", tmp_path)]
    of_others = [("05", "simulated_ephys"), ("06", "simulated_screen"), ("07", "simulated_grn")]
    simulated = [(number, "simulated") for number in ("01", "02", "03", "08", "04", *OWN)]
    assert jobs == [("04", "gouwens"), *simulated, *of_others], "figures of what is not here"
    assert [
        (path.stem[:2], name) for path, name in reproduce._jobs("auto", tmp_path)
    ] == simulated + of_others
    assert [(path.stem[:2], name) for path, name in reproduce._jobs("lee_human", tmp_path)] == [
        ("05", "lee_human")
    ]
    numbers = [path.stem[:2] for path, _ in reproduce._jobs("stoeckius", tmp_path)]
    assert numbers == ["01", "02", "03", "04"], "no list of genes to believe in is known for it"


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
    code = "import atexit, sys; from sbnn import cli; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    code += f"sys.exit(cli.main({arguments.split()}))"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=SAVED.parent
    )
    loaded = {module.partition(".")[0] for module in ended.stderr.split()}
    slow = {"anndata", "matplotlib", "numpy", "pandas", "papermill", "scipy", "sklearn", "torch"}
    assert ended.returncode == status and "sbnn" in loaded and not slow & loaded
    if arguments == "--version":
        found = subprocess.run(
            [sys.executable, "-m", "sbnn", arguments], capture_output=True, text=True
        )
        assert found.stdout == ended.stdout == f"sbnn {sbnn.__version__}\n"


def test_recordings_are_read_as_asked_for(monkeypatch, tmp_path, capsys):
    traces = pytest.importorskip("sbnn.ephys_types.traces")
    given, out = [], tmp_path / "t.nwb"
    out.touch()
    assert (
        cli.main(["traces", str(out), "--out", str(out)]) == 1
        and "overwritten" in capsys.readouterr().err
    )
    monkeypatch.setattr(
        traces,
        "read_traces",
        lambda *paths, **how: given.append((*paths, how)) or AnnData(np.eye(2)),
    )
    monkeypatch.setattr(traces, "write_traces", lambda _, out: [out])
    assert (
        cli.main(["traces", str(tmp_path), "--cache", "done", "--jobs", "3", "--out", "t.csv"]) == 0
    )
    assert (
        given == [([str(tmp_path)], {"n_jobs": 3, "cache": "done"})]
        and "2 cells x 2 f" in capsys.readouterr().out
    )


def test_notebooks_take_the_folders_of_the_command(tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(
        notebooks, "run_notebook", lambda source, target, **given: ran.append((target, given))
    )
    assert (
        cli.main(
            [
                "reproduce",
                "all",
                "simulated",
                "--saved-models",
                "here",
                "--figures",
                "there",
                "--fast",
            ]
        )
        == 0
    )
    assert [target.stem[:2] for target, _ in ran] == ["01", "02", "03", "08", "04", *OWN]
    # not relative to a notebook
    folders = {"saved_models": str(tmp_path / "here"), "figures": str(tmp_path / "there")}
    assert all(
        given == folders | {"dataset": "simulated", "fresh": False, "fast": True}
        for _, given in ran
    )
    assert ran[0][0] == reproduce.ROOT / "build" / "notebooks" / "simulated" / "01_preprocess.ipynb"
    ran.clear()
    path, asked = reproduce.ROOT / "a.ipynb", []
    monkeypatch.setattr(
        reproduce, "_jobs", lambda *given: asked.append(given) or [(path, given[0])]
    )
    assert cli.main(["reproduce", "--in-place"]) == 0 and ran == [(path, {})]
    assert cli.main(["reproduce", "--saved-models", "here"]) == 0
    assert asked == [("auto", reproduce.ROOT / "saved_models"), ("all", tmp_path / "here")], (
        "where results are"
    )
    # as in an installed copy: no notebooks beside the package
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    assert cli.main(["reproduce"]) == 1
    assert "notebooks need a clone" in capsys.readouterr().err
