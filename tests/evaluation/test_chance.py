"""Whether held-out cells are predicted better than by chance."""

import warnings

import numpy as np
import pytest
from made_up import changed
from sklearn.linear_model import Ridge

from sbnn import cross_validate, paper_folds, simulate_patchseq
from sbnn.data.paired import as_paired
from sbnn.evaluation.crossval import chance_table
from sbnn.evaluation.runs import drop_details


@pytest.fixture(scope="module")
def shuffled(data):
    """The same cells, with the outputs of others."""
    return changed(data, Y=data.Y[np.random.default_rng(1).permutation(data.n_cells)])


def quiet(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cross_validate(*arguments, verbose=False, **options)


@pytest.mark.parametrize("scaling", ["fold", "all", "none"])
def test_the_measured_r2_is_that_of_the_record(data, scaling):
    moved = changed(data, Y=data.Y + 10)  # R2 is about the mean of the training cells
    record = quiet(Ridge(), moved, 3, {"alpha": [1.0, 30.0]}, scaling=scaling)
    table = chance_table(record, moved.Y)
    np.testing.assert_allclose(table.test_r2, record.test_r2.mean(0), atol=1e-5)
    assert (table.p == 1 / 200).all() and (table.permuted_r2 < 0).all()


def test_permuted_outputs_are_those_of_the_same_fold(data):
    """The mean over all permutations is known: sums of outputs meet sums of predictions."""
    folds = paper_folds(data.n_cells, 2)
    record = quiet(Ridge(30.0), data, folds)
    expected = []
    for f, (train, test) in enumerate(folds):
        Y = (data.Y[test] - data.Y[train].mean(0)) / data.Y[train].std(0)
        P = record.test_predictions[0][f]
        expected.append((2 * (P.sum(0) * Y.sum(0)).sum() / len(test) - (P**2).sum()) / (Y**2).sum())
    assert chance_table(record, data.Y, 2000).permuted_r2[0] == pytest.approx(np.mean(expected), abs=5e-3)


def test_outputs_of_other_cells_are_chance(shuffled):
    with pytest.warns(UserWarning, match=r"not predicted better than by chance \(test R2 -.*permuted outputs -"):
        record = cross_validate(Ridge(30.0), shuffled, 5, verbose=False)
    assert chance_table(record, shuffled.Y).p[0] > 0.05
    with pytest.warns(UserWarning, match="2 of 2 grid points: held-out"):
        cross_validate(Ridge(), shuffled, 5, {"alpha": [1.0, 30.0]}, verbose=False)


def test_signal_is_no_reason_to_warn(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = cross_validate(Ridge(30.0), data, 5, verbose=False)
    assert chance_table(record, data.Y).p[0] <= 0.05


@pytest.mark.slow
def test_p_is_uniform_where_there_is_nothing():
    p = []
    for seed in range(40):
        data = as_paired(simulate_patchseq(60, 10, 2, n_true_genes=4, random_state=seed))
        noise = np.random.default_rng(seed).normal(size=data.Y.shape).astype(np.float32)
        without = changed(data, Y=noise)
        p.append(chance_table(quiet(Ridge(30.0), without, 2), without.Y, 99).p[0])
    assert 0 <= np.mean(np.array(p) <= 0.1) <= 0.25 and 0.35 < np.mean(p) < 0.65


def test_grid_points_without_predictions_are_left_out(data, tmp_path):
    record = quiet(Ridge(), data, 3, {"alpha": [1.0, 30.0]})
    drop_details(record, points=[0])
    assert chance_table(record, data.Y).index.tolist() == [1]
    drop_details(record)
    assert chance_table(record, data.Y).empty
