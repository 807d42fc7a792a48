"""Folds, the scaled arrays of a fold, and predictions of held-out cells."""

import numpy as np
import pandas as pd
import pytest

from sbnn import grouped_folds, paper_folds
from sbnn.data.typed_cells import as_typed, typed_cells
from sbnn.evaluation.folds import (
    SCALINGS,
    folds_of,
    group_codes,
    held_out_means,
    labels_of,
    split_fold,
    split_outputs,
)
from sbnn.results import Record

FOLD = np.array([0, 1, 2, 4]), np.array([3, 5])


@pytest.mark.parametrize(
    ("folds", "wrong"),
    [
        ([([0, 1], [2, 2])], "tests a cell twice"),
        ([([0, 1], [2]), ([0], [4])], "fold 1 must be positions"),
        ([([0, 1], [-1])], "fold 0 must be positions"),
        ([([0.5, 1.0], [2])], "fold 0 must be positions"),
        ([([0, 1], [1])], "both training and test"),
        ([([0, 1], [2, 3]), ([1, 0], [3, 2])], "fold 1 has the same cells as fold 0"),
        ([([0, 1], [2], [3])], "pairs of positions"),
        ([], "at least one"),
    ],
)
def test_folds_that_would_mislead_are_rejected(folds, wrong):
    with pytest.raises(ValueError, match=f"folds: .*{wrong}"):
        folds_of(folds, 4)


def test_folds_may_train_on_the_same_cells_and_may_leave_cells_out():
    folds = folds_of([([0, 1], [2]), ([0, 1], [3]), ([2, 3], [0])], 5)
    assert [test.tolist() for _, test in folds] == [[2], [3], [0]]


def test_a_number_of_folds_gives_paper_folds_and_ten_is_the_default():
    np.testing.assert_equal(folds_of(np.int64(3), 9), paper_folds(9, 3))
    np.testing.assert_equal(folds_of(None, 30), paper_folds(30, 10))


def test_the_last_cells_of_the_permutation_are_never_tested():
    order = np.random.RandomState(1).permutation(11)
    folds = paper_folds(11, 3, seed=1)
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(tested, order[:9])
    train, _ = folds[1]
    np.testing.assert_array_equal(train, np.r_[order[:3], order[6:]])


def test_there_are_at_most_as_many_folds_as_groups():
    assert len(grouped_folds(list("abcab"), 3)) == 3
    with pytest.raises(ValueError, match="n_folds"):
        grouped_folds(list("abcab"), 4)
    with pytest.raises(ValueError, match="blanks"):
        grouped_folds(["a", "a ", "b", "c"], 2)


def test_groups_are_numbered_in_sorted_order():
    assert group_codes(["b", "a", "b"], "donors").tolist() == [1, 0, 1]
    assert group_codes([7, 2], "donors", cells=["x", "y"]).tolist() == [1, 0]
    with pytest.raises(ValueError, match="donors: expected one value"):
        group_codes([7, 2], "donors", cells=["x"])
    with pytest.raises(ValueError, match="donors: expected one value"):
        group_codes([[7, 2]], "donors")


@pytest.mark.parametrize("types", [["a", "b", "unknown", "a"], ["a", "a", "a", "a"]])
def test_classes_need_a_label_for_every_cell_and_two_kinds(types):
    cells = [f"c{i}" for i in range(4)]
    table = pd.DataFrame({"x": [1.0, 2, 3, 5]}, cells)
    data = as_typed(typed_cells(table, pd.DataFrame({"type": types}, cells)))
    with pytest.raises(ValueError, match="expected a label for every cell"):
        labels_of(data, "type")


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_fold_is_scaled_by_its_training_cells(scaling, rng):
    X = rng.normal([1, 5, 2], [1, 3, 2], size=(6, 3)).astype(np.float32)
    Y = rng.normal([4, 0], [2, 1], size=(6, 2)).astype(np.float32)
    train, test = FOLD
    X_train, Y_train, X_test, Y_test = split_fold((X, Y, None), FOLD, scaling)
    for values, its_train, its_test in ((X, X_train, X_test), (Y, Y_train, Y_test)):
        mean = np.zeros(values.shape[1])
        sd = np.ones(values.shape[1])
        if scaling != "none":
            mean = values[train].mean(0)
        if scaling == "fold":
            sd = values[train].std(0)
        np.testing.assert_allclose(its_train, (values[train] - mean) / sd, atol=1e-5)
        np.testing.assert_allclose(its_test, (values[test] - mean) / sd, atol=1e-5)
        assert its_train.dtype == its_test.dtype == np.float32
    np.testing.assert_array_equal(split_outputs(Y, FOLD, scaling)[1], Y_test)


def test_genes_in_the_mask_are_scaled_as_among_all_genes(rng):
    X = rng.normal(size=(6, 4)).astype(np.float32)
    Y = rng.normal(size=(6, 1)).astype(np.float32)
    genes = np.array([True, False, False, True])
    everything = split_fold((X, Y, None), FOLD, "fold")
    some = split_fold((X, Y, None), FOLD, "fold", genes)
    np.testing.assert_array_equal(some[0], everything[0][:, genes])
    np.testing.assert_array_equal(some[2], everything[2][:, genes])


@pytest.mark.parametrize("scaling", SCALINGS)
def test_held_out_predictions_are_averaged_in_the_units_of_the_outputs(scaling, rng):
    """Exact predictions come back as the outputs, whatever the scaling."""
    Y = rng.normal([4, 0], [2, 9], size=(8, 2)).astype(np.float32)
    folds = [(np.arange(3, 7), np.arange(3)), (np.arange(2, 7), np.arange(2))]
    scaled = Y
    if scaling == "all":
        scaled = ((Y - Y.mean(0)) / Y.std(0)).astype(np.float32)
    predictions = [split_outputs(scaled, fold, scaling)[1] for fold in folds]
    settings = {"scaling": scaling}
    values = {"test_predictions": [predictions]}
    record = Record("", "", "", [{}], settings=settings, folds=folds, values=values)
    np.testing.assert_allclose(held_out_means(record, Y, 0)[:3], Y[:3], rtol=1e-4, atol=1e-4)
    assert np.isnan(held_out_means(record, Y, 0)[3:]).all()
    predictions[1] = predictions[1] + 1  # cells 0 and 1 are tested twice
    sd = {"fold": Y[2:7].std(0), "all": Y.std(0), "none": np.ones(2)}[scaling]
    moved = held_out_means(record, Y, 0)[:3] - Y[:3]
    expected = np.array([sd / 2, sd / 2, 0 * sd])
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-4)
