"""The command line does what the notebooks do, and ends with a status that a script can use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sbnn import cli, simulate_patchseq
from sbnn.data.datasets import STUDIES
from sbnn.data.paired import as_paired
from sbnn.study import experiments, notebooks, reproduce

SAVED = Path(__file__).parents[1] / "saved_models"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments, "WIDTHS", (2,))


@pytest.fixture
def tables(tmp_path):
    data = as_paired(simulate_patchseq(n_cells=90, n_genes=30, n_outputs=3, n_true_genes=5, n_families=2, n_types=3))
    pd.DataFrame(data.counts, data.cell_names, data.gene_names).to_csv(tmp_path / "counts.csv")
    pd.DataFrame(data.Y, data.cell_names, data.feature_names).iloc[::-1].to_csv(tmp_path / "ephys.tsv", sep="\t")
    data.labels.to_csv(tmp_path / "types.csv")
    return ["mine", "--expression", "counts.csv", "--outputs", "ephys.tsv", "--labels", "types.csv", "--counts"]


@pytest.mark.slow
def test_tables_of_a_user_from_cross_validation_to_figures(tables, tmp_path, capsys):
    assert cli.main(["cv", *tables, "--everything", "--fast"]) == 0
    printed = capsys.readouterr().out
    assert "| ridge, all genes | 30 |" in printed and "| network d=2, 25 genes |" in printed
    assert "\nTest R2 " in printed and "- 90 cells are few" in printed
    assert cli.main(["fit", *tables, "--fast"]) == 0
    assert "sbnn map saved_models/mine-fast/model.safetensors" in capsys.readouterr().out
    assert cli.main(["figures", "mine", "--fast"]) == 0
    assert (tmp_path / "figures" / "mine-fast" / "effects.png").exists()
    capsys.readouterr()
    assert cli.main(["report", "mine", "--fast", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)
    assert "Test R2, mean over the folds" in tables
    assert cli.main(["report", "all"]) == 1, "trials are not results"
    (tmp_path / "saved_models" / "mine-fast").rename(tmp_path / "saved_models" / "mine")
    capsys.readouterr()
    assert cli.main(["report", "all"]) == 0
    assert "| mine | 30 -> 3 |" in capsys.readouterr().out


def test_errors_are_messages_and_a_status(tables, capsys):
    assert cli.main(["report", "scala"]) == 1
    assert "sbnn report:" in capsys.readouterr().err
    assert cli.main(["cv", "mine", "--expression", "counts.csv"]) == 1
    assert "--outputs is missing" in capsys.readouterr().err
    assert cli.main(["fit", "mine", "--outputs", "ephys.tsv"]) == 1
    assert "--expression is missing" in capsys.readouterr().err
    assert cli.main(["cv", "simulated", *tables[1:]]) == 1
    assert "'simulated' is taken" in capsys.readouterr().err
    assert cli.main(["cv", "nonsense"]) == 1
    assert "nonsense" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        cli.main(["nonsense"])
    assert stop.value.code == 2


@pytest.mark.parametrize("command", ["cv", "fit", "figures", "report"])
def test_data_sets_of_another_study_are_refused_by_name(command, capsys):
    assert cli.main([command, "lee_human"]) == 1
    assert "'lee_human' is of the study 'ephys_types'; those of 'sbnn' are scala, " in capsys.readouterr().err


def test_notebooks_are_run_on_the_data_sets_of_their_study(tmp_path, monkeypatch):
    made = {"sbnn": "simulated", "ephys_types": "simulated_ephys", "mechanism_shift": "simulated_screen"}
    made["dynamics"] = "simulated_grn"
    for name in ("cv_network", "types_lightgbm", "shift_small_pca", "dynamics_noise_5_dash"):
        folder = tmp_path / list(made.values())[len(list(tmp_path.iterdir()))]
        folder.mkdir()
        (folder / f"{name}.pickle").touch()
    (tmp_path / "gouwens_ephys").mkdir()
    (tmp_path / "gouwens_ephys" / "types_lightgbm.pickle").touch()
    monkeypatch.setattr(reproduce, "list_datasets", lambda: [])
    monkeypatch.setattr(reproduce, "default_dataset", lambda study: made[study])
    jobs = [(path.stem[:2], name) for path, name in reproduce._jobs("all", tmp_path)]
    of_others = [("05", "simulated_ephys"), ("06", "simulated_screen"), ("07", "simulated_grn")]
    assert jobs == [*((number, "simulated") for number in ("01", "02", "03", "08", "04")), *of_others]
    assert [(path.stem[:2], name) for path, name in reproduce._jobs("auto", tmp_path)] == jobs
    assert [(path.stem[:2], name) for path, name in reproduce._jobs("lee_human", tmp_path)] == [("05", "lee_human")]
    numbers = [path.stem[:2] for path, _ in reproduce._jobs("stoeckius", tmp_path)]
    assert numbers == ["01", "02", "03", "04"], "no list of genes to believe in is known for it"


def test_every_notebook_is_of_one_study():
    there = [path.name for path in sorted((reproduce.ROOT / "notebooks").glob("*.ipynb"))]
    assert sorted(name for names in reproduce.NOTEBOOKS.values() for name in names) == there
    assert reproduce.NOTEBOOKS.keys() == reproduce.SAVED.keys() == set(STUDIES)


def test_ctrl_c_loses_nothing_and_says_so(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "cross_validations", interrupted)
    assert cli.main(["cv", "simulated"]) == 130
    assert "goes on from there" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sbnn.cli", "report", "scala", "--saved-models", SAVED]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_help_names_every_step(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    for step in ("data", "cv", "fit", "genes", "prior", "figures", "report", "notebooks", "explore", "map"):
        assert f"\n    {step}" in text, step


def loaded_by(*arguments):
    """Top-level modules that a command has loaded when it ends, in a process of its own."""
    code = "import atexit, sys; from sbnn import cli; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    ended = subprocess.run(
        [sys.executable, "-c", code + f"sys.exit(cli.main({list(arguments)}))"],
        capture_output=True,
        text=True,
        cwd=SAVED.parent,  # this package, wherever an installed one may be
    )
    assert ended.returncode == 0, ended.stderr
    return {module.partition(".")[0] for module in ended.stderr.split()}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["cv", "--help"], ["data", "--help"], ["data", "list"]],
    ids=" ".join,
)
def test_what_needs_no_arithmetic_loads_none(arguments):
    slow = {"anndata", "matplotlib", "numpy", "pandas", "papermill", "scipy", "sklearn", "torch"}
    loaded = loaded_by(*arguments)
    assert "sbnn" in loaded and not slow & loaded


def test_notebooks_take_the_folders_of_the_command(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(notebooks, "run_notebook", lambda source, target, **given: ran.append((source.stem, given)))
    assert cli.main(["notebooks", "simulated", "--saved-models", "here", "--figures", "there", "--fast"]) == 0
    assert [name[:2] for name, _ in ran] == ["01", "02", "03", "08", "04"]
    for _, given in ran:  # absolute, since a notebook runs in its own folder
        assert given == {
            "dataset": "simulated",
            "fresh": False,
            "fast": True,
            "saved_models": str(tmp_path / "here"),
            "figures": str(tmp_path / "there"),
        }
    ran.clear()
    assert cli.main(["notebooks", "simulated"]) == 0
    assert "saved_models" not in ran[0][1], "by default the folders that stand in the notebooks"


def test_notebooks_that_cannot_run_say_why(tmp_path, monkeypatch, capsys):
    assert cli.main(["notebooks", "nonsense"]) == 1
    assert "dataset: 'nonsense' is unknown" in capsys.readouterr().err
    with monkeypatch.context() as plain:
        plain.setitem(sys.modules, "papermill", None)
        assert cli.main(["notebooks", "simulated"]) == 1
    assert capsys.readouterr().err.startswith("sbnn notebooks: the notebooks need papermill: run `pip install")
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)  # as in an installed copy: no notebooks beside the package
    assert cli.main(["notebooks"]) == 1
    assert "the notebooks are in the checkout" in capsys.readouterr().err
