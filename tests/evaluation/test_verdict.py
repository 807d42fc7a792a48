"""What a test R2 is worth is said in one sentence, in all the ways that it may come out."""

import dataclasses
import functools
import re
import warnings

import numpy as np
import pytest
from made_up import changed
from sklearn.linear_model import Ridge

from sbnn import cross_validate, fit_full, paper_folds, simulate_patchseq
from sbnn.data.paired import as_paired
from sbnn.evaluation.crossval import least_p
from sbnn.evaluation.runs import drop_details
from sbnn.evaluation.verdict import outputs_table, verdict
from sbnn.models.linear import SparseReducedRankRegression


def scored(data, alpha=30.0, folds=5):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cross_validate(Ridge(alpha), data, folds, verbose=False)


@functools.cache
def cells(n):
    return as_paired(simulate_patchseq(n, 30, 3, n_true_genes=5, random_state=0))


def noisy(seed, n=60):
    """Cells whose outputs are noise."""
    data = cells(n)
    return changed(data, Y=np.random.default_rng(seed).normal(size=data.Y.shape).astype(np.float32))


def moved(record, by):
    """The record of a model whose R2 is higher, in some folds more so, with the same predictions."""
    values = record.values | {"test_r2": record.test_r2 + np.reshape(by, (-1, 1))}
    return dataclasses.replace(record, values=values)


def test_signal_is_better_than_chance_and_beside_ridge(data):
    record = scored(data)
    told = verdict(record, data, scored(data, 100.0))
    r2, sd = record.test_r2.mean(), record.test_r2.std(ddof=1)
    assert told.better_than_chance and told.p == 1 / 200
    assert told.difference.n == 5 and told.difference.se > 0
    assert str(told).startswith(
        f"Test R2 {r2:.3f} ± {sd:.3f} (5 folds), better than chance ({told.permuted_r2:.3f} with "
    )
    assert "permuted outputs, p = 0.005); " in told.sentence


@pytest.mark.parametrize(
    ("by", "standing"),
    [
        ([0.1, 0.11, 0.1, 0.09, 0.1], r"0\.100 above ridge \[\+0\.0\d+, \+0\.1\d+\]: better than ridge\."),
        ([-0.1, -0.11, -0.1, -0.09, -0.1], r"0\.100 below ridge \[-0\.1\d+, -0\.0\d+\]: worse than ridge\."),
        ([0.01, -0.01, 0.01, -0.01, 0.0], "0.000 above ridge .*: level with ridge"),
        ([0.1, -0.1, 0.1, -0.1, 0.01], "above ridge .*: not told apart from ridge by these folds"),
        ([0.1, -0.1, 0.1, -0.1, -0.01], "below ridge .*: no better than ridge"),
    ],
)
def test_ridge_is_better_worse_or_level(data, by, standing):
    ridge = scored(data)
    assert re.search(standing, verdict(moved(ridge, by), data, ridge).sentence)


def test_the_interval_allows_for_training_cells_that_folds_share(data):
    ridge = scored(data)
    by = np.array([0.1, -0.1, 0.1, -0.1, 0.05])
    assert verdict(moved(ridge, by), None, ridge).difference.se == pytest.approx(
        np.sqrt((1 / 5 + 1 / 4) * by.var(ddof=1))
    )


def test_noise_is_not_told_from_chance_and_then_ridge_does_not_matter():
    draws = [noisy(seed) for seed in range(20)]
    records = [scored(data, 300.0, 3) for data in draws]
    told = [verdict(record, data, record) for record, data in zip(records, draws, strict=True)]
    assert sum(one.better_than_chance for one in told) <= 2
    assert sum("not distinguishable from chance (" in one.sentence for one in told) >= 17
    assert any(one.sentence.endswith("is no better than chance either.") for one in told)


def test_a_model_at_chance_is_still_compared_with_a_ridge_that_is_not(data):
    good = scored(data)
    bad = scored(changed(data, Y=data.Y[::-1].copy()))
    at_chance = dataclasses.replace(good, values=bad.values)
    assert "not distinguishable from chance (" in verdict(at_chance, data, good).sentence
    assert verdict(at_chance, data, good).sentence.endswith(": worse than ridge.")
    assert verdict(good, data, at_chance).sentence.endswith("; ridge itself is not distinguishable from chance.")


