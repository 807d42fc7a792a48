"""Tables of what there is, and what it is worth, in words."""

import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sbnn import (
    DistilledBottleneckRegressor,
    cli,
    cross_validate,
    fit_full,
    simulate_patchseq,
    stability_selection,
)
from sbnn.data.paired import as_paired
from sbnn.evaluation.stability import selection_table, trust_sentence
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.models.sparse_linear import SparseReducedRankRegression
from sbnn.results import Record, load, save
from sbnn.study import report
from sbnn.study.own_data.commands import FAST
from sbnn.study.report import summarise
from sbnn.tables import TRIAL

SAVED = Path(__file__).parents[2] / "saved_models"
ACCURACY, EFFECTS = report.ACCURACY, report.EFFECTS
PRINTED = sorted(Path(__file__).with_name("printed").glob("*.txt"))
OUTPUTS = "Test R2 of every output, scaled per fold"


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Results of a user's cells: the default network with two units, ridge, and no other model."""
    adata = simulate_patchseq(120, 40, 5, n_true_genes=8, n_families=3, n_types=6, random_state=0)
    data = as_paired(adata)
    folder = tmp_path_factory.mktemp("saved_models") / "mine"

    def path(name):
        return folder / f"{name}.pickle"

    model = DistilledBottleneckRegressor(n_genes=10, random_state=42, standardize=False, **FAST)
    ridge = LeaveOneOutRidge()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grid = {"n_components": [2]}
        cross_validate(model, data, 4, grid, results=path("cv_default"), verbose=False)
        cross_validate(ridge, data, 4, results=path("cv_ridge"), verbose=False)
    fitted = fit_full(model, data, results=path("fit_default_2d"))
    linear = SparseReducedRankRegression(rank=2, alpha=0.2)
    stability_selection(linear, data, 1, results=path("halves_default"), verbose=False)
    genes = pd.Index(fitted.kept_genes, name="gene")
    table = pd.DataFrame({"norm": 1.0, "stability": 0.5, "output": "x"}, genes)
    about = data.name, data.sha256, [{}]
    save(Record("interpretation", *about, values={"table": table}), path("interpretation"))
    agreement = {"agreement": np.array([0.95, 0.65])}
    save(Record("map trust", *about, values=agreement), path("map_trust"))
    return folder


def tables_of(folder):
    return report.all_tables(report.read(folder))


def test_results_without_the_models_of_the_paper_have_all_their_tables(mine):
    tables = tables_of(mine)
    assert list(tables)[:3] == [report.SUMMARY, ACCURACY, OUTPUTS]
    assert tables[ACCURACY].index.tolist() == [
        "distilled network d=2, 10 genes",
        "ridge, all genes",
    ]
    assert tables[ACCURACY].folds.tolist() == [4, 4], "numbers other than ten are given"
    assert tables[OUTPUTS].columns.tolist() == ["distilled network d=2", "ridge"]
    (mine.parent / "mine-fast").symlink_to(mine)  # of a quick run, which is left out
    [overview] = report.overview(mine.parent).values()
    assert overview["sRRR, rank 2"].to_dict() == {"mine": ""}
    assert overview.loc["mine", "distilled, d=2"] != ""


def words_in(text):
    """The words that a verdict has if it is complete."""
    return {words for words in ("(4 folds)", "permuted outputs", " ridge") if words in text}


def test_summary(mine):
    summary = tables_of(mine)[report.SUMMARY].sentence
    assert summary.index.tolist() == [
        "distilled network d=2",
        "its outputs",
        "its genes",
        "its map",
    ]
    assert {"(4 folds)", "permuted outputs", " ridge"} <= words_in(summary.iloc[0])
    assert "predicted better than chance (adjusted for their number)" in summary.iloc[1]
    its_map = "Maps of other seeds agree with it with an R2 of 0.65 to 0.95: not stable"
    assert summary.iloc[3].startswith(its_map)
    effects = tables_of(mine)[EFFECTS]
    assert "unstable: other cells may give" in effects.attrs["note"]
    assert set(effects["trust"]) == {"unstable"}


