"""What a loader of gene dynamics returns: trajectories to learn from and to test on, prior knowledge and the truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import Trajectories, prior_matrix


@dataclass(frozen=True, eq=False, repr=False)
class GeneDynamics:
    """Trajectories of the same genes, and what is known of their regulation.

    Parameters
    ----------
    train, test : Trajectories
        To learn from, and to test on: never seen in training.
    prior : DataFrame, genes by genes
        ``[regulator, target]``, signed where signs are known.
    truth : DataFrame, regulators by genes, optional
        Edges that results are compared with, not 0 where there is one. Its rows may be some of the genes: of others
        nothing is known.
    network : GeneNetwork, optional
        Where the trajectories are simulated.
    name, source : str
    sha256 : str, optional
        Fingerprint, by default of the content.
    files : mapping of str to str, optional
        Name -> sha256 of the files the data was read from; for information.

    Raises
    ------
    ValueError
        Trajectories, a prior or a truth of other genes.
    """

    train: Trajectories
    test: Trajectories
    prior: pd.DataFrame
    truth: pd.DataFrame | None = None
    network: GeneNetwork | None = None
    name: str = "custom"
    source: str = "the user's trajectories"
    sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate, and fill in the fingerprint."""
        names = self.train.gene_names
        if self.test.gene_names.tolist() != names.tolist():
            raise ValueError("test: expected the genes of train, in the same order")
        prior = pd.DataFrame(prior_matrix(self.prior, names), names, names)
        truth = self.truth
        if truth is not None and (truth.columns.tolist() != names.tolist() or not set(truth.index) <= set(names)):
            raise ValueError("truth: expected the genes of train as columns, and some of them as rows")
        parts = {"train": self.train.sha256, "test": self.test.sha256, "prior": fingerprint_arrays(prior.to_numpy())}
        if truth is not None:
            parts |= {"truth": fingerprint_arrays(truth.to_numpy(dtype=float)), "rows": list(truth.index)}
        checked = {"prior": prior, "sha256": self.sha256 or fingerprint_parameters(parts), "files": dict(self.files)}
        for field_name, value in checked.items():
            object.__setattr__(self, field_name, value)  # the class is frozen to everyone else

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.train.n_genes

    def __repr__(self) -> str:
        """Tell name, shape and fingerprint in one line."""
        return f"GeneDynamics({self.name!r}: {self.n_genes} genes, sha256 {self.sha256[:12]})"

    def summary(self) -> str:
        """Tell in two lines what the data is and where it comes from."""
        sizes = [f"{len(part)} samples x {part.values.shape[1]} times" for part in (self.train, self.test)]
        known = "no truth" if self.truth is None else f"{np.count_nonzero(self.truth)} true ones"
        return (
            f"{self.name}: {self.n_genes} genes, {sizes[0]} to learn from and {sizes[1]} to test on; "
            f"{np.count_nonzero(self.prior)} edges in the prior, {known}\n"
            f"  source: {self.source}"
        )


def simulate_gene_dynamics(
    n_genes: int = 350,
    n_samples: int = 150,
    noise: float = 0.025,
    wrong: float = 0.05,
    n_test: int = 10,
    random_state: int = 0,
) -> GeneDynamics:
    """Simulate a random network, samples of it, and a prior that is partly wrong.

    Parameters
    ----------
    n_genes : int
    n_samples, n_test : int
        To learn from, with noise, and to test on, without.
    noise : float
        Standard deviation, see `GeneNetwork.simulate`.
    wrong : float
        Share of the edges that the prior has in other places.
    random_state : int

    Returns
    -------
    GeneDynamics
    """
    network = GeneNetwork.random(n_genes, random_state=random_state)
    return simulated_dynamics(
        network, n_samples, noise, network.misplaced_prior(wrong, random_state), n_test, random_state
    )


def simulated_dynamics(network, n_samples, noise, prior, test, random_state, **about) -> GeneDynamics:
    """Put samples of a network together with a prior.

    Parameters
    ----------
    network : GeneNetwork
    n_samples : int
    noise : float
    prior : DataFrame
    test : Trajectories or int
        Those given, or so many that are simulated.
    random_state : int
    **about
        `name`, `source` and `files`.

    Returns
    -------
    GeneDynamics
    """
    train = network.simulate(n_samples, noise, random_state)
    if not isinstance(test, Trajectories):
        test = network.simulate(test, 0.0, random_state + 1_000_000)  # far from any seed of samples to learn from
    about = {"name": "simulated_grn", "source": train.source} | about
    return GeneDynamics(train, test, prior, network.graph, network, **about)
