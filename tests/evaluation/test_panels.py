"""Genes that a panel must have, and genes among which the others are chosen."""

import numpy as np
import pandas as pd
import pytest
from material.estimators import distilled
from numpy.testing import assert_array_equal as equal
from pytest import approx

from sbnn import (
    DistilledBottleneckRegressor,
    StackedRegressor,
    cross_validate,
    fit_full,
    map_trust,
    results,
    selection_table,
    stability_selection,
)
from sbnn.data.fingerprint import fingerprint
from sbnn.data.preprocessing import preselect_genes
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.interpretation import interpret_held_out

N_PRESELECTED = 6


def network(required, candidates=None):
    return distilled(
        n_genes=4,
        required_genes=required,
        candidate_genes=candidates,
        standardize=False,
        random_state=1,
    )


@pytest.fixture(scope="module")
def left_out(data):
    """Genes that no preselection takes, the last ones first."""
    is_left_out = ~preselect_genes(data, 25)
    return data.gene_names[is_left_out][::-1].tolist()


@pytest.fixture(scope="module")
def validated(data, left_out):
    model = network(left_out[:2], left_out[2:6])
    return cross_validate(model, data, 2, preselect=N_PRESELECTED, verbose=False)


def test_a_panel_survives_preselection(validated, left_out):
    is_in_panel = np.isin(validated.gene_names, left_out[:6])
    assert validated.preselected[..., is_in_panel].all()
    equal(validated.preselected.sum(-1), N_PRESELECTED + 6)


def test_folds_keep_the_panel(validated, left_out):
    assert validated.selected[..., np.isin(validated.gene_names, left_out[:2])].all()
    equal(validated.selected[..., np.isin(validated.gene_names, left_out[2:6])].sum(-1), 2)


@pytest.mark.parametrize(("n_required", "expected"), [(0, np.ndarray), (1, pd.DataFrame)])
def test_folds_are_tables_for_a_panel_only(n_required, expected, data, left_out, monkeypatch):
    """Arrays are faster."""
    given = []
    fit = DistilledBottleneckRegressor.fit

    def watched(model, X, y, **options):
        given.append(type(X))
        return fit(model, X, y, **options)

    monkeypatch.setattr(DistilledBottleneckRegressor, "fit", watched)
    cross_validate(network(left_out[:n_required] or None), data, 2, verbose=False)
    assert given == [expected, expected]


@pytest.fixture(scope="module")
def saved_fit(data, left_out, tmp_path_factory):
    path = tmp_path_factory.mktemp("panel") / "model.safetensors"
    fit = fit_full(network(left_out[:1]), data, preselect=N_PRESELECTED, model_file=path)
    return fit, DistilledBottleneckRegressor.load(path)


def test_a_saved_stacked_model_names_the_panel_of_its_network(data, left_out, tmp_path):
    path = tmp_path / "stacked.safetensors"
    model = StackedRegressor(network(left_out[:1], left_out[1:6]))
    fit_full(model, data, preselect=N_PRESELECTED, model_file=path)
    loaded = StackedRegressor.load(path).network_
    assert loaded.required_genes == (left_out[0],)
    assert loaded.candidate_genes == (*left_out[1:6],)


def test_a_saved_model_has_the_order_of_choice(saved_fit):
    fit, model = saved_fit
    equal(model.feature_names_in_[model.gene_order_], fit.gene_order)


def test_maps_of_other_seeds_have_the_panel(saved_fit, adata, left_out):
    """Here the seed is that of the fit, whose map is found again."""
    fit, _ = saved_fit
    model = network(left_out[:1])
    folds = cross_validate(model, adata, 2, {"n_components": [2]}, verbose=False)
    trust = map_trust(model, adata[:, fit.gene_names], fit, folds, seeds=[1])
    assert trust.agreement == approx(1, abs=1e-3)


def test_effects_are_of_the_panel(data, left_out):
    halves = stability_selection(network(None), data, 1, verbose=False)
    model = network(left_out[:2], left_out[2:6])
    effects = interpret_held_out(model, data, halves, preselect=N_PRESELECTED)
    assert set(left_out[:2]) < set(effects.kept_genes) < set(left_out[:6])


@pytest.fixture
def no_fit(monkeypatch):
    """Fail if a network is fitted."""
    monkeypatch.setattr(DistilledBottleneckRegressor, "fit", lambda *_: pytest.fail("fitted"))


def test_an_unknown_gene_is_refused_before_fits(data, no_fit):
    with pytest.raises(ValueError, match="required_genes: 1 of 1 genes are not among the 40"):
        cross_validate(network(["Sst"]), data, 2, verbose=False)


@pytest.mark.parametrize("name", ["required_genes", "candidate_genes"])
@pytest.mark.parametrize("wrap", [lambda model: model, StackedRegressor], ids=["alone", "stacked"])
def test_halves_take_no_panel(name, wrap, data, left_out, no_fit):
    model = network(None).set_params(**{name: left_out[:5]})
    with pytest.raises(ValueError, match="estimator: .* set required_genes and candidate_genes"):
        stability_selection(wrap(model), data, 1, verbose=False)


def test_frequencies_of_a_panel_are_not_judged(data, left_out):
    halves = complementary_pairs(data.n_cells, 1)
    record = cross_validate(network(left_out[:2]), data, halves, verbose=False)
    with pytest.raises(ValueError, match="halves of a model with required_genes"):
        selection_table(record)


def test_without_a_panel_records_are_those_of_before():
    record = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    model = DistilledBottleneckRegressor(
        reconstruct=True, standardize=False, device="cpu", random_state=42
    )
    assert fingerprint(model) == record.arguments["estimator"]
