"""What a test R2 is worth, compared with permuted outputs, ridge and other models."""

import dataclasses
import re
import warnings

import numpy as np
import pytest
from made_up import changed
from scipy import stats
from sklearn.linear_model import Lasso, Ridge
from sklearn.tree import DecisionTreeClassifier

from sbnn import cross_validate, fit_full, paper_folds, results, simulate_patchseq
from sbnn.data.paired import as_paired
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.ephys_types.classification import cross_validate_classifier
from sbnn.evaluation.crossval import chance_table, least_p
from sbnn.evaluation.folds import repeated_donor_folds
from sbnn.evaluation.runs import drop_details
from sbnn.evaluation.verdict import corrected_difference, outputs_table, paired_difference, verdict
from sbnn.models.sparse_linear import SparseReducedRankRegression


def scored(data, alpha=30.0, folds=5, grid=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cross_validate(Ridge(alpha), data, folds, grid, verbose=False, **options)


def noisy(seed, n=60):
    """Cells whose outputs are noise."""
    cells = as_paired(simulate_patchseq(n, 30, 3, n_true_genes=5, random_state=0))
    return changed(cells, Y=np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32))


@pytest.fixture(scope="module")
def record(data):
    return scored(data)


def moved(record, by):
    """Record of a model whose R2 is higher by a value for each fold; predictions are the same."""
    values = record.values | {"test_r2": record.test_r2 + np.reshape(by, (-1, 1))}
    return dataclasses.replace(record, values=values)


@pytest.mark.parametrize("scaling", ["fold", "all", "none"])
def test_the_measured_r2_is_that_of_the_record(data, scaling):
    shifted = changed(data, Y=data.Y + 10)  # R2 is about the mean of the training cells
    record = scored(shifted, folds=3, grid={"alpha": [1.0, 30.0]}, scaling=scaling)
    table = chance_table(record, shifted.Y)
    np.testing.assert_allclose(table.test_r2, record.test_r2.mean(0), atol=1e-5)
    assert (table.p == 1 / 200).all()
    assert (table.permuted_r2 < 0).all()
    record.values["test_predictions"][0] = [None] * 3
    assert chance_table(record, shifted.Y).index.tolist() == [1]


def test_noise_is_better_than_chance_at_the_rate_of_the_level():
    """Of a linear smoother, whose folds chance moves together the most."""
    folds = paper_folds(60, 5)
    n_sets = 200
    found = []
    alone = []
    for seed in range(n_sets):
        random = np.random.default_rng(seed)
        X = random.normal(size=(60, 30))
        Y = random.normal(size=(60, 3)).astype(np.float32)
        predicted = [[X[test] @ X[train].T @ Y[train] / 300 for train, test in folds]]
        for of, its in ((found, folds), (alone, folds[:1])):
            values = {"test_predictions": [predicted[0][: len(its)]]}
            record = results.Record(
                "cross-validation", "noise", "", [{}], 0, {"scaling": "none"}, its, values
            )
            of.append(chance_table(record, Y, 99).p[0])
    for p in (np.array(found), np.array(alone)):  # of 200, 4.7 to 15.4 in 95 % of the cases
        assert 3 <= (p <= 0.05).sum() <= 16
        assert (p <= 0.01).sum() <= 6


