"""The committed results stand beside the published ones of the same folds."""

from pathlib import Path

import pytest

from sbnn import results
from sbnn.data.paired import groups_of
from sbnn.study import published, report
from sbnn.study.report import THREE_FOLDS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "saved_models" / "scala"


def test_numbers_stand_at_their_folds_lasso_and_stage():
    for wanted, expected in (
        ({"n_components": 64, "folds": 10}, []),  # without a bottleneck there are three folds only
        ({"n_components": 64, "stage": published.LAST}, [0.289, 0.249, 0.409, 0.399]),
        ({"n_components": 64, "stage": published.BEFORE_PRUNING}, [0.246, 0.267, 0.410, 0.339]),
        ({"rank": 16}, [0.398, 0.409, 0.438]),
    ):
        rows = published.rows("scala", 1000, **wanted)
        assert [row["test_r2"] for row in rows] == expected


def test_numbers_of_genes_are_by_rank():
    assert published.srrr_genes("scala") == {2: [24], 16: [24, 33, 83]}


def test_only_the_same_folds_and_as_many_genes_compare():
    assert not published.rows("scala_ion_channels", 55)
    assert len(published.rows("scala_ion_channels", 423, stage=published.LAST)) == 4
    ten = published.comparable(results.load(FOLDER / f"cv_network_{report.LEAK}.pickle"))
    three = published.comparable(results.load(FOLDER / f"{THREE_FOLDS}.pickle"))
    assert {row.get("n_components") for row in ten} == {2, None}
    assert {row.get("n_components") for row in three} == {64}
    assert {row["stage"] for row in ten + three} == {published.LAST}


@pytest.fixture(scope="module")
def accuracy():
    return report.accuracy_table(report.read(FOLDER))


def test_differences_from_published_results_are_those_of_the_means(accuracy):
    row = accuracy.loc["network d=64, 25 genes, three folds"]
    record = results.load(FOLDER / f"{THREE_FOLDS}.pickle")
    scores = record.test_r2[:, record.find(n_components=64, pretraining=True, group_lasso=0.1)]
    assert row["minus published"] == pytest.approx(scores.mean() - 0.409)
    assert row["SE"] == pytest.approx(scores.std(ddof=1) / 3**0.5)


def test_models_agree_with_the_published_ones_where_the_lasso_chooses(accuracy):
    """At 0.1 and 1, and before the pruning; with less lasso, chance chooses the genes."""
    known = accuracy[accuracy["published"].notna()]["minus published"]
    networks = known[known.index.str.startswith("network")]
    weak = networks.index.str.contains("lasso 0.0")
    weak &= ~networks.index.str.contains("before pruning")
    straight = networks.index.str.contains("straight")
    assert (~weak).sum() == 9
    assert networks[~weak & ~straight].abs().max() < 0.01
    above = networks[straight]
    assert above.between(0.01, 0.015).all(), "docs/paper.md says by how much it is above"
    linear = known[known.index.str.startswith("sRRR")]
    assert len(linear) == 4
    assert linear.abs().max() < 0.001


def test_whole_mice_and_the_last_dates_are_held_out(real_scala):
    mice = groups_of(real_scala, "mouse")
    dates = groups_of(real_scala, "date")
    for name in ("default", "network", "ridge"):
        folds = results.load(FOLDER / f"apart_mouse_{name}.pickle").folds
        assert len(folds) == 10
        assert all(set(mice[train]).isdisjoint(mice[test]) for train, test in folds)
        [(train, test)] = results.load(FOLDER / f"apart_date_{name}.pickle").folds
        assert max(dates[train]) < min(dates[test])
