"""Folds against a loop by hand; genes are chosen by the training cells."""

from typing import NamedTuple

import numpy as np
import pytest
from material.cells import change_data
from material.estimators import SelectingRidge, network
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as equal
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.preprocessing import scale

from sbnn import (
    LeaveOneOutRidge,
    StackedRegressor,
    cross_validate,
    epoch_curves,
    paper_folds,
)
from sbnn.data.preprocessing import preselect_genes
from sbnn.evaluation.folds import held_out_means

N_PRESELECTED = 12
FOLDS = paper_folds(120, 3)


class HandFit(NamedTuple):
    """A fold that was scaled and fitted without the package."""

    train: np.ndarray
    test: np.ndarray
    genes: np.ndarray  # mask of those that the model sees
    Y: np.ndarray  # scaled, of all cells
    predicted: np.ndarray  # of all cells
    in_units: np.ndarray  # the same in the units of the outputs
    model: SelectingRidge


def fit_by_hand(cells, fold, scaling):
    """Library sizes are those of all genes, even if some are preselected."""
    train, test = fold
    X = cells.X.astype(float)
    Y = cells.Y.astype(float)
    genes = np.ones(cells.n_genes, bool)
    scaled_by = slice(None)
    if scaling == "fold":
        scaled_by = train
        genes = preselect_genes(cells, N_PRESELECTED, train)
        sizes = cells.counts.sum(1, keepdims=True)
        X = np.log2(cells.counts / sizes * np.median(sizes[train]) + 1)[:, genes]
    X = (X - X[train].mean(0)) / X[scaled_by].std(0)
    mean = Y[train].mean(0)
    sd = Y[scaled_by].std(0)
    Y = (Y - mean) / sd
    model = SelectingRidge().fit(X[train], Y[train])
    predicted = model.predict(X)
    return HandFit(
        train=train,
        test=test,
        genes=genes,
        Y=Y,
        predicted=predicted,
        in_units=predicted * sd + mean,
        model=model,
    )


@pytest.fixture(scope="module", params=[("fold", N_PRESELECTED), ("all", None)], ids=str)
def both(request, data):
    """The record of a cross-validation of sparse counts, and its fits by hand."""
    scaling, preselect = request.param
    counts = sparse.csr_array(data.counts)
    counted = change_data(data, X=None, counts=counts, library_size=None)
    record = cross_validate(
        SelectingRidge(), counted, FOLDS, scaling=scaling, preselect=preselect, verbose=False
    )
    return record, [fit_by_hand(data, fold, scaling) for fold in FOLDS]


@pytest.mark.parametrize(("name", "axis"), [("r2", None), ("feature_r2", 0)])
@pytest.mark.parametrize("part", ["train", "test"])
def test_r2_is_relative_to_the_training_means(both, part, name, axis):
    """Pooled over the outputs, and of each output."""
    record, fits = both
    for f, fit in enumerate(fits):
        cells = getattr(fit, part)
        errors = np.square(fit.Y - fit.predicted)[cells].sum(axis)
        squares = np.square(fit.Y)[cells].sum(axis)
        r2 = record.values[f"{part}_{name}"]
        close(r2[f, 0], 1 - errors / squares, atol=1e-4)


def test_predictions_return_to_the_units_of_outputs(both, data):
    record, fits = both
    in_units = held_out_means(record, data.Y, 0)
    for fit in fits:
        close(in_units[fit.test], fit.in_units[fit.test], rtol=1e-3, atol=1e-3)


def test_gene_norms_are_placed_among_all_genes(both):
    record, fits = both
    for f, fit in enumerate(fits):
        close(record.gene_norms[f, 0, fit.genes], fit.model.gene_norms_, rtol=1e-4)


def test_selected_genes_are_placed_among_all_genes(both):
    record, fits = both
    for f, fit in enumerate(fits):
        equal(record.selected[f, 0, fit.genes], fit.model.get_support())
        assert record.n_selected[f, 0] == record.selected[f, 0].sum() == 2