def test_outputs_of_other_cells_are_chance_and_warned_of(data):
    shuffled = changed(data, Y=data.Y[np.random.default_rng(1).permutation(data.n_cells)])
    with pytest.warns(UserWarning, match=r"2 of 2 grid points: .* \(test R2 -.*permuted outputs -"):
        record = cross_validate(Ridge(), shuffled, 5, {"alpha": [1.0, 30.0]}, verbose=False)
    assert (chance_table(record, shuffled.Y).p > 0.05).all()
    # of the one without a gene
    with pytest.warns(UserWarning, match=r"1 of 2 grid points: .* p = 1.00"):
        cross_validate(Lasso(), data, 5, {"alpha": [0.05, 9.0]}, verbose=False)
    alone = [(np.delete(np.arange(20), i), np.array([i])) for i in range(20)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_validate(Ridge(30.0), data, 5, verbose=False)  # no reason to warn: there is signal
        # nor if nothing can be told
        record = cross_validate(Ridge(), noisy(0, 20), alone, verbose=False)
    assert least_p(record) == 1
    assert verdict(record, noisy(0, 20)).better_than_chance is None


def test_outputs_are_tested_one_by_one(data, rng):
    flat = np.zeros(data.n_cells)  # in the cells of the first fold, the mean of the others
    flat[paper_folds(data.n_cells, 5)[0][0]] = np.resize([1, -1], 96)
    Y = np.column_stack([data.Y, rng.normal(size=(data.n_cells, 24)), flat]).astype(np.float32)
    mixed = changed(data, Y=Y, feature_names=[f"o{i}" for i in range(30)])
    record = scored(mixed)
    table = outputs_table(record, mixed, scored(mixed, 100.0))
    np.testing.assert_allclose(table.test_r2, record.test_feature_r2[:, 0].mean(0), atol=1e-5)
    np.testing.assert_allclose(table.ridge_r2, scored(mixed, 100.0).test_feature_r2[:, 0].mean(0))
    assert table.better_than_chance[:5].all()
    assert table.better_than_chance[5:].sum() <= 1
    np.testing.assert_allclose(
        table.adjusted_p, [*stats.false_discovery_control(table.p[:29]), np.nan]
    )
    values = record.values | {
        "test_predictions": [[9 * predicted for predicted in record.test_predictions[0]]]
    }
    bold = outputs_table(dataclasses.replace(record, values=values), mixed)
    assert (bold.p[:5] < 0.01).all() and not bold.better_than_chance.any(), "R2 is not above 0"
    assert (table.adjusted_p > table.p)[:5].all() and table.p.min() == 1 / 1201, (
        "40 permutations an output"
    )
    by_chance = outputs_table(scored(noisy(5)), noisy(5)).iloc[2]  # of three outputs
    assert by_chance.p < 0.05 < by_chance.adjusted_p
    assert by_chance.test_r2 > 0
    assert not by_chance.better_than_chance
    with pytest.raises(ValueError, match="grid point 0 needs saved predictions"):
        outputs_table(drop_details(record), mixed)


def test_records_are_paired_fold_by_fold():
    cells, others = (simulate_ephys_types(120, random_state=seed) for seed in (0, 1))
    folds = repeated_donor_folds(cells, 3, (0, 1))

    def tree(depth=4, data=cells, folds=folds, target="type"):
        model = DecisionTreeClassifier(max_depth=depth)
        return cross_validate_classifier(model, data, folds, target=target, verbose=False)

    deep = tree()
    flat = tree(1)
    found = paired_difference(deep, flat)
    share = np.mean([len(test) / len(train) for train, test in deep.folds])
    assert found == corrected_difference((deep.macro_f1 - flat.macro_f1)[:, 0], share)
    assert found.mean > 0
    assert paired_difference(deep, flat, "log_loss").mean != found.mean
    for other in (tree(folds=folds[0]), tree(data=others), tree(target="condition")):
        with pytest.raises(ValueError, match="record, ridge: expected the same"):
            paired_difference(deep, other)


def test_signal_is_better_than_chance_and_beside_ridge(data, record):
    told = verdict(record, data, scored(data, 100.0))
    r2 = record.test_r2.mean()
    sd = record.test_r2.std(ddof=1)
    assert told.better_than_chance
    assert (told.p, told.test_r2, told.sd) == (1 / 200, r2, sd)
    chance = f"{told.permuted_r2:.3f} with permuted outputs, p = 0.005"
    assert str(told).startswith(
        f"Test R2 {r2:.3f} ± {sd:.3f} (5 folds), better than chance ({chance}); "
    )


@pytest.mark.parametrize(
    ("by", "standing"),
    [
        (
            [0.1, 0.11, 0.1, 0.09, 0.1],
            r"0\.100 above ridge \[\+0\.0\d+, \+0\.1\d+\]: better than ridge\.",
        ),
        (
            [-0.1, -0.11, -0.1, -0.09, -0.1],
            r"0\.100 below ridge \[-0\.1\d+, -0\.0\d+\]: worse than ridge\.",
        ),
        ([0.01, -0.01, 0.01, -0.01, 0.0], "0.000 above ridge .*: as good as ridge"),
        (
            [0.07, 0.01, 0.07, 0.01, 0.04],
            "above ridge .*: not distinguishable from ridge on these folds",
        ),
        ([-0.07, -0.01, -0.07, -0.01, -0.04], "below ridge .*: no better than ridge"),
    ],
)
def test_ridge_is_better_worse_or_level(data, record, by, standing):
    told = verdict(moved(record, by), data, record)
    assert re.search(standing, told.sentence)
    assert told.difference.se == pytest.approx(np.sqrt((1 / 5 + 1 / 4) * np.var(by, ddof=1)))


def test_a_model_at_chance_is_still_compared_with_a_ridge_that_is_not(data, record):
    at_chance = dataclasses.replace(
        record, values=scored(changed(data, Y=data.Y[::-1].copy())).values
    )
    told = verdict(at_chance, data, record).sentence
    assert "not distinguishable from chance (" in told
    assert told.endswith(": worse than ridge.")
    assert verdict(at_chance, data, moved(at_chance, [0.5] * 5)).sentence.endswith(
        ") is no better than chance either."
    )
    assert verdict(record, data, at_chance).sentence.endswith(
        "; ridge itself is not distinguishable from chance."
    )


def test_below_the_mean_is_no_success_however_small_p(data, record):
    bold = [[50 * predicted for predicted in record.test_predictions[0]]]
    values = record.values | {"test_predictions": bold, "test_r2": record.test_r2 - 30}
    told = verdict(dataclasses.replace(record, values=values), data)
    assert told.p <= 0.05
    assert not told.better_than_chance
    assert (
        "no better than the mean of the training cells, though better than with permuted outputs"
        in told.sentence
    )


def test_unknown_results_are_named(data, record):
    assert verdict(record).better_than_chance is None
    assert "is unknown: the outputs are not available." in verdict(record).sentence
    with pytest.raises(ValueError, match="n_permutations must be .*19.*got 18"):
        verdict(record, data, n_permutations=18)
    one = scored(data, folds=paper_folds(data.n_cells, 4)[:1])
    told = verdict(one, data, one)
    assert told.difference is None
    assert np.isnan(told.sd)
    assert f"Test R2 {told.test_r2:.3f} (one fold), better" in told.sentence
    assert told.sentence.endswith("0.000 above ridge (one fold: no interval).")
    assert "the record holds no predictions of single cells; 0.000 above" in str(
        verdict(drop_details(one), data, one)
    )
    donors = np.arange(data.n_cells) // 40
    assert (
        "3 of 3 groups have cells in both training and test"
        in verdict(record, data, groups=donors).sentence
    )
    apart = scored(
        data, folds=[(np.flatnonzero(donors != d), np.flatnonzero(donors == d)) for d in range(3)]
    )
    assert "groups" not in verdict(apart, data, groups=donors).sentence


def test_a_fit_of_the_same_data_stands_in_for_them(data, record):
    fit = fit_full(SparseReducedRankRegression(rank=2, alpha=0.2), data)
    told = verdict(record, data)
    by_fit = verdict(record, fit)
    assert by_fit.sentence == told.sentence
    assert by_fit.permuted_r2 == pytest.approx(told.permuted_r2, abs=1e-5)
    with pytest.raises(ValueError, match="record: expected a cross-validation of"):
        verdict(record, dataclasses.replace(fit, sha256="other"))
    with pytest.raises(ValueError, match="the outputs z-scored"):
        verdict(scored(data, scaling="none"), fit)


def test_it_says_when_more_genes_help(record):
    genes = {
        "n_selected": np.tile([5, 20], (5, 1)),
        "selected": np.arange(30).reshape(1, 1, -1).repeat(5, 0) < 5,
    }
    sparse = dataclasses.replace(record, values=record.values | genes)
    assert (
        "may help; see genes_curve"
        in verdict(sparse, ridge=moved(sparse, np.arange(5) / 500 + 0.1)).sentence
    )
    for by in (0.1, [-0.1, 0.05, -0.04, 0.03, 0.02]):  # above ridge, and below it by chance
        assert "genes" not in verdict(moved(sparse, by), ridge=sparse).sentence
    assert "genes" not in verdict(record, ridge=moved(record, 0.1)).sentence  # it has all of them
    params = [{"n_genes": number} for number in (5, 10, "auto")]
    for gain in (0.1, -0.1):
        values = {"test_r2": record.test_r2 + [0, gain, gain / 2], "n_selected": np.full((5, 3), 5)}
        curve = dataclasses.replace(record, params=params, values=record.values | values)
        _, best, nested = values["test_r2"].mean(0)
        sentence = verdict(sparse, curve=curve).sentence
        assert (f"10 have a test R2 of {best:.3f}" in sentence) == (gain > 0)
        assert (f"training cells {nested:.3f}" in sentence) == (gain > 0)


def test_the_point_and_the_seed_are_those_that_are_asked_for(data):
    record = scored(data, grid={"alpha": [1.0, 300.0]})
    told = verdict(record, data, record, point=1, n_permutations=99, seed=3)
    [row] = chance_table(record, data.Y, 99, 3, [1]).itertuples()
    assert (told.permuted_r2, told.p) == (row.permuted_r2, row.p)
    assert told.permuted_r2 != verdict(record, data, point=1, n_permutations=99).permuted_r2
    assert told.test_r2 == record.test_r2[:, 1].mean()
    assert told.difference.mean == pytest.approx(np.diff(record.test_r2).mean())
    table = outputs_table(record, data, point=1)
    np.testing.assert_allclose(table.test_r2, record.test_feature_r2[:, 1].mean(0), atol=1e-5)
