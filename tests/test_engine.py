"""The engine of all studies: experiments are run, loaded, printed and drawn by one set of rules."""

import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

from sbnn.engine import UNFINISHED, Step, Study
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record, save


def experiments(data, fast, n_jobs):
    """Two methods, and a long experiment; the second reads the record of the first."""

    def compute(name, path, fresh):
        if name == "small_b":
            assert path.with_name("toy_small_a.pickle").exists()
        wanted = Record("toy", data, data, [{}], settings={"fast": fast})
        table = pd.DataFrame({"f1": [0.25, 0.75], "other": 1})
        return load_or_compute(wanted, lambda: {"scores": table}, path, fresh)

    return {
        name: (lambda path, fresh, name=name: compute(name, path, fresh)) for name in ("small_a", "small_b", "long_a")
    }


def figures(records):
    yield "shown", ["small_a"], lambda record: Figure()
    yield "broken", ["small_b"], lambda record: record.nothing
    yield "unreadable", ["small_b"], lambda record: with_text(r"$\no$")
    yield "absent", ["no such record"], None


def with_text(text):
    figure = Figure()
    figure.text(0, 0, text)
    return figure


@pytest.fixture
def study():
    return Study(
        "mechanism_shift",
        {"run": Step("run the study", experiments)},
        lambda records: {name: record.scores for name, record in records.items()},
        figures,
        prefix="toy_",
        note="a note",
        shown=("f1", "absent"),
        extra=("long_*",),
    )


def test_experiments_are_run_in_order_and_loaded_again(study, tmp_path, capsys):
    records = study.run("simulated_screen", tmp_path)
    assert list(records) == ["small_a", "small_b"] and list(study.load(tmp_path)) == ["small_a", "small_b"]
    assert capsys.readouterr().out == "simulated_screen small_a: f1 0.5\nsimulated_screen small_b: f1 0.5\n"
    with pytest.raises(ValueError, match="another fast"):
        study.run("simulated_screen", tmp_path, fast=True)
    study.run("simulated_screen", tmp_path, fast=True, fresh=True, verbose=False)
    assert study.load(tmp_path)["small_b"].settings == {"fast": True}


def test_some_experiments_are_chosen(study, tmp_path):
    for only, chosen in (
        (["a"], ["small_a", "long_a"]),
        (["small_*"], ["small_a", "small_b"]),
        (["long_a", "small_a"], ["long_a", "small_a"]),
    ):
        assert list(study.run("simulated_screen", tmp_path, only=only)) == chosen


def test_what_cannot_be_run_is_an_error(study, tmp_path):
    with pytest.raises(ValueError, match="only: .*'small'; there are small_a, small_b, long_a"):
        study.run("simulated_screen", tmp_path, only=["small_a", "small"])
    with pytest.raises(ValueError, match="of the study 'sbnn'"):
        study.run("scala", tmp_path)
    with pytest.raises(FileNotFoundError, match="`sbnn mechanism-shift run`"):
        study.load(tmp_path)
    study.run("simulated_screen", tmp_path, only=["small_a"])
    save(Record("toy", "other", "b", [{}]), tmp_path / "toy_other.pickle")
    with pytest.raises(ValueError, match="different data: other.pickle of 'other'"):
        study.load(tmp_path)


def test_what_is_missing_is_told(tmp_path):
    missing = pd.DataFrame({"state": ["not there"]}, ["x"])
    unfinished = Study("dynamics", {}, lambda records: {}, figures, progress=lambda folder: missing)
    assert list(unfinished.report(tmp_path / "empty")[0]) == [UNFINISHED]


@pytest.mark.filterwarnings("ignore:.*could not be drawn")
def test_a_figure_that_fails_leaves_the_others_alone(study, tmp_path):
    records = study.run("simulated_screen", tmp_path)
    assert study.figure_names(records) == ["shown", "broken", "unreadable"]
    with pytest.warns(UserWarning, match="broken could not be drawn: AttributeError: "):
        assert [name for name, _ in study.draw(records)] == ["shown", "unreadable"]
    with pytest.warns(UserWarning, match="unreadable could not be drawn"):
        assert [path.name for path in study.save_figures(records, tmp_path)] == ["shown.png"]
    assert (tmp_path / "shown.pdf").exists()
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        study.save_figures(records, tmp_path / "taken")


@pytest.mark.filterwarnings("ignore:.*could not be drawn")
def test_commands(study, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def printed(words):
        options = study.parser().parse_args(words.split())
        options.run(options)
        return capsys.readouterr().out

    table = "| index | f1 | other |\n|---|---|---|\n| 0 | 0.250 | 1 |\n| 1 | 0.750 | 1 |\n"
    assert printed("run simulated_screen --only small_a,b").endswith(table)
    assert printed("report simulated_screen").endswith("\na note\n")
    assert json.loads(printed("report simulated_screen --json"))["small_a"]["data"][1]["f1"] == 0.75
    with pytest.raises(ValueError, match="could not draw broken, unreadable"):
        printed("figures simulated_screen")
    assert capsys.readouterr().out == "figures/simulated_screen/shown.png\n"
    assert "A trial" in printed("run simulated_screen --fast --only a")
    assert (tmp_path / "saved_models" / "simulated_screen-fast" / "toy_long_a.pickle").exists()