def test_below_the_mean_is_no_success_however_small_p(data):
    record = scored(data)
    bold = [[50 * predicted for predicted in record.test_predictions[0]]]
    values = record.values | {"test_predictions": bold, "test_r2": record.test_r2 - 30}
    told = verdict(dataclasses.replace(record, values=values), data)
    assert told.p <= 0.05 and not told.better_than_chance
    assert "no better than the mean of the training cells, though better than with other outputs" in told.sentence


def test_one_fold_has_no_interval(data):
    record = scored(data, folds=paper_folds(data.n_cells, 4)[:1])
    told = verdict(record, data, record)
    assert told.difference is None and np.isnan(told.sd)
    assert f"Test R2 {told.test_r2:.3f} (one fold), better" in told.sentence
    assert told.sentence.endswith("above ridge (one fold: no interval).")


def test_what_is_unknown_is_said(data):
    record = scored(data)
    assert verdict(record).better_than_chance is None
    assert "is unknown: the outputs are not at hand." in verdict(record).sentence
    drop_details(record)
    assert "is unknown: the record holds no predictions of single cells; 0.000 above" in str(
        verdict(record, data, record)
    )
    small = noisy(0, 20)
    alone = scored(small, folds=[(np.delete(np.arange(20), i), np.array([i])) for i in range(20)])
    assert least_p(alone) == 1
    assert "is unknown: the folds test too few cells to permute." in verdict(alone, small).sentence
    with pytest.raises(ValueError, match="record: to tell chance"):
        outputs_table(alone, small)
    with pytest.raises(ValueError, match="n_permutations: 18 cannot tell"):
        verdict(record, data, n_permutations=18)


def test_leaving_one_out_is_no_reason_to_warn():
    small = noisy(0, 20)
    folds = [(np.delete(np.arange(20), i), np.array([i])) for i in range(20)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = cross_validate(Ridge(), small, folds, verbose=False)
    assert least_p(record) == 1 and verdict(record, small).better_than_chance is None


def test_folds_that_split_donors_are_named(data):
    record = scored(data)
    donors = np.arange(data.n_cells) // 40
    assert "3 of 3 groups have cells in training and in test at once" in verdict(record, data, groups=donors).sentence
    apart = scored(data, folds=[(np.flatnonzero(donors != d), np.flatnonzero(donors == d)) for d in range(3)])
    assert "groups" not in verdict(apart, data, groups=donors).sentence


def test_a_fit_of_the_same_data_stands_in_for_them(data):
    record = scored(data)
    fit = fit_full(SparseReducedRankRegression(rank=2, alpha=0.2), data)
    told, by_fit = verdict(record, data), verdict(record, fit)
    assert by_fit.sentence == told.sentence
    assert by_fit.permuted_r2 == pytest.approx(told.permuted_r2, abs=1e-5)
    with pytest.raises(ValueError, match="record: it is of other data"):
        verdict(record, dataclasses.replace(fit, sha256="other"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = cross_validate(Ridge(), data, 3, scaling="none", verbose=False)
    with pytest.raises(ValueError, match="give what was cross-validated"):
        verdict(raw, fit)


def test_outputs_are_told_one_by_one(data):
    rng = np.random.default_rng(0)
    Y = np.column_stack([data.Y, rng.normal(size=(data.n_cells, 12))]).astype(np.float32)
    mixed = changed(data, Y=Y, feature_names=[f"o{i}" for i in range(17)])
    record = scored(mixed)
    table = outputs_table(record, mixed, scored(mixed, 100.0))
    np.testing.assert_allclose(table.test_r2, record.test_feature_r2[:, 0].mean(0), atol=1e-5)
    assert table.better_than_chance[:5].all(), "even one of many, p is small enough"
    assert table.better_than_chance[5:].sum() <= 1
    assert (table.adjusted_p >= table.p).all() and (table.adjusted_p > table.p)[:5].all()
    only = dataclasses.replace(
        mixed, Y=np.column_stack([data.Y[:, :1], Y[:, 5:]]), feature_names=[f"o{i}" for i in range(13)]
    )
    assert outputs_table(scored(only), only).better_than_chance.iloc[0]
    with pytest.raises(ValueError, match="predictions of grid point 0"):
        outputs_table(drop_details(record), mixed)
