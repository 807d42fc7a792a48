"""Gene-regulatory dynamics: who regulates whom, learned from trajectories of expression and prior knowledge.

- `PhoenixRegressor`: the neural ODE PHOENIX, pruned by DASH or otherwise; `Phoenix` is its network.
- `SparseRegulationRegressor`: regulators by Bayesian selection, more right than the prior they start from.
- `GeneNetwork`: networks with a known truth, and samples simulated from them.
- `read_trajectories`, `Trajectories`: expression over time.
"""

from sbnn.data.gene_network import GeneNetwork
from sbnn.data.readers.trajectories import read_trajectories
from sbnn.data.trajectories import Trajectories
from sbnn.dynamics.model import PhoenixRegressor
from sbnn.dynamics.network import Phoenix
from sbnn.dynamics.pruning import Schedule
from sbnn.dynamics.recipe import Recipe
from sbnn.dynamics.solver import DivergenceError
from sbnn.dynamics.sparse_regulation import SparseRegulationRegressor

__all__ = [
    "DivergenceError",
    "GeneNetwork",
    "Phoenix",
    "PhoenixRegressor",
    "Recipe",
    "Schedule",
    "SparseRegulationRegressor",
    "Trajectories",
    "read_trajectories",
]
