"""Records of scores: what is in them, and which of them differ."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pytest import approx

from sbnn.data.gene_dynamics import prior_of, simulate_network, truth_of
from sbnn.data.trajectories import as_trajectories
from sbnn.dynamics import PhoenixRegressor, evaluate
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.baselines import PriorAlone
from sbnn.dynamics.evaluation import fit_and_score


class Watched(PriorAlone):
    """Shows what it was given."""

    def fit(self, trajectories, prior, interactions=None):
        self.given = trajectories.obs["split"], interactions
        return super().fit(trajectories, prior)


@pytest.fixture(scope="module")
def data():
    """Two networks of eight genes, with two test samples each."""
    return {seed: simulate_network(8, 6, 0.01, 0.3, n_test=2, random_state=seed) for seed in (4, 9)}


def scored(data, model=None, condition="real", **options):
    return evaluate(model or PriorAlone(), data, method="prior", condition=condition, **options)


def test_the_prior_has_scores_of_all_seeds_and_details_of_the_first(data):
    found = scored(data, details=True)
    first = data[4]
    samples = as_trajectories(first[first.obs["split"] == "test"])
    edges = prior_of(first)
    expected = edge_accuracy(edges, truth_of(first), edges)
    expected |= path_errors(PriorAlone().fit(samples).predict, samples)
    assert found.scores.loc[0, [*expected]].to_dict() == approx(expected, nan_ok=True)
    assert found.scores["seed"].tolist() == [4, 9]
    assert_array_equal(found.out_degree, (first.varp["prior"] != 0).sum(axis=1))
    assert_array_equal(found.test, np.float32(samples.values))
    assert_array_equal(found.times, samples.times)
    assert scored({4: first, 9: first}).sha256 != found.sha256


def test_a_network_has_its_strongest_edges(data):
    model = PhoenixRegressor(2, "none", epochs=1)
    found = scored({4: data[4]}, model, details=True)
    model = model.set_params(random_state=4).fit(data[4][data[4].obs["split"] == "train"])
    strongest = model.edge_scores_.stack().sort_values(ascending=False, key=abs)
    assert_array_equal(found.edges, strongest[strongest != 0].reset_index())


def test_models_see_no_test_sample_and_interactions_if_they_use_them(data):
    model = Watched()
    with_some = data[4].copy()
    fit_and_score(model, with_some)
    assert set(model.given[0]) == {"train"}
    with_some.varp["interactions"] = np.eye(8)
    fit_and_score(model, with_some)
    assert_array_equal(model.given[1], np.eye(8))
    fit_and_score(PriorAlone(), with_some)


def test_a_record_is_computed_once(data, tmp_path, monkeypatch):
    path = tmp_path / "prior.pickle.xz"
    first = scored(data, results=path)
    monkeypatch.setattr(PriorAlone, "fit", None)
    assert scored(data, results=path).scores.equals(first.scores)
    with pytest.raises(ValueError, match="results"):
        scored(data, condition="noise_5", results=path)


def test_a_truth_of_some_genes_is_scored(data):
    partly = data[4].copy()
    partly.var["truth_known"] = np.arange(8) > 0
    found = fit_and_score(PriorAlone(), partly)
    assert found["n_edges"] == (partly.varp["prior"][1:] != 0).sum()


def test_effects_are_percents_of_the_largest(data):
    found = scored(data, details="effects").effects
    assert_array_equal(found, 100 * data[4].varp["prior"])
