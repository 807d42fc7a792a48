"""Steps of the search for regulators of all genes."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sbnn.data.gene_network import TIMES
from sbnn.data.trajectories import Samples, as_trajectories
from sbnn.dynamics.paths import relaxation
from sbnn.dynamics.search import Search


@pytest.fixture
def search(samples, prior):
    search = Search(as_trajectories(samples), prior.to_numpy())
    search.find_regulators()
    return search


def test_nothing_counts_after_the_end_of_a_sample(network, prior):
    """Other values behind the end change nothing."""
    long, short = (as_trajectories(network.simulate(20, 0.025, 1, TIMES[:n])) for n in (5, 3))
    ragged = Samples(long.values + short.values, long.times + short.times, long.gene_names)
    found = []
    for behind in (0.0, 7.0):
        search = Search(ragged, prior.to_numpy())
        search.values[20:, 3:] = behind
        search.paths = relaxation(search.values, search.clock)[0]
        search.paths[20:, 13:] = behind
        search.find_regulators()
        search.learn_rates(0.1)
        search.follow_model()
        of_edges = search.probabilities.ravel()
        found.append([search.noise, search.autocorrelation(), *search.rates, *of_edges])
    assert_allclose(*found, rtol=1e-6, atol=1e-12)


def test_paths_of_the_model_start_where_they_fit_best(search):
    search.follow_model()
    observed = search.clock.observed
    for gene in search.fits:
        rest = search.values[..., gene] - search.paths[:, observed, gene]
        left = search.clock.left(search.rates[gene])[:, observed]
        assert_allclose((rest * left).sum(axis=1), 0, atol=1e-9)


def test_scores_are_slopes_of_the_network_at_mean_expression(search):
    """Regulators are clipped one range beyond what was seen."""
    network = search.network()
    steps = 1e-6 * np.eye(30)
    above, below = (network.targets(torch.tensor(network.means + s)) for s in (steps, -steps))
    slopes = network.decay() * (above - below) / 2e-6
    assert_allclose(search.scores(), slopes, atol=1e-6)
    lowest = search.paths.min(axis=(0, 1))
    highest = search.paths.max(axis=(0, 1))
    assert_allclose(network.bounds, [2 * lowest - highest, 2 * highest - lowest])
