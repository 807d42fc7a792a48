"""Records of scores: what is in them, and which of them differ."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sbnn.data.gene_dynamics import prior_of, simulate_network, truth_of
from sbnn.dynamics import PhoenixRegressor, evaluate
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.baselines import PriorAlone
from sbnn.dynamics.evaluation import fit_and_score, held_out, sparsity_curve

QUICK = {"epochs": 3, "schedule": (1, 0.2, 1, 0.6)}


@pytest.fixture(scope="module")
def data():
    """Two networks of eight genes, with two test samples each."""
    return {seed: simulate_network(8, 6, 0.01, 0.3, n_test=2, random_state=seed) for seed in (4, 9)}


def scored(data, model=None, **options):
    return evaluate(model or PriorAlone(), data, method="prior", condition="real", **options)


def test_the_prior_has_scores_of_all_seeds_and_details_of_the_first(data):
    found = scored(data, details=True)
    first = data[4]
    samples = held_out(first)
    assert found.scores["seed"].tolist() == [4, 9]
    assert (found.scores["seconds"] >= 0).all()
    fitted = PriorAlone().fit(first, first.varp["prior"])
    row = found.scores.iloc[0].to_dict()
    edges = prior_of(first)
    expected = edge_accuracy(edges, truth_of(first), edges, edges.abs())
    assert np.isnan(expected.pop("new_right"))
    expected |= path_errors(fitted.predict, samples) | {"sparsity": fitted.sparsity_}
    assert row == row | expected
    assert_array_equal(found.out_degree, (first.varp["prior"] != 0).sum(axis=1))
    assert_array_equal(found.test, np.float32(samples.values))
    assert_array_equal(found.times, samples.times)
    assert found.gene_names.tolist() == first.var_names.tolist()
    other = scored({4: data[4], 9: data[4]})
    assert set(other.values) == {"scores", "out_degree"}
    assert other.sha256 != found.sha256


def test_models_see_no_test_sample(data):
    seen = []

    class Watched(PriorAlone):
        def fit(self, trajectories, *args):
            seen.extend(trajectories.obs["split"])
            return super().fit(trajectories, *args)

    scored(data, Watched())
    assert set(seen) == {"train"}


def test_interactions_are_given_to_models_that_use_them(data):
    class Watched(PriorAlone):
        def fit(self, trajectories, prior, interactions=None):
            self.given = interactions
            return super().fit(trajectories, prior)

    [seed, *_] = data
    with_some = data[seed].copy()
    with_some.varp["interactions"] = np.eye(with_some.n_vars)
    model = Watched()
    fit_and_score(model, with_some)
    assert_array_equal(model.given, with_some.varp["interactions"])
    fit_and_score(PriorAlone(), with_some)


def test_a_record_is_computed_once(data, tmp_path, monkeypatch):
    path = tmp_path / "prior.pickle"
    first = scored(data, results=path)
    monkeypatch.setattr(PriorAlone, "fit", None)
    assert scored(data, results=path).scores.equals(first.scores)
    with pytest.raises(ValueError, match="results"):
        evaluate(PriorAlone(), data, method="prior", condition="noise_5", results=path)


def test_a_truth_of_some_genes_or_none_is_scored_as_far_as_known(data):
    partly = data[4].copy()
    partly.var["truth_known"] = np.arange(8) > 0
    found = scored({4: partly}, details=True)
    assert found.scores["n_edges"].tolist() == [(partly.varp["prior"][1:] != 0).sum()]
    sure = PriorAlone()
    sure.edge_probabilities_ = truth_of(data[4]).abs()
    assert fit_and_score(sure, data[4])["auroc"] == 1, "edges are ranked by probability"
    del partly.varp["truth"]
    assert "auroc" not in fit_and_score(PriorAlone(), partly)


def test_pruning_is_scored_at_every_sparsity_for_every_seed(data):
    curve = sparsity_curve(PhoenixRegressor(3, **QUICK), data, ["imp", "dash"], [0.6, 0.4])
    keys = ["method", "asked", "seed"]
    expected = pd.MultiIndex.from_product([["imp", "dash"], [0.6, 0.4], [4, 9]])
    assert curve.scores[keys].to_records(index=False).tolist() == expected.tolist()
    assert curve.settings["methods"] == ["imp", "dash"]
    assert curve.settings["sparsities"] == [0.6, 0.4]
    last = PhoenixRegressor(3, sparsity=0.4, random_state=9, **QUICK)
    assert curve.scores["mse_ahead"].iloc[-1] == fit_and_score(last, data[9])["mse_ahead"]
