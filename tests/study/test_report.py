"""Tables of what there is, and what it is worth, in words."""

import importlib
import warnings
from hashlib import sha256
from pathlib import Path

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
from sbnn.data.datasets import DATASETS
from sbnn.data.paired import as_paired
from sbnn.evaluation.stability import selection_table, trust_sentence
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.models.sparse_linear import SparseReducedRankRegression
from sbnn.results import Record, load, save
from sbnn.study import report
from sbnn.study.own_data.commands import FAST
from sbnn.study.report import summarise
from sbnn.tables import TRIAL, to_markdown

SAVED = Path(__file__).parents[2] / "saved_models"
ACCURACY, EFFECTS = report.ACCURACY, report.EFFECTS
PRINTED = pd.read_csv(Path(__file__).with_name("report_tables.csv"))
OUTPUTS = "Test R2 of every output, scaled per fold"


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Results of a user's cells: the default network with two units and ridge, and no model of the paper."""
    data = as_paired(
        simulate_patchseq(120, 40, 5, n_true_genes=8, n_families=3, n_types=6, random_state=0)
    )
    folder = tmp_path_factory.mktemp("saved_models") / "mine"
    model = DistilledBottleneckRegressor(n_genes=10, random_state=42, standardize=False, **FAST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cross_validate(
            model,
            data,
            4,
            {"n_components": [2]},
            results=folder / "cv_default.pickle",
            verbose=False,
        )
        cross_validate(
            LeaveOneOutRidge(), data, 4, results=folder / "cv_ridge.pickle", verbose=False
        )
    fit_full(model, data, results=folder / "fit_default_2d.pickle")
    halves = SparseReducedRankRegression(rank=2, alpha=0.2)
    stability_selection(halves, data, 1, results=folder / "halves_default.pickle", verbose=False)
    about = data.name, data.sha256
    genes = load(folder / "fit_default_2d.pickle").kept_genes
    table = pd.DataFrame(
        {"norm": 1.0, "stability": 0.5, "output": "x"}, pd.Index(genes, name="gene")
    )
    save(
        Record("interpretation", *about, [{}], values={"table": table}),
        folder / "interpretation.pickle",
    )
    agreement = {"agreement": np.array([0.95, 0.65])}
    save(Record("map trust", *about, [{}], values=agreement), folder / "map_trust.pickle")
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
    assert (
        overview["sRRR, rank 2"].to_dict() == {"mine": ""}
        and overview.loc["mine", "distilled, d=2"] != ""
    )


def test_summary(mine):
    summary = tables_of(mine)[report.SUMMARY].sentence
    assert summary.index.tolist() == [
        "distilled network d=2",
        "its outputs",
        "its genes",
        "its map",
    ]
    assert (
        "(4 folds)" in summary.iloc[0]
        and "with permuted outputs" in summary.iloc[0]
        and " ridge" in summary.iloc[0]
    )
    assert "predicted better than chance (adjusted for their number)" in summary.iloc[1]
    its_map = "Maps of other seeds agree with it with an R2 of 0.65 to 0.95: not stable"
    assert summary.iloc[3].startswith(its_map)
    effects = tables_of(mine)[EFFECTS]
    assert "unstable: other cells may give" in effects.attrs["note"] and set(effects.trust) == {
        "unstable"
    }


def test_chance_is_unknown_without_outputs_and_ridge_of_other_folds_is_left_out(mine):
    scores = load(mine / "cv_default.pickle")
    assert (
        "is unknown: the outputs are not available"
        in summarise({"cv_default": scores}).sentence.iloc[0]
    )
    ridge = load(mine / "cv_ridge.pickle")
    ridge.folds = ridge.folds[::-1]
    assert "ridge" not in summarise({"cv_default": scores, "cv_ridge": ridge}).sentence.iloc[0]
    assert summarise({}).empty


@pytest.mark.parametrize("dataset", sorted(PRINTED["data set"].unique()))
def test_tables_of_committed_results_stay_as_they_are(dataset):
    """All that ``sbnn report`` prints of a data set, by a fingerprint of the text of each table."""
    study = DATASETS[dataset].study
    room = importlib.import_module(f"sbnn.{'study' if study == 'sbnn' else study}.report")
    tables = room.all_tables(room.read(SAVED / dataset))
    found = {
        title: sha256(to_markdown(table).encode()).hexdigest()[:12]
        for title, table in tables.items()
    }
    assert found == PRINTED[PRINTED["data set"] == dataset].set_index("title").sha256.to_dict()


def test_no_gene_to_trust_is_a_sentence_and_not_an_empty_table(mine):
    halves = load(mine / "halves_default.pickle")
    assert not selection_table(halves).trusted.any()
    assert trust_sentence(halves).startswith(
        "No gene can be trusted yet: 2 halves of the cells are too few"
    )
    [table] = [
        table for title, table in tables_of(mine).items() if title.startswith("Genes to trust")
    ]
    assert table.empty and table.attrs["note"] == trust_sentence(halves)
    assert trust_sentence(load(SAVED / "scala" / "halves_default.pickle")) == ""


@pytest.mark.parametrize("fast", [True, False])
def test_tables_of_a_quick_run_are_called_so(mine, fast, tmp_path, capsys):
    (tmp_path / ("mine-fast" if fast else "mine")).symlink_to(mine)
    assert cli.main(["report", "mine", "--saved-models", str(tmp_path), *["--fast"] * fast]) == 0
    assert (TRIAL in capsys.readouterr().out) == fast
