"""What every public estimator keeps: its last whole fit, and the settings of the user."""

import sys
from inspect import CO_GENERATOR

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    LeaveOneOutRidge,
    ReducedRankRegression,
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
)

FEW_STEPS = DistilledSettings(
    n_augmented=50, n_trees=2, n_teachers=2, steps_of_teachers=3, steps_of_student=5
)
REGRESSORS = [
    LeaveOneOutRidge(),
    ReducedRankRegression(),
    SparseReducedRankRegression(alpha=0.3),
    SparseBottleneckRegressor(n_genes=5, hidden_layers=(6, 4), epochs=(1, 1, 1, 1), random_state=0),
    DistilledBottleneckRegressor(n_genes=5, distillation=FEW_STEPS, random_state=0),
]


@pytest.fixture(params=REGRESSORS, ids=lambda model: type(model).__name__)
def model(request):
    return clone(request.param)


@pytest.fixture
def fits(adata):
    """Arguments of a fit, and of one to other cells, genes and outputs."""
    X = adata.to_df()
    Y = adata.obsm["outputs"]
    return (X, Y), (3 * X.iloc[:90, 10:] + 1, 5 * Y.iloc[:90, :3])


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


@pytest.mark.filterwarnings("ignore")
def test_a_fit_that_is_interrupted_leaves_the_last_one(model, fits):
    one, other = fits
    model.fit(*one)  # first, as it may import modules
    n_calls = calls_of(clone(model).fit, other)
    before = vars(model).copy()
    predicted = model.predict(one[0])
    for share in (0.2, 0.5, 0.8, 0.97):
        calls_of(model.fit, other, int(share * n_calls))
        assert before.keys() == vars(model).keys()
        assert all(value is before[name] for name, value in vars(model).items())
        np.testing.assert_array_equal(model.predict(one[0]), predicted)


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_first_fit_leaves_nothing(model, fits):
    n_calls = calls_of(clone(model).fit, fits[0])
    calls_of(model.fit, fits[0], int(0.9 * n_calls))
    assert vars(model) == model.get_params(deep=False)


def generators():
    """States of the global generators."""
    _, numbers, place, *_ = np.random.get_state()  # noqa: NPY002
    return [*numbers, place, *torch.get_rng_state().tolist()]


@pytest.mark.filterwarnings("ignore")
def test_settings_and_generators_of_other_packages_change_nothing_and_stay(model, fits):
    given, _ = fits
    usual = model.fit(*given).predict(given[0])
    drawn = generators()
    torch.set_default_dtype(torch.float64)
    try:
        with (
            config_context(transform_output="pandas"),
            torch.inference_mode(),
            np.errstate(all="raise"),
        ):
            found = model.fit(*given).predict(given[0])
            assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, usual)
    np.testing.assert_array_equal(generators(), drawn)


@pytest.mark.filterwarnings("ignore:no pretraining")
def test_genes_are_matched_by_name_also_if_names_are_numbers(model, fits):
    (X, Y), _ = fits
    X = X.set_axis(range(1000, 1000 + X.shape[1]), axis=1)
    predicted = model.fit(X, Y).predict(X)
    np.testing.assert_array_equal(model.predict(X.iloc[:, ::-1]), predicted)
    np.testing.assert_array_equal(model.predict(X.rename(columns=str)), predicted)
    with pytest.raises(ValueError, match="genes of the model: 1"):
        model.predict(X.set_axis(range(5000, 5000 + X.shape[1]), axis=1))


@pytest.mark.filterwarnings("ignore:no pretraining")
def test_what_is_probably_not_meant_is_said(model, adata):
    X, Y = adata.X, adata.obsm["outputs"]
    model.fit(X, Y)
    for named in (adata, adata.to_df()):
        with pytest.warns(UserWarning, match="X has feature names"):
            model.predict(named)
    for counts in (adata.layers["counts"], 1234.5 * X):
        with pytest.warns(UserWarning, match="CountNormalizer"):
            model.predict(counts)
    with pytest.raises(ValueError, match="empty or repeated cell names: cell001"):
        model.fit(adata[[0, 0, 1, 2]])
