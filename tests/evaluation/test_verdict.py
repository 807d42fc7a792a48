"""What a test R2 is worth, compared with permuted outputs, ridge and other models."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import changed
from scipy import stats
from sklearn.linear_model import Ridge

from sbnn import SparseReducedRankRegression, cross_validate, fit_full, paper_folds
from sbnn.evaluation.crossval import chance_table
from sbnn.evaluation.runs import drop_details
from sbnn.evaluation.verdict import corrected_difference, outputs_table, paired_difference, verdict

pytestmark = pytest.mark.filterwarnings("ignore:held-out cells of")
close = np.testing.assert_allclose


def scored(data, folds=5, **options):
    return cross_validate(Ridge(30.0), data, folds, verbose=False, **options)


@pytest.fixture(scope="module")
def record(data):
    return scored(data)


def with_values(record, **values):
    return replace(record, values=record.values | values)


def moved(record, by):
    """Record of a model whose R2 is higher by a value for each fold."""
    return with_values(record, test_r2=record.test_r2 + np.reshape(by, (-1, 1)))


def test_the_interval_of_a_difference_is_the_corrected_one(rng):
    differences = rng.normal(0.2, 0.1, 4)
    found = corrected_difference(differences, 0.5)
    mean = differences.mean()
    se = differences.std(ddof=1) * np.sqrt(1 / 4 + 0.5)
    low, high = stats.t.interval(0.95, 3, mean, se)
    p = 2 * stats.t.sf(mean / se, 3)
    close(found, [mean, low, high, se, p, 4])
    assert corrected_difference(-differences, 0.5).p == pytest.approx(p)
    assert str(found) == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    fewer = corrected_difference(differences, 0.5, 3)
    se = differences.std(ddof=1) * np.sqrt(1 / 3 + 0.5)
    close(fewer[1:4], [*stats.t.interval(0.95, 2, mean, se), se])
    assert fewer.n == 4
    assert corrected_difference([0, 0], 0.5).p == 1
    assert corrected_difference([0.5, 0.5], 0.5).p == 0


def test_records_are_paired_fold_by_fold(record):
    other = moved(record, [0.1, 0, 0, 0, 0.2])
    difference = corrected_difference([-0.1, 0, 0, 0, -0.2], 24 / 96)
    close(paired_difference(record, other, "test_r2"), difference)
    # seven times the same folds
    again = replace(record, folds=record.folds * 7)
    of_seven = np.tile([-0.1, 0, 0, 0, -0.2], 7)
    again = with_values(again, test_r2=np.zeros((35, 1)))
    difference = paired_difference(again, moved(again, -of_seven), "test_r2")
    close(difference, corrected_difference(of_seven, 24 / 96, 15))
    for wrong in (
        replace(other, folds=record.folds[::-1]),
        replace(other, folds=record.folds[:4]),
        replace(other, sha256="other"),
    ):
        with pytest.raises(ValueError, match="record, ridge: "):
            paired_difference(record, wrong, "test_r2")
    with pytest.raises(ValueError, match="record, ridge: "):
        paired_difference(with_values(other, true=np.zeros(9)), other, "test_r2")


def test_outputs_are_tested_one_by_one(data, rng):
    """Five outputs of the data, 24 of noise, and one that is flat in the first fold."""
    flat = np.zeros(data.n_cells)
    flat[paper_folds(data.n_cells, 5)[0][0]] = np.resize([1, -1], 96)
    Y = np.column_stack([data.Y, rng.normal(size=(data.n_cells, 24)), flat])
    mixed = changed(data, Y=Y, feature_names=[f"o{i}" for i in range(30)])
    record = scored(mixed, param_grid={"alpha": [1.0, 30.0]})
    table = outputs_table(record, mixed, record, point=1)
    adjusted = stats.false_discovery_control(table.p[:29])
    for name, expected in {
        "test_r2": record.test_feature_r2[:, 1].mean(0),
        "ridge_r2": record.test_feature_r2[:, 0].mean(0),
        "adjusted_p": [*adjusted, np.nan],
        "better_than_chance": [*(adjusted <= 0.05), False],
    }.items():
        close(table[name], expected, atol=1e-5)
    assert table.better_than_chance[:5].all()
    assert table.index.tolist() == mixed.feature_names.tolist()
    assert table.p.min() == 1 / 1201  # 40 permutations for each output, at least 999
    assert outputs_table(scored(data), data).p.min() == 1 / 1000
    bold = [9 * predicted for predicted in record.test_predictions[0]]
    below = outputs_table(with_values(record, test_predictions=[bold]), mixed)
    assert below.adjusted_p.min() < 0.05
    assert not below.better_than_chance.any()  # R2 is not above 0
    with pytest.raises(ValueError, match="record: .* needs saved predictions"):
        outputs_table(drop_details(record), mixed)


@pytest.mark.parametrize(
    ("by", "standing"),
    [
        ([0.1, 0.11, 0.1, 0.09, 0.1], "better than ridge."),
        ([-0.1, -0.11, -0.1, -0.09, -0.1], "worse than ridge."),
        ([0.01, -0.01, 0.01, -0.01, 0.0], "as good as ridge."),
        ([0.07, 0.01, 0.07, 0.01, 0.04], "not distinguishable from ridge on these folds."),
        ([-0.07, -0.01, -0.07, -0.01, -0.04], "not distinguishable from ridge on these folds."),
    ],
)
def test_a_model_is_compared_with_chance_and_ridge(data, record, by, standing):
    told = verdict(moved(record, by), data, record)
    r2 = record.test_r2[:, 0] + by
    permuted = chance_table(record, data.Y).permuted_r2[0]
    difference = corrected_difference(by, 1 / 4)
    close(told[:4], [r2.mean(), r2.std(ddof=1), permuted, 1 / 200])
    close(told.difference, difference, atol=1e-12)
    assert told.better_than_chance
    side = "above" if np.mean(by) >= 0 else "below"
    of_model = f"Test R2 {r2.mean():.3f} ± {r2.std(ddof=1):.3f} (5 folds)"
    chance = f"better than chance ({permuted:.3f} with permuted outputs, p = 0.005)"
    interval = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    ridge = f"{abs(np.mean(by)):.3f} {side} ridge {interval}: {standing}"
    assert str(told) == f"{of_model}, {chance}; {ridge}"


def test_models_at_chance_are_called_so(data, record):
    """Trained on the outputs of other cells, or with predictions far below the mean."""
    other = changed(data, Y=data.Y[::-1].copy())
    noise = with_values(record, **scored(other).values)
    bold = [50 * predicted for predicted in record.test_predictions[0]]
    below = with_values(moved(record, -30), test_predictions=[bold])
    for one, ridge, words in (
        (noise, record, "not distinguishable from chance (-"),
        (below, record, "no better than the mean "),
    ):
        told = verdict(one, data, ridge)
        assert told.better_than_chance is False
        assert words in told.sentence
        assert told.sentence.endswith(": worse than ridge.")
        assert "no better than chance either." in str(verdict(one, data, one))
    assert told.p <= 0.05
    better = str(verdict(record, data, noise))
    assert better.endswith(": better than ridge; ridge itself is not distinguishable from chance.")


def test_what_is_unknown_is_said(data, record):
    told = verdict(record)
    assert told.better_than_chance is None
    assert "is unknown: the outputs are not available." in str(told)
    one = scored(data, paper_folds(data.n_cells, 4)[:1])
    told = verdict(one, data, one)
    assert told.difference is None
    assert str(told).startswith(f"Test R2 {told.test_r2:.3f} (one fold), better")
    assert str(told).endswith("0.000 above ridge (one fold: no interval).")
    two = scored(data, paper_folds(data.n_cells, 4)[:2])
    assert verdict(two, data, moved(two, [0.1, 0.3])).difference.mean == pytest.approx(-0.2)
    assert "(2 folds)" in verdict(two).sentence
    assert "unknown: the record holds no predictions" in str(verdict(drop_details(one), data))
    few = replace(record, folds=[(np.arange(9), np.arange(9, 10))])
    assert "unknown: the folds test too few cells" in str(verdict(few, data))
    for named, wrong in {"n_permutations": 18, "point": 1, "groups": [1, 2]}.items():
        with pytest.raises(ValueError, match=named):
            verdict(record, data, **{named: wrong})


def test_groups_in_training_and_test_are_counted(record):
    donors = np.arange(120) // 40
    assert "3 of 3 groups have cells in both" in str(verdict(record, groups=donors))
    apart = replace(record, folds=[(np.arange(80), np.arange(80, 120))] * 5)
    assert "groups" not in str(verdict(apart, groups=donors))


def test_a_fit_of_the_same_data_stands_in_for_them(data, record):
    fit = fit_full(SparseReducedRankRegression(rank=2, alpha=0.2), data)
    assert str(verdict(record, fit)) == str(verdict(record, data))
    for wrong, of in ((record, replace(fit, sha256="")), (scored(data, scaling="none"), fit)):
        with pytest.raises(ValueError, match="record: expected "):
            verdict(wrong, of)


def test_more_genes_are_recommended_if_they_help(record):
    genes = {"n_selected": np.full((5, 1), 5), "selected": np.zeros((5, 1, 9), dtype=bool)}
    sparse = with_values(record, **genes)
    whole = with_values(record, selected=np.ones((5, 1, 9), dtype=bool))
    below = [(sparse, -0.1, True), (record, -0.1, False), (whole, -0.1, False)]
    for one, by, more in [*below, (sparse, 0.1, False)]:
        told = str(verdict(moved(one, np.arange(5) / 500 + by), ridge=record))
        assert ("More genes may help" in told) == more
    assert "genes" not in str(verdict(moved(sparse, [-0.1, 0.05, -0.04, 0.03, 0.02]), ridge=record))
    curve = replace(record, params=[{"n_genes": number} for number in (5, 10)])
    for gain in (0.1, -0.1):
        r2 = record.test_r2 + [0, gain]
        curve = with_values(curve, test_r2=r2, n_selected=np.full((5, 2), 5))
        told = str(verdict(sparse, curve=curve))
        expected = f" More genes help: 10 have a test R2 of {r2.mean(0)[1]:.3f}."
        assert told.endswith(expected) == (gain > 0)
        assert ("genes" in told) == (gain > 0)


def test_the_point_is_the_one_that_is_asked_for(data):
    record = scored(data, param_grid={"alpha": [1.0, 300.0]})
    told = verdict(record, data, record, point=1, n_permutations=99)
    [row] = chance_table(record, data.Y, 99, [1]).itertuples()
    assert (told.permuted_r2, told.p) == (row.permuted_r2, row.p)
    assert told.difference.mean == pytest.approx(np.diff(record.test_r2).mean())
