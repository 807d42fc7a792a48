"""Records of scores: what is in them, and which of them differ."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.data.gene_dynamics import simulate_network, truth_of
from sbnn.dynamics import PhoenixRegressor, Recipe, Schedule, SparseRegulationRegressor, evaluate
from sbnn.dynamics.baselines import PriorAlone
from sbnn.dynamics.evaluation import fit_and_score, held_out, sparsity_curve

QUICK = PhoenixRegressor(3, recipe=Recipe(epochs=2, schedule=Schedule(1, 0.2, 1, 0.2)))


@pytest.fixture(scope="module")
def data():
    """Two networks of eight genes, with two test samples each."""
    return {seed: simulate_network(8, 6, 0.01, 0.3, n_test=2, random_state=seed) for seed in (4, 9)}


@pytest.fixture(scope="module")
def of_prior(data):
    return evaluate(PriorAlone(), data, method="prior", condition="noise_5", details=True)


@pytest.mark.parametrize("seed", [4, 9])
def test_scores_of_the_prior_are_those_of_its_edges_and_of_no_change(data, of_prior, seed):
    scores = of_prior.scores.set_index("seed").loc[seed]
    given = data[seed].varp["prior"] != 0
    true = data[seed].varp["truth"] != 0
    assert scores["n_edges"] == given.sum()
    assert scores["sparsity"] == (~given).mean()
    recall = given[true].mean()
    specificity = (~given[~true]).mean()
    assert scores["balanced_accuracy"] == approx((recall + specificity) / 2)
    values = np.stack(held_out(data[seed]).values)
    change = ((values[:, 1:] - values[:, :1]) ** 2).mean()
    assert scores["mse_rollout"] == approx(change)
    assert scores["mse_ahead"] == approx((np.diff(values, axis=1) ** 2).mean())
    assert scores["seconds"] >= 0


def test_details_are_those_of_the_first_seed(data, of_prior):
    first = data[4]
    samples = held_out(first)
    assert_array_equal(of_prior.out_degree, (first.varp["prior"] != 0).sum(axis=1))
    assert_array_equal(of_prior.true_out_degree, (first.varp["truth"] != 0).sum(axis=1))
    assert_array_equal(of_prior.test, np.float32(samples.values))
    assert_array_equal(of_prior.times, samples.times)
    assert of_prior.gene_names.tolist() == first.var_names.tolist()
    assert of_prior.settings == of_prior.settings | {"condition": "noise_5", "seeds": [4, 9]}
    assert of_prior.params == [{"method": "prior"}]


def test_a_record_depends_on_its_data_and_keeps_details_if_asked_to(data, of_prior):
    other = evaluate(PriorAlone(), {4: data[4], 9: data[4]}, method="prior", condition="noise_5")
    assert set(other.values) == {"scores", "out_degree"}
    assert other.sha256 != of_prior.sha256
    assert other.scores["mse_ahead"].nunique() == 1


def test_a_record_is_computed_once(data, tmp_path, monkeypatch):
    path = tmp_path / "prior.pickle"
    first = evaluate(PriorAlone(), data, method="prior", condition="real", results=path)
    monkeypatch.setattr(PriorAlone, "fit", None)
    again = evaluate(PriorAlone(), data, method="prior", condition="real", results=path)
    assert again.scores.equals(first.scores)
    with pytest.raises(ValueError, match="results"):
        evaluate(PriorAlone(), data, method="prior", condition="noise_5", results=path)
    with pytest.raises(TypeError, match="data: "):
        evaluate(PriorAlone(), data[4], method="prior", condition="real")


def test_a_truth_of_some_genes_is_scored_but_its_degrees_are_not_kept(data):
    partly = data[4].copy()
    partly.var["truth_known"] = np.arange(8) > 0
    found = evaluate(PriorAlone(), {4: partly}, method="prior", condition="real", details=True)
    assert found.scores["n_edges"].tolist() == [(partly.varp["prior"][1:] != 0).sum()]
    assert "true_out_degree" not in found.values
    unknown = data[4].copy()
    del unknown.varp["truth"]
    assert "auroc" not in fit_and_score(PriorAlone(), unknown)


def test_edges_are_ranked_by_probability_if_there_is_one(data):
    sure = PriorAlone()
    sure.edge_probabilities_ = truth_of(data[4]).abs()
    assert fit_and_score(sure, data[4])["auroc"] == 1


@pytest.mark.filterwarnings("ignore:residuals")
def test_a_network_has_predictions_and_edges_and_the_seed_of_its_data(data):
    model = SparseRegulationRegressor(1)
    found = evaluate(model, data, method="sparse", condition="noise_5", details=True)
    assert set(found.values) == {"scores", "out_degree", "edges", "predicted"}
    train = data[4][data[4].obs["split"] == "train"]
    model.fit(train, data[4].varp["prior"])
    samples = held_out(data[4])
    expected = model.predict(np.stack(samples.values)[:, 0], np.stack(samples.times))
    assert_array_equal(found.predicted, expected.astype(np.float32))
    assert len(found.edges) == found.out_degree.sum() == np.count_nonzero(model.edge_scores_)


@pytest.mark.filterwarnings("ignore:sparsity")
def test_pruning_is_scored_at_every_sparsity_for_every_seed(data):
    curve = sparsity_curve(QUICK, data, ["imp", "dash"], [0.6, 0.4])
    assert curve.scores["method"].tolist() == ["imp"] * 4 + ["dash"] * 4
    assert curve.scores["asked"].tolist() == [0.6, 0.6, 0.4, 0.4] * 2
    assert curve.scores["seed"].tolist() == [4, 9] * 4
    assert_allclose(curve.scores["sparsity"], curve.scores["asked"], atol=0.03)
    assert curve.settings["methods"] == ["imp", "dash"]
    assert curve.settings["sparsities"] == [0.6, 0.4]
    first = PhoenixRegressor(3, "imp", 0.6, recipe=QUICK.recipe, random_state=4)
    expected = fit_and_score(first, data[4])
    assert curve.scores["mse_ahead"][0] == expected["mse_ahead"]