@pytest.mark.parametrize(
    ("better", "sentence"),
    [
        ([True, True], "2 of 2 outputs are predicted better than chance"),
        ([False, True], "1 of 2 outputs are predicted better than chance"),
        ([False, False], "No single output is predicted better than chance"),
    ],
)
def test_the_sentence_on_outputs_names_those_that_are_not_predicted(better, sentence):
    found = report._sentence_on_outputs(pd.Series(better, ["x", "y"]))
    assert found.startswith(sentence)
    assert found.endswith("but not x.") == (better == [False, True])


@pytest.mark.parametrize(
    ("agreement", "words"),
    [(0.9, ": stable."), (0.89, ": mostly stable"), (0.7, ": mostly"), (0.69, ": not stable")],
)
def test_the_sentence_on_the_map_follows_the_lowest_agreement(agreement, words):
    values = {"agreement": np.array([0.95, agreement])}
    trust = Record("map trust", "mine", "s", [{}], values=values)
    sentence = summarise({"map_trust": trust})["sentence"].iloc[0]
    assert f"{agreement:.2f} to 0.95" in sentence and words in sentence


def test_the_verdict_is_on_the_network_with_two_units(monkeypatch):
    judged = []

    def verdict(record, fit, ridge, point, curve):
        judged.append(point)
        return SimpleNamespace(sentence="It is.", better_than_chance=None)

    monkeypatch.setattr(report, "verdict", verdict)
    scores = Record("cross-validation", "mine", "s", [{"n_components": 64}, {"n_components": 2}])
    assert summarise({"cv_default": scores})["sentence"].tolist() == ["It is."]
    assert judged == [1]


def test_notes_are_on_selected_genes_and_on_computing_time():
    values = {"seconds": np.array([[100.0], [50.0]])}
    record = Record("cross-validation", "mine", "s", [{}], values=values)
    assert "took 2 CPU minutes" in report.note({"cv_ridge": record, "fit": record})
    known = replace(record, dataset="scala")
    assert report.note({"cv_a": record, "cv_b": known}).startswith(report.SELECTION_NOTE)
    assert report.note({"fit": record}) == ""


def test_the_usual_lasso_and_pretraining_are_not_named():
    assert report._network_name(2, 25, 0.1, True) == "network d=2, 25 genes"
    name = report._network_name(64, 5, 1e-4, False)
    assert name == "network d=64, 5 genes, straight, group lasso 0.0001"
    assert report._before_pruning_name(2, 1.0) == "network d=2, before pruning, group lasso 1"


def test_chance_is_unknown_without_outputs_and_ridge_of_other_folds_is_left_out(mine):
    scores = load(mine / "cv_default.pickle")
    alone = summarise({"cv_default": scores})["sentence"].iloc[0]
    assert "is unknown: the outputs are not available" in alone
    ridge = load(mine / "cv_ridge.pickle")
    ridge.folds = ridge.folds[::-1]
    both = summarise({"cv_default": scores, "cv_ridge": ridge})["sentence"].iloc[0]
    assert "ridge" not in both
    assert summarise({}).empty


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_tables_of_committed_results_stay_as_they_are(path, capsys):
    """Written by ``sbnn report NAME > tests/study/printed/NAME.txt``."""
    assert cli.main(["report", path.stem, "--saved-models", str(SAVED)]) == 0
    assert capsys.readouterr().out.splitlines() == path.read_text().splitlines()


def test_no_gene_to_trust_is_a_sentence_and_not_an_empty_table(mine):
    halves = load(mine / "halves_default.pickle")
    assert not selection_table(halves).trusted.any()
    sentence = trust_sentence(halves)
    assert sentence.startswith("No gene can be trusted yet: 2 halves of the cells are too few")
    tables = tables_of(mine)
    [title] = [title for title in tables if title.startswith("Genes to trust")]
    assert tables[title].empty
    assert tables[title].attrs["note"] == sentence
    assert trust_sentence(load(SAVED / "scala" / "halves_default.pickle")) == ""


@pytest.mark.parametrize("fast", [True, False])
def test_tables_of_a_quick_run_are_called_so(mine, fast, tmp_path, capsys):
    (tmp_path / ("mine-fast" if fast else "mine")).symlink_to(mine)
    assert cli.main(["report", "mine", "--saved-models", str(tmp_path), *["--fast"] * fast]) == 0
    assert (TRIAL in capsys.readouterr().out) == fast
