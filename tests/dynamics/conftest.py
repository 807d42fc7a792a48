"""A small network with a known truth, its samples, and a prior that is partly wrong."""

import pytest

from sbnn.dynamics.gene_network import GeneNetwork
from sbnn.dynamics.phoenix import Phoenix


@pytest.fixture(scope="session")
def network():
    return GeneNetwork.random(30, random_state=1)


@pytest.fixture(scope="session")
def samples(network):
    return network.simulate(24, 0.025, 1)


@pytest.fixture(scope="session")
def prior(network):
    return network.misplaced_prior(0.1, 1)


@pytest.fixture
def phoenix(generator):
    """Of 20 genes and 5 units, with normal weights; about half of the genes do not change."""
    network = Phoenix(n_genes=20, n_hidden=5, generator=generator)
    for value in network.parameters():
        value.data.normal_(generator=generator)
    return network