def test_genes_are_preselected_on_the_training_cells(both):
    record, fits = both
    if record.settings["preselect"] is None:
        assert "preselected" not in record.values
    else:
        equal(record.preselected[:, 0], [fit.genes for fit in fits])


NETWORK = network(standardize=False)
GRID = {"n_components": [1, 2]}
SPLITTER = KFold(3, shuffle=True, random_state=1)


@pytest.fixture(scope="module")
def in_two_processes(adata):
    """Of an AnnData, with a splitter."""
    return cross_validate(NETWORK, adata, SPLITTER, GRID, n_jobs=2, verbose=False)


def test_a_record_names_its_data(in_two_processes, data):
    assert in_two_processes.sha256 == data.sha256


def test_curves_end_at_the_score_of_the_fit(in_two_processes):
    curves = epoch_curves(in_two_processes, n_components=2)
    of_fold = curves[(curves.fold == 2) & (curves.stage == "fine-tuning")]
    last = of_fold.iloc[-1]
    assert last.eval_r2 == pytest.approx(in_two_processes.test_r2[2, 1], abs=1e-5)


def test_one_process_with_arrays_gives_the_same(in_two_processes, data):
    pairs = list(SPLITTER.split(data.X))
    alone = cross_validate(NETWORK, data, pairs, GRID, verbose=False)
    equal(alone.test_r2, in_two_processes.test_r2)


def test_a_fit_to_all_cells_is_scored_on_them(data):
    record = cross_validate(Ridge(), data, [(np.arange(120), [])], scaling="all", verbose=False)
    X = scale(data.X.astype(float))
    Y = scale(data.Y.astype(float))
    close(record.train_r2, Ridge().fit(X, Y).score(X, Y), rtol=1e-5)


def test_a_fold_with_one_test_cell_is_remarked(data):
    folds = [*FOLDS, (np.arange(119), [119])]
    with pytest.warns(UserWarning, match="folds: R2 of a single cell"):
        cross_validate(Ridge(), data, folds, verbose=False)


class EarlyStopping(Ridge):
    """In place of estimators that stop as soon as the score of `eval_set` falls."""

    def fit(self, X, y, eval_set=None):
        assert eval_set is None
        return super().fit(X, y)


def test_no_other_package_sees_test_cells(data):
    record = cross_validate(EarlyStopping(), data, FOLDS, verbose=False)
    equal(record.test_r2, cross_validate(Ridge(), data, FOLDS, verbose=False).test_r2)


class Transposed(Ridge):
    """Its predictions are (outputs, cells)."""

    def predict(self, X):
        return super().predict(X).T


class Diverged(Ridge):
    """Its predictions are not numbers."""

    def predict(self, X):
        return np.full_like(super().predict(X), np.nan)


@pytest.mark.parametrize(
    ("model", "scaling", "message"),
    [
        (
            Transposed(),
            "fold",
            r"predict of Transposed gave the shape \(5, 80\), expected \(80, 5\)",
        ),
        (Diverged(), "fold", "predict of Diverged gave values that are not finite"),
        (Ridge(), "x", r"scaling: 'x' is unknown, expected one of \['fold', 'all'\]"),
    ],
)
def test_what_has_no_score_is_refused(model, scaling, message, data):
    with pytest.raises(ValueError, match=message):
        cross_validate(model, data, FOLDS, scaling=scaling, verbose=False)


def test_parameters_of_a_missing_estimator_are_named(data):
    grid = {"network__n_genes": [2, 3]}
    with pytest.raises(ValueError, match="'network__n_genes'.* of an estimator in it that is None"):
        cross_validate(StackedRegressor(), data, 2, grid, verbose=False)


def test_there_is_a_seed_for_each_fold(data):
    with pytest.raises(ValueError, match="seed: expected one, or one for each of 3 folds, got 2"):
        cross_validate(LeaveOneOutRidge(), data, 3, seed=[1, 2], verbose=False)
