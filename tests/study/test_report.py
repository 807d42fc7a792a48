"""Tables of what there is, and what it is worth, in words."""

import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    cli,
    cross_validate,
    fit_full,
    stability_selection,
)
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.models.sparse_linear import SparseReducedRankRegression
from sbnn.results import Record, load_folder, save
from sbnn.study import report
from sbnn.tables import TRIAL

SAVED = Path(__file__).parents[2] / "saved_models"
PRINTED = sorted(Path(__file__).with_name("printed").glob("*.txt"))
OUTPUTS = "Test R2 of every output, scaled per fold"


@pytest.fixture(scope="module")
def mine(adata, data, tmp_path_factory):
    """Results of a user's cells: the default network with two units, ridge, and no other model."""
    folder = tmp_path_factory.mktemp("saved_models") / "mine"
    short = DistilledSettings(n_teachers=2, n_trees=5, steps_of_teachers=20, steps_of_student=40)
    model = DistilledBottleneckRegressor(n_genes=10, distillation=short, random_state=42)
    model.set_params(standardize=False, hidden_layers=(32, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = {
            "cv_default": cross_validate(model, data, 4, {"n_components": [2]}, verbose=False),
            "cv_ridge": cross_validate(LeaveOneOutRidge(), data, 4, verbose=False),
            "fit_default_2d": fit_full(model, data),
        }
    linear = SparseReducedRankRegression(rank=2, alpha=0.2)
    records["halves_default"] = stability_selection(linear, data, 1, verbose=False)
    genes = pd.Index(records["fit_default_2d"].kept_genes, name="gene")
    table = pd.DataFrame({"norm": 1.0, "stability": 0.5, "output": "x"}, genes)
    agreement = np.array([0.95, 0.65])
    for name, values in (
        ("interpretation", {"table": table}),
        ("map_trust", {"agreement": agreement}),
    ):
        records[name] = Record(name, data.name, data.sha256, [{}], values=values)
    for name, record in records.items():
        save(record, folder / f"{name}.pickle")
    return folder


@pytest.fixture
def records(mine):
    return load_folder(mine)


def test_results_without_the_models_of_the_paper_have_all_their_tables(mine, records):
    tables = report.all_tables(records)
    assert list(tables)[:3] == [report.SUMMARY, report.ACCURACY, OUTPUTS]
    accuracy = tables[report.ACCURACY]
    assert accuracy.index.tolist() == ["distilled network d=2, 10 genes", "ridge, all genes"]
    assert accuracy["folds"].tolist() == [4, 4], "numbers other than ten are given"
    assert accuracy["genes"].tolist() == [10, 40]
    assert tables[OUTPUTS].columns.tolist() == ["distilled network d=2", "ridge"]
    [empty] = [table for title, table in tables.items() if title.startswith("Genes to trust")]
    assert empty.empty
    assert "2 halves of the cells are too few" in empty.attrs["note"]
    assert set(tables[report.EFFECTS]["trust"]) == {"unknown"}
    (mine.parent / "mine-fast").symlink_to(mine)  # of a quick run, which is left out
    [overview] = report.overview(mine.parent).values()
    r2 = records["cv_default"].test_r2
    expected = f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"
    assert overview.loc["mine", ["distilled, d=2", "sRRR, rank 2"]].tolist() == [expected, ""]
    with pytest.raises(FileNotFoundError):
        report.overview(mine)


def test_ridge_of_preselected_genes_is_called_so(records):
    ridge = records["cv_ridge"]
    chosen = np.arange(40) < np.array([[10], [20], [10], [20]])
    ridge = replace(ridge, values=ridge.values | {"preselected": chosen})
    table = report.accuracy_table({"cv_ridge": ridge})
    assert table["genes"].to_dict() == {"ridge, preselected genes": 15}


def test_summary(records, monkeypatch):
    summary = report.summarise(records)["sentence"]
    assert summary.index.tolist() == [
        "distilled network d=2",
        "its outputs",
        "its genes",
        "its map",
    ]
    assert "(4 folds)" in summary.iloc[0]
    assert " ridge" in summary.iloc[0]
    assert summary["its genes"].startswith("No gene can be trusted yet")
    alone = {"cv_default": records["cv_default"], "cv_ridge": records["cv_ridge"]}
    alone["cv_ridge"].folds = alone["cv_ridge"].folds[::-1]
    [sentence] = report.summarise(alone)["sentence"]
    assert "is unknown: the outputs are not available" in sentence
    assert "ridge" not in sentence, "its folds differ"
    assert report.summarise({}).empty
    for better, outputs in (([True] * 2, "2 of 2"), ([False, True], "1 of 2")):
        table = pd.DataFrame({"better_than_chance": better}, ["x", "y"])
        monkeypatch.setattr(report, "outputs_table", lambda *_, table=table, **point: table)
        sentence = report.summarise(records)["sentence"]["its outputs"]
        assert sentence.startswith(outputs)
        assert sentence.endswith("but not x.") == (not all(better))


@pytest.mark.parametrize(
    ("agreement", "words"),
    [(0.9, ": stable."), (0.89, ": mostly stable"), (0.7, ": mostly"), (0.69, ": not stable")],
)
def test_the_sentence_on_the_map_follows_the_lowest_agreement(agreement, words):
    trust = SimpleNamespace(agreement=np.array([0.95, agreement]))
    [sentence] = report.summarise({"map_trust": trust})["sentence"]
    assert f"{agreement:.2f} to 0.95" in sentence
    assert words in sentence


def test_the_verdict_is_on_the_network_with_two_units(monkeypatch):
    verdict = Mock(return_value=SimpleNamespace(sentence="It is.", better_than_chance=None))
    monkeypatch.setattr(report, "verdict", verdict)
    scores = Record("cross-validation", "mine", "s", [{"n_components": 64}, {"n_components": 2}])
    assert report.summarise({"cv_default": scores})["sentence"].tolist() == ["It is."]
    verdict.assert_called_once_with(scores, None, None, 1, curve=None)


def test_notes_are_on_selected_genes_and_on_computing_time():
    values = {"seconds": np.array([[100.0], [50.0]])}
    record = Record("cross-validation", "mine", "s", [{}], values=values)
    assert report.note({"cv_ridge": record, "fit": record}) == (
        "The cross-validations took 2 CPU minutes"
    )
    known = replace(record, dataset="scala")
    assert report.note({"cv_a": record, "fit": known}).startswith(report.SELECTION_NOTE)
    assert report.note({"fit": record}) == ""


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_tables_of_committed_results_stay_as_they_are(path, capsys):
    """Written by ``sbnn report NAME > tests/study/printed/NAME.txt``."""
    assert cli.main(["report", path.stem, "--saved-models", str(SAVED)]) == 0
    assert capsys.readouterr().out.splitlines() == path.read_text().splitlines()


def test_tables_of_a_quick_run_are_called_so(mine, tmp_path, capsys):
    (tmp_path / "mine-fast").symlink_to(mine)
    assert cli.main(["report", "mine", "--saved-models", str(tmp_path), "--fast"]) == 0
    assert TRIAL in capsys.readouterr().out
    assert cli.main(["report", "mine", "--saved-models", str(mine.parent)]) == 0
    assert TRIAL not in capsys.readouterr().out


def test_one_gene_is_in_the_singular(monkeypatch):
    for n, words in ((1, "1 gene is trusted"), (2, "2 genes are trusted")):
        table = pd.DataFrame({"trusted": np.arange(3) < n})
        monkeypatch.setattr(report.stability, "selection_table", lambda _, table=table: table)
        assert report.genes_sentence(None).startswith(words)


def test_results_of_other_data_in_the_folder_are_refused(tmp_path):
    for name, fingerprint in (("cv_ridge", "ab"), ("gene-selection", "counts"), ("noise", "")):
        save(Record(name, "mine", fingerprint, [{}]), tmp_path / f"{name}.pickle")
    assert len(report.read(tmp_path)) == 3
    save(Record("any", "mine", "cd", [{}]), tmp_path / "cv_srrr.pickle")
    with pytest.raises(ValueError, match="cv_srrr of 'mine'"):
        report.read(tmp_path)
