"""Gene-regulatory dynamics: networks inferred from expression trajectories and prior knowledge.

- `PhoenixRegressor`: the neural ODE PHOENIX, pruned by DASH or another method.
- `PUBLISHED_OPTIONS`: differences of the published training from the default.
- `GeneNetwork`: networks with a known truth, and their simulation.
- `simulate_network`: simulated samples, a partly wrong prior and the truth.
- `trajectories`: expression over time as an AnnData.
- `evaluate`: scores of networks and predictions.
- `gene_set_test`: a permutation test of gene sets.
- `known_targets_test`: that test for the known targets of regulators.
"""

from sbnn.dynamics.data import trajectories
from sbnn.dynamics.evaluation import evaluate, gene_set_test, known_targets_test
from sbnn.dynamics.gene_network import GeneNetwork
from sbnn.dynamics.phoenix_regressor import PUBLISHED_OPTIONS, PhoenixRegressor
from sbnn.dynamics.simulate import simulate_network

__all__ = [
    "PUBLISHED_OPTIONS",
    "GeneNetwork",
    "PhoenixRegressor",
    "evaluate",
    "gene_set_test",
    "known_targets_test",
    "simulate_network",
    "trajectories",
]
