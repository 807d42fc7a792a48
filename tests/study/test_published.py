"""The committed results stand beside the published ones of the same folds, and the pages show just what they hold."""

from pathlib import Path

import pytest

from sbnn import results
from sbnn.data.paired import groups_of
from sbnn.study import published, report
from sbnn.study.report import THREE_FOLDS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "saved_models" / "scala"


def test_numbers_stand_at_their_folds_lasso_and_stage():
    for name, params, expected in (
        # without a bottleneck there are three folds only
        ("scala", {"n_components": 64, "folds": 10}, []),
        (
            "scala",
            {"n_components": 64, "folds": 3, "stage": "last epoch"},
            [0.289, 0.249, 0.409, 0.399],
        ),
        ("scala", {"n_components": 64, "stage": "before pruning"}, [0.246, 0.267, 0.410, 0.339]),
        ("gouwens", {"stage": "last epoch", "group_lasso": 0.01, "n_components": 2}, [0.264]),
        ("stoeckius", {"stage": "last epoch", "group_lasso": 0.1, "n_components": 64}, [0.410]),
    ):
        assert [row["test_r2"] for row in published.rows(name, 1000, **params)] == expected


def test_only_the_same_folds_and_as_many_genes_compare():
    assert not published.rows("scala_ion_channels", 55)
    assert len(published.rows("scala_ion_channels", 423, stage=published.LAST)) == 4
    ten, three = (
        results.load(FOLDER / f"{name}.pickle")
        for name in ("cv_network_scaled_over_all_cells", THREE_FOLDS)
    )
    assert {row.get("n_components") for row in published.comparable(ten)} == {2, None}
    assert {row.get("n_components") for row in published.comparable(three)} == {64}
    assert {row["stage"] for row in published.comparable(ten) + published.comparable(three)} == {
        published.LAST
    }


def test_models_agree_with_the_published_ones_where_the_lasso_chooses():
    """At 0.1 and 1, and before the pruning; with less lasso the genes, and so R2, are left to chance."""
    table = report.accuracy_table(report.read(FOLDER))
    row, scores = (
        table.loc["network d=64, 25 genes, three folds"],
        results.load(FOLDER / f"{THREE_FOLDS}.pickle"),
    )
    scores = scores.test_r2[:, scores.find(n_components=64, pretraining=True, group_lasso=0.1)]
    assert row.folds == 3 and row["minus published"] == pytest.approx(scores.mean() - 0.409)
    assert row.SE == pytest.approx(scores.std(ddof=1) / 3**0.5)
    networks = table[table.index.str.startswith("network") & table.published.notna()]
    weak = networks.index.str.contains("0.0001|0.01") & ~networks.index.str.contains(
        "before pruning"
    )
    straight = networks.index.str.contains("straight")
    assert (~weak).sum() == 9 and networks[~weak & ~straight]["minus published"].abs().max() < 0.01
    assert networks[straight]["minus published"].between(0.01, 0.015).all(), (
        "paper.md says by how much it is above"
    )
    linear = table[table.index.str.startswith("sRRR")]
    assert len(linear) == 4 and linear["minus published"].abs().max() < 0.001


def test_whole_mice_and_the_last_dates_are_held_out(real_scala):
    mice, dates = groups_of(real_scala, "mouse"), groups_of(real_scala, "date")
    for name in ("default", "network", "ridge"):
        folds = results.load(FOLDER / f"apart_mouse_{name}.pickle").folds
        assert len(folds) == 10 and all(
            set(mice[train]).isdisjoint(mice[test]) for train, test in folds
        )
        [(train, test)] = results.load(FOLDER / f"apart_date_{name}.pickle").folds
        assert max(dates[train]) < min(dates[test])


def test_results_of_other_data_in_the_folder_are_refused(tmp_path):
    for file, its in (("cv_ridge", "ab"), ("gene_selection", "counts"), ("noise", "")):
        results.save(
            results.Record(file.replace("_", "-"), "mine", its, [{}]), tmp_path / f"{file}.pickle"
        )
    assert len(report.read(tmp_path)) == 3
    results.save(results.Record("any", "mine", "cd", [{}]), tmp_path / "cv_srrr.pickle")
    with pytest.raises(ValueError, match="cv_srrr.pickle of 'mine'"):
        report.read(tmp_path)
