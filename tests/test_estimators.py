"""What every public estimator keeps: its last whole fit, and the settings of the user."""

import sys
from inspect import CO_GENERATOR

import numpy as np
import pytest
import torch
from anndata import AnnData
from material.cells import screened_cells, typed_cells
from material.estimators import (
    CLASSIFIERS,
    OF_COUNTS,
    OF_COURSES,
    REGRESSORS,
    class_name,
    distilled,
    quick,
)
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import estimator_checks

from sbnn import StackedRegressor, paired
from sbnn.dynamics.gene_network import GeneNetwork
from sbnn.ephys_types import EphysTypeClassifier
from sbnn.mechanism_shift.data import as_screen

# of models that are made of others, which have all checks of scikit-learn
MADE_OF_OTHERS = [
    StackedRegressor(distilled(n_genes=25, random_state=0)),
    quick(EphysTypeClassifier, random_state=0),
]
OWN_CHECKS = [
    estimator_checks.check_dict_unchanged,
    estimator_checks.check_dont_overwrite_parameters,
    estimator_checks.check_estimators_dtypes,
    estimator_checks.check_estimators_pickle,
    estimator_checks.check_estimators_unfitted,
    estimator_checks.check_fit_idempotent,
    estimator_checks.check_methods_sample_order_invariance,
    estimator_checks.check_n_features_in,
    estimator_checks.check_n_features_in_after_fitting,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_supervised_y_2d,
]


@pytest.fixture(params=REGRESSORS, ids=class_name)
def model(request):
    return clone(request.param)


@pytest.fixture
def fits(adata):
    """Arguments of a fit, and of one to other cells, genes and outputs."""
    X = adata.to_df()
    Y = adata.obsm["outputs"]
    return (X, Y), (3 * X.iloc[:90, 10:] + 1, 5 * Y.iloc[:90, :3])


@pytest.fixture(params=[*REGRESSORS, *CLASSIFIERS, *OF_COURSES, *OF_COUNTS], ids=class_name)
def any_fits(request, fits):
    """Any public estimator, and arguments of two fits."""
    model = clone(request.param)
    if request.param in CLASSIFIERS:
        data = typed_cells()[:90]
        # of each family some features
        X, y = data.to_df().iloc[:, ::4], data.obs["type"].to_numpy(str)
        fits = (X, y), (2 * X.iloc[:70, 5:] + 1, np.char.lower(y[:70]))
    elif request.param in OF_COURSES:
        network = GeneNetwork.random(8, random_state=1)
        prior = network.misplaced_prior(0.0)
        samples = network.simulate(6, 0.025, 1)
        fits = (samples, prior), (network.simulate(4, 0.1, 2), -prior)
    elif request.param in OF_COUNTS:
        screen = as_screen(screened_cells())
        counts, perturbation = screen.counts, screen.perturbation
        fits = (counts, perturbation), (counts[20:, 3:] + counts[20:, :-3], perturbation[20:])
    return model, *fits


@pytest.mark.filterwarnings("ignore:X. values up to .* are no log values")
@pytest.mark.filterwarnings("ignore:ridge. of all penalties")
@pytest.mark.parametrize("model", MADE_OF_OTHERS, ids=class_name)
@pytest.mark.parametrize("check", OWN_CHECKS)
def test_models_of_other_models_are_estimators(model, check):
    check(class_name(model), clone(model))


def said(model, X):
    """What a fitted model says of its cells or genes."""
    if hasattr(model, "edge_scores_"):
        return model.edge_scores_
    for name in ("predict_proba", "predict", "transform"):
        if hasattr(model, name):
            return getattr(model, name)(X)


def calls_of(fit, given, most=sys.maxsize):
    """Number of functions of the package that a fit calls before it is interrupted."""
    count = 0

    def on_event(frame, event, arg):
        nonlocal count
        # errors in a generator that is closed are ignored
        if event != "call" or frame.f_code.co_flags & CO_GENERATOR:
            return
        if frame.f_globals.get("__name__", "").startswith("sbnn."):
            count += 1
            if count > most:
                raise KeyboardInterrupt

    sys.setprofile(on_event)
    try:
        fit(*given)
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
    return count


