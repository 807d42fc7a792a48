"""Genes that a panel must have, and genes among which the others are chosen."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal as equal
from pytest import approx

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    StackedRegressor,
    cross_validate,
    fit_full,
    map_trust,
    results,
)
from sbnn.data.fingerprint import fingerprint
from sbnn.data.preprocessing import preselect_genes
from sbnn.evaluation.stability import panel_table
from sbnn.results import Record

QUICK = DistilledSettings(n_trees=2, n_augmented=60, steps_of_teachers=2, steps_of_student=5)
N_PRESELECTED = 6


def network(required, candidates=None):
    return DistilledBottleneckRegressor(
        n_genes=4,
        required_genes=required,
        candidate_genes=candidates,
        distillation=QUICK,
        standardize=False,
        random_state=1,
    )


@pytest.fixture(scope="module")
def left_out(data):
    """Positions of genes that no preselection takes, the last ones first."""
    return np.flatnonzero(~preselect_genes(data, 25))[::-1]


def validate(model, data):
    return cross_validate(model, data, 2, preselect=N_PRESELECTED, verbose=False)


@pytest.fixture(scope="module")
def by_position(data, left_out):
    return validate(network(left_out[:2], left_out[2:6]), data)


def test_a_panel_survives_preselection(by_position, left_out):
    assert by_position.preselected[..., left_out[:6]].all()
    equal(by_position.preselected.sum(-1), N_PRESELECTED + 6)


def test_folds_keep_the_panel(by_position, left_out):
    assert by_position.selected[..., left_out[:2]].all()
    equal(by_position.selected[..., left_out[2:6]].sum(-1), 2)


def test_names_of_a_panel_are_its_positions(by_position, data, left_out):
    names = data.gene_names
    by_name = validate(network([*names[left_out[:2]]], [*names[left_out[2:6]]]), data)
    equal(by_name.test_r2, by_position.test_r2)


@pytest.fixture(scope="module")
def fit_of_positions(data, left_out, tmp_path_factory):
    path = tmp_path_factory.mktemp("panel") / "model.safetensors"
    fit = fit_full(network(left_out[:1]), data, preselect=N_PRESELECTED, model_file=path)
    return fit, DistilledBottleneckRegressor.load(path)


def test_a_saved_model_names_its_panel(fit_of_positions, data, left_out):
    _, model = fit_of_positions
    assert model.required_genes == (data.gene_names[left_out[0]],)


def test_a_saved_stacked_model_names_the_panel_of_its_network(data, left_out, tmp_path):
    path = tmp_path / "stacked.safetensors"
    model = StackedRegressor(network(left_out[:1], left_out[1:6]))
    fit_full(model, data, preselect=N_PRESELECTED, model_file=path)
    loaded = StackedRegressor.load(path).network_
    assert loaded.required_genes == (data.gene_names[left_out[0]],)
    assert loaded.candidate_genes == (*data.gene_names[left_out[1:6]],)


def test_a_saved_model_has_the_order_of_choice(fit_of_positions):
    fit, model = fit_of_positions
    equal(model.feature_names_in_[model.gene_order_], fit.gene_order)


def test_maps_of_other_seeds_have_the_panel(fit_of_positions, adata, left_out):
    """Here the seed is that of the fit, whose map is found again."""
    fit, _ = fit_of_positions
    model = network(left_out[:1])
    folds = cross_validate(model, adata, 2, {"n_components": [2]}, verbose=False)
    trust = map_trust(model, adata[:, fit.gene_names], fit, folds, seeds=[1])
    assert trust.agreement == approx(1, abs=1e-3)


def test_an_unknown_gene_is_refused_before_fits(data, monkeypatch):
    monkeypatch.setattr(DistilledBottleneckRegressor, "fit", lambda *_: pytest.fail("fitted"))
    with pytest.raises(ValueError, match="required_genes: 1 of 1 genes are not among the 40"):
        cross_validate(network(["Sst"]), data, 2, verbose=False)


def test_without_a_panel_records_are_those_of_before():
    record = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    model = DistilledBottleneckRegressor(
        reconstruct=True, standardize=False, device="cpu", random_state=42
    )
    assert fingerprint(model) == record.arguments["estimator"]


def test_accuracy_stands_beside_the_last_gene():
    genes = np.array(["Vip", "Gad1", "Sst"])
    fit = Record(
        experiment="fit",
        dataset="made up",
        sha256="s",
        params=[{"required_genes": ["Vip"]}],
        values={"gene_order": genes},
    )
    curve = Record(
        experiment="cross-validation",
        dataset="made up",
        sha256="s",
        params=[{"n_genes": 1}, {"n_genes": 3}],
        folds=[(np.arange(2), np.arange(2))] * 2,
        values={"test_r2": np.array([[0.1, 0.5], [0.3, 0.7]]), "n_selected": np.ones((2, 2))},
    )
    table = panel_table(fit, curve)
    assert table.index.tolist() == ["Vip", "Gad1", "Sst"]
    assert table.required.tolist() == [True, False, False]
    assert table.panel_test_r2.tolist() == approx([0.2, np.nan, 0.6], nan_ok=True)
