"""What `sbnn fit` and `sbnn predict` ask, refuse and write."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from material.command import run
from material.notebooks import code_cells, names_in
from material.paths import NOTEBOOKS

from sbnn import files
from sbnn.data.simulate import simulate_tables
from sbnn.own_data import command
from sbnn.own_data import page as own_page
from sbnn.results import load
from sbnn.study.report import read_study_records

RECORDS = {
    "cv_distilled",
    "cv_ridge",
    "cv_stacked",
    "fit_distilled_2d",
    "fit_stacked",
    "halves_distilled",
    "interpretation",
    "map_trust",
    "tsne",
}
PROBES = {f"gene{i:02d}" for i in range(11, 31)}  # genes that a panel may have


def simulate_options(folder):
    """Options of `sbnn fit` for a quick run on simulated tables in a folder."""
    files = simulate_tables(folder, 60, n_genes=30, n_outputs=3, n_true_genes=5)
    options = ["fit", "--fast"]
    for name, path in zip(("expression", "outputs", "labels"), files.values(), strict=False):
        options += [f"--{name}", str(path)]
    return options


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Options of `sbnn fit` for tables in the current folder."""
    monkeypatch.chdir(tmp_path)
    return simulate_options("raw")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Folder of a finished run with donors held out and a panel of three genes."""
    folder = tmp_path_factory.mktemp("fit")
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        options = simulate_options("raw")
        Path("markers.txt").write_text("gene07\n", encoding="utf-8")
        Path("probes.txt").write_text("\n".join(sorted(PROBES)), encoding="utf-8")
        panel = ["--require", "markers.txt", "--candidates", "probes.txt", "--n-genes", "3"]
        assert run(*options, *panel, "--groups", "donor", "--out", "results/mine") == 0
    results = (folder / "results" / "mine").resolve()
    assert printed.getvalue().endswith("No verdict: 2 folds give no interval.\n")
    assert f"in {results}" in printed.getvalue()
    return results


@pytest.mark.slow
def test_a_fit_writes_a_page_with_figures_and_without_code(fitted):
    page = (fitted / "report.html").read_text(encoding="utf-8")
    assert page.index(" of 3 genes ") < page.index("data:image/png")
    assert page.index("data:image/png") < page.index("most_frequent")
    assert "-0.000" not in page
    assert page.count("data:image/png") >= 5
    assert "cross_validate" not in page


@pytest.mark.slow
def test_a_fit_writes_an_explorer_and_every_record(fitted):
    assert (fitted / "explorer.html").exists()
    assert read_study_records(fitted).keys() == RECORDS


@pytest.mark.slow
def test_halves_of_a_quick_fit_are_of_two_pairs(fitted):
    assert len(load(fitted / "halves_distilled.pickle.xz").folds) == 4


@pytest.mark.slow
def test_halves_choose_among_all_possible_genes_and_require_none(fitted):
    genes = pd.read_csv(fitted / "genes.csv", index_col="gene")
    assert set(genes.index[genes["frequency"].notna()]) == PROBES | {"gene07"}
    assert genes.loc["gene07", "frequency"] < 1


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tables):
    command = [sys.executable, "-m", "sbnn", *tables, "--out", "mine"]
    first = Path("mine/cv_distilled.pickle.xz")
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    while not first.exists():
        assert killed.poll() is None
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    written = first.stat().st_mtime_ns
    assert not Path("mine/report.html").exists()
    assert run(*tables) == 0
    assert first.stat().st_mtime_ns == written
    assert Path("mine/report.html").exists()


@pytest.fixture
def asked(monkeypatch):
    """Parameters of notebook 08 in the order of the runs, in place of running it."""
    calls = []

    def note_parameters(source, target, parameters):
        files.write_atomically(b"{}", target, rb"\{\}")
        settings = {"fast": parameters["fast"]}
        summary = {"settings": settings, "verdict": {"n_folds": 2}}
        files.write_atomically(b"gene,kept", target.parent / "genes.csv", files.LISTED)
        files.write_summary(target.parent, summary)
        calls.append(parameters)

    monkeypatch.setattr(command, "run_notebook", note_parameters)
    monkeypatch.setattr(own_page, "write_page", lambda folder, notebook: None)
    return calls


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--outputs", "raw/lost.csv", "lost.csv"),
        ("--outputs", "raw/labels.csv", "expected numbers"),
        ("--groups", "day", "'day'"),
        ("--require", "raw/labels.csv", "are not among the 30 genes"),
        ("--color", "day", "['family', 'type', 'donor']"),
        ("--device", "nope", "'nope'"),
        ("--seed", "-1", "-1"),
    ],
)
def test_a_refused_option_is_named_and_leaves_no_folder(option, value, text, tables, asked, capsys):
    assert run(*tables, option, value) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    # a file that is not there is named by its path alone
    assert error.startswith(("sbnn: [Errno 2]", f"sbnn: {option.removeprefix('--')}"))
    assert text in error
    assert not asked
    assert not Path("mine").exists()


def test_files_of_the_user_are_not_replaced(tables, asked, capsys):
    counts = Path("raw/counts.csv").read_bytes()
    Path("other").mkdir()
    Path("other/summary.json").write_text('{"files": {}}', encoding="utf-8")
    for words in (
        [*tables, "--out", "raw"],
        [*tables, "--out", "other"],
        ["predict", "mine", "raw/counts.csv", "--out", "raw/counts.csv"],
    ):
        assert run(*words) == 2
        assert re.search("sbnn has (not )?written", capsys.readouterr().err)
    assert Path("raw/counts.csv").read_bytes() == counts
    assert not asked


def test_an_interrupted_run_goes_on_beside_files_of_the_user(tables, asked, monkeypatch):
    def interrupt(source, target, parameters):
        files.write_atomically(b"gene,kept,norm", target.parent / "genes.csv", files.LISTED)
        Path("mine/notes.txt").write_text("first", encoding="utf-8")
        raise KeyboardInterrupt

    run(*tables)
    with monkeypatch.context() as patch:
        patch.setattr(command, "run_notebook", interrupt)
        assert run(*tables) == 130
    Path("mine/notes.txt").write_text("second", encoding="utf-8")
    assert run(*tables) == 0
    assert Path("mine/notes.txt").read_text(encoding="utf-8") == "second"


@pytest.mark.parametrize("name", ["genes.csv", command.OWN_DATA])
def test_a_changed_result_is_not_replaced(name, tables, asked, capsys):
    assert run(*tables) == 0
    assert run(*tables) == 0
    Path("mine", name).write_text("with notes", encoding="utf-8")
    assert run(*tables) == 2
    assert f"{name} is not as this version of sbnn has written it" in capsys.readouterr().err
    assert Path("mine", name).read_text(encoding="utf-8") == "with notes"
    assert len(asked) == 2


def test_every_option_is_a_parameter_of_the_notebook(tables, asked):
    Path("markers.txt").write_text("gene07", encoding="utf-8")
    words = (
        "--n-genes 7 --n-components 3 --pairs 9 --preselect 20 --counts --genes-in-rows "
        "--no-outputs-in-rows --groups donor --color type --require markers.txt --candidates "
        "markers.txt --seed 4 --device cpu --jobs 2 --out out/mine"
    )
    assert run(*tables, *words.split()) == 0
    assert asked[0] == {
        "expression": str(Path("raw/counts.csv").resolve()),
        "outputs": str(Path("raw/outputs.csv").resolve()),
        "labels": str(Path("raw/labels.csv").resolve()),
        "require": str(Path("markers.txt").resolve()),
        "candidates": str(Path("markers.txt").resolve()),
        "counts": True,
        "genes_in_rows": True,
        "outputs_in_rows": False,
        "groups": "donor",
        "color": "type",
        "n_genes": 7,
        "n_components": 3,
        "n_pairs": 9,
        "preselect": 20,
        "seed": 4,
        "device": "cpu",
        "n_jobs": 2,
        "fast": True,
        "dataset": "mine",  # in the folder as it was given
        "saved_models": "out",
        "figures": "out",
    }
    [(code, _), *later] = code_cells(NOTEBOOKS / command.OWN_DATA)
    parameters, _ = names_in(code)
    assert asked[0].keys() <= parameters
    # summary.json notes what was asked: nothing else has the name of a parameter
    changed = set().union(*(names_in(code)[0] & parameters for code, _ in later))
    simulated = {"dataset", "expression", "outputs", "labels", "new_cells"}
    assert changed == simulated | {"n_genes", "preselect"}


def test_all_genes_are_used_on_request(tables, asked):
    assert run(*tables, "--no-preselect") == 0
    assert asked[0]["preselect"] is None
    assert run(*tables) == 0
    assert "preselect" not in asked[1]


def test_what_was_understood_is_printed(tables, asked, capsys):
    outputs = pd.read_csv("raw/outputs.csv", index_col=0)
    outputs.iloc[:5, 0] = -999
    outputs.to_csv("coded.csv")
    assert run(*tables, "--outputs", "coded.csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "expression is taken as raw counts; X is log2(1 + counts / total * median)" in lines
    [code] = [line.split() for line in lines if line.startswith(outputs.columns[0])]
    assert code[:3] == [outputs.columns[0], "output", "-999"]
    assert code[-2:] == ["-999", "5"]


@pytest.mark.parametrize(("words", "is_kept"), [(["--fast"], True), ([], False)])
def test_a_full_run_replaces_a_quick_one(words, is_kept, tables, asked):
    run(*tables)
    record = Path("mine/cv_ridge.pickle.xz")
    files.write_atomically(b"", record, b"")
    run(*[word for word in tables if word != "--fast"], *words)
    assert record.exists() == is_kept


def test_fits_are_counted_by_their_files(tmp_path):
    (tmp_path / "fit_distilled_2d.pickle.xz").touch()
    parts = tmp_path / "cv_distilled.pickle.xz.parts"
    parts.mkdir()
    (parts / "a.pickle.xz").touch()
    fits = {"cv_distilled": 10, "fit_distilled": 1, "map_trust": 3}
    assert command._count_done(tmp_path, fits) == 2