def test_an_interrupted_fit_leaves_the_last_one(any_fits):
    model, one, other = any_fits
    model.fit(*one)  # first, as it may import modules
    n_calls = calls_of(clone(model).fit, other)
    before = vars(model).copy()
    predicted = said(model, one[0])
    for share in (0.2, 0.5, 0.8, 0.97):
        calls_of(model.fit, other, int(share * n_calls))
        assert before.keys() == vars(model).keys()
        assert all(value is before[name] for name, value in vars(model).items())
        np.testing.assert_array_equal(said(model, one[0]), predicted)


def generators():
    """States of the global generators."""
    _, numbers, place, *_ = np.random.get_state()  # noqa: NPY002
    return [*numbers, place, *torch.get_rng_state().tolist()]


def test_settings_of_other_packages_change_nothing(any_fits):
    model, given, _ = any_fits
    usual = said(model.fit(*given), given[0])
    drawn = generators()
    torch.set_default_dtype(torch.float64)
    try:
        with (
            config_context(transform_output="pandas"),
            torch.inference_mode(),
            torch.autocast("cpu", dtype=torch.bfloat16),
            np.errstate(all="raise"),
        ):
            found = said(model.fit(*given), given[0])
            assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, usual)
    np.testing.assert_array_equal(generators(), drawn)


def test_names_of_genes_may_be_numbers(model, fits):
    (X, Y), _ = fits
    X = X.set_axis(range(1000, 1000 + X.shape[1]), axis=1)
    predicted = model.fit(X, Y).predict(X)
    np.testing.assert_array_equal(model.predict(X.iloc[:, ::-1]), predicted)
    np.testing.assert_array_equal(model.predict(X.rename(columns=str)), predicted)


def without_gene_names(adata):
    return adata.X, adata.obsm["outputs"]


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda model, adata: model.predict(adata), "X has feature names"),
        (lambda model, adata: model.predict(adata.to_df()), "X has feature names"),
    ],
    ids=["AnnData", "table"],
)
def test_what_is_probably_wrong_gives_a_warning(predict, message, model, adata):
    model.fit(*without_gene_names(adata))
    with pytest.warns(UserWarning, match=message):
        predict(model, adata)


def test_raw_counts_are_refused_by_fit_and_predict(model, adata):
    X, Y = without_gene_names(adata)
    counts = adata.layers["counts"]
    with pytest.raises(ValueError, match="raw counts, whole numbers up to .*CountNormalizer"):
        model.fit(counts, Y)
    model.fit(X, Y)
    for values in (counts, 1234.5 * X):
        with pytest.raises(ValueError, match="CountNormalizer"):
            model.predict(values)


def test_models_of_other_values_than_logarithms_predict_them(model, adata):
    """These are larger, or whole numbers with a note that says what they are."""
    outputs = adata.obsm["outputs"]
    noted = paired(adata.to_df("counts"), outputs, notes=["rounded"])
    for X in (noted, 1234.5 * adata.X):
        model.fit(X, outputs).predict(X)


def with_text(adata):
    X, Y = without_gene_names(adata)
    return X, Y.assign(rate="high")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, adata: model.fit(*with_text(adata)), "could not convert string .*'high'"),
        (
            lambda model, adata: model.fit(adata).predict(adata.to_df().add_prefix("x")),
            "genes of the model: ",
        ),
    ],
    ids=["text", "other genes"],
)
def test_wrong_cells_are_refused(call, message, model, adata):
    with pytest.raises(ValueError, match=message):
        call(model, adata)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "any_fits", [*REGRESSORS, *CLASSIFIERS, *OF_COUNTS], ids=class_name, indirect=True
)
def test_lists_of_numbers_are_arrays(any_fits):
    model, (X, *others), _ = any_fits
    cells = X.toarray() if issparse(X) else X.to_numpy()
    lists = [np.asarray(other).tolist() for other in others]
    expected = said(model.fit(cells, *others), cells)
    found = said(model.fit(cells.tolist(), *lists), cells.tolist())
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("any_fits", CLASSIFIERS, ids=class_name, indirect=True)
def test_an_anndata_is_the_table_that_it_holds(any_fits):
    model, (X, y), _ = any_fits
    expected = said(model.fit(X, y), X)
    np.testing.assert_array_equal(said(model.fit(AnnData(X), y), AnnData(X)), expected)
    np.testing.assert_array_equal(model.feature_names_in_, X.columns)
