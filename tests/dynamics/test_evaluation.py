"""Records of scores: what is in them, and which of them differ."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pytest import approx

from sbnn.dynamics import PhoenixRegressor, evaluate, gene_set_test, known_targets_test
from sbnn.dynamics.baselines import PriorAlone
from sbnn.dynamics.data import as_trajectories
from sbnn.dynamics.evaluation import edge_accuracy, fit_and_score_network, path_errors
from sbnn.dynamics.simulate import prior_table, simulate_network, truth_table

pytestmark = pytest.mark.filterwarnings("ignore:the one-step error")


#: Start of a message.
PARTS = "data: expected samples to train and to test in obs"


class WatchedPrior(PriorAlone):
    """Keeps the interactions."""

    def fit(self, trajectories, prior, interactions=None):
        self.interactions = interactions
        return super().fit(trajectories, prior)


@pytest.fixture(scope="module")
def data():
    """Two networks of eight genes, with two test samples each."""
    return {
        seed: simulate_network(
            n_genes=8, n_samples=6, noise=0.01, wrong=0.3, n_test=2, random_state=seed
        )
        for seed in (4, 9)
    }


@pytest.fixture(scope="module")
def held_out(data):
    """Of the first network."""
    return as_trajectories(data[4][data[4].obs["split"] == "test"])


@pytest.fixture(scope="module")
def record(data):
    """Scores of the prior, with details."""
    return evaluate(PriorAlone(), data, method="prior", condition="real", details=True)


def test_the_prior_has_scores_of_all_seeds(record):
    assert record.scores["seed"].tolist() == [4, 9]


def test_scores_are_of_edges_and_test_samples(record, data, held_out):
    edges = prior_table(data[4])
    expected = edge_accuracy(edges, truth_table(data[4]), edges)
    expected |= path_errors(PriorAlone().fit(held_out).predict, held_out)
    scores = record.scores.loc[0, [*expected]].to_dict()
    assert scores == approx(expected, nan_ok=True)


def test_genes_of_the_first_network_have_degrees(record, data):
    assert_array_equal(record.out_degree, (data[4].varp["prior"] != 0).sum(axis=1))


def test_test_samples_of_the_first_network_are_stored(record, held_out):
    assert_array_equal(record.test, np.float32(held_out.values))
    assert_array_equal(record.times, held_out.times)


def test_the_fingerprint_is_of_all_data(record, data):
    twice_the_first = {4: data[4], 9: data[4]}
    other = evaluate(PriorAlone(), twice_the_first, method="prior", condition="real")
    assert other.sha256 != record.sha256


def test_a_network_has_its_strongest_edges(data):
    """The seed of the data is its random state."""
    first = data[4]
    model = PhoenixRegressor(2, "none", epochs=1)
    record = evaluate(model, {4: first}, method="none", condition="real", details=True)
    model.set_params(random_state=4).fit(first[first.obs["split"] == "train"])
    strongest = model.edge_scores_.stack().sort_values(ascending=False, key=abs)
    assert_array_equal(record.edges, strongest[strongest != 0].reset_index())


@pytest.fixture
def data_with_interactions(data):
    data_set = data[4].copy()
    data_set.varp["interactions"] = np.eye(8)
    return data_set


def test_models_that_use_interactions_get_them(data_with_interactions):
    model = WatchedPrior()
    fit_and_score_network(model, data_with_interactions)
    assert_array_equal(model.interactions, np.eye(8))


def test_models_without_interactions_can_be_scored(data_with_interactions):
    assert fit_and_score_network(PriorAlone(), data_with_interactions)["n_edges"] > 0


def test_a_truth_of_some_genes_is_scored(data):
    partly = data[4].copy()
    partly.var["truth_known"] = np.arange(8) > 0
    scores = fit_and_score_network(PriorAlone(), partly)
    assert scores["n_edges"] == (partly.varp["prior"][1:] != 0).sum()


def test_effects_are_percents_of_the_largest(data):
    record = evaluate(PriorAlone(), data, method="prior", condition="real", details="effects")
    assert_array_equal(record.effects, 100 * data[4].varp["prior"])


def without_split(adata):
    del adata.obs["split"]


def without_tests(adata):
    adata.obs["split"] = "train"


def without_prior(adata):
    del adata.varp["prior"]


def without_seed(adata):
    """The data themselves."""
    return adata


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_split, PARTS),
        (without_tests, PARTS),
        (without_prior, PARTS),
        (without_seed, "data: expected a dict of seed to AnnData"),
    ],
)
def test_incomplete_data_are_refused(data, change, message):
    incomplete = data[4].copy()
    given = change(incomplete)
    if given is None:
        given = {0: incomplete}
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate(PriorAlone(), given, method="prior", condition="real")
    with pytest.raises((TypeError, ValueError), match=message):
        known_targets_test(PriorAlone(), given, method="prior")


def test_all_of_a_truth_is_known_by_default(data):
    adata = data[4].copy()
    del adata.var["truth_known"]
    assert truth_table(adata).equals(truth_table(data[4]))


@pytest.fixture(scope="module")
def of_prior(data):
    """Tests of the known targets, for the prior alone."""
    return known_targets_test(PriorAlone(), data, method="prior").tests


def test_known_targets_are_compared_with_random_genes(of_prior, data):
    expected = []
    for seed, samples in data.items():
        for regulator, is_target in (truth_table(samples) != 0).iterrows():
            sizes = prior_table(samples).loc[regulator].abs()
            targets = is_target.index[is_target]
            expected.append(
                gene_set_test(sizes, {"targets": targets}, random_state=seed)["p"].item()
            )
    assert of_prior.query("genes == 'all'")["p"].tolist() == expected


def test_the_prior_finds_no_target_that_it_lacks(of_prior):
    assert of_prior.query("genes == 'not in the prior'")["p"].eq(1).all()
