"""Published sets of trajectories with prior and truth: simulated networks, yeast cell cycle, breast cancer.

Files of Hossain et al., Genome Biology (2024) and arXiv 2403.04805 (github.com/QuackenbushLab/phoenix and DASH).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sbnn.data.gene_dynamics import GeneDynamics, simulated_dynamics
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.readers.trajectories import read_trajectories

GRN = "Hossain et al., arXiv 2403.04805 (2024); rate equations corrected, samples to learn from simulated"
YEAST = "Pramila et al., Genes & Development 20, 2266 (2006); files of Hossain et al., Genome Biology (2024)"
BREAST = "Desmedt et al., Clinical Cancer Research 13, 3207 (2007); files of Hossain et al., Genome Biology (2024)"


def read_grn(
    edges_path, equations_path, names_path, test_path, prior_path, *,
    n_samples: int = 150, noise: float = 0.025, wrong: float | None = None, random_state: int = 0,
    name: str = "grn_350", files: dict[str, str] | None = None,
) -> GeneDynamics:  # fmt: skip
    """Read a simulated network with its published test samples, and simulate samples to learn from.

    The published ones are not to be had. Ours start like the test samples, of whose later values nothing is used.

    Parameters
    ----------
    edges_path, equations_path, names_path, test_path, prior_path : path-like
        The prior is the published one of 5 % misplaced edges.
    n_samples : int
    noise : float
        Standard deviation, 0.025 for what is published as 5 %.
    wrong : float, optional
        Share of the edges that a prior of our own has in other places, from `random_state`; by default the published
        prior.
    random_state : int
        Of the samples.
    name : str
    files : dict of str to str, optional
        Name -> sha256 of the files.

    Returns
    -------
    GeneDynamics

    Raises
    ------
    FileNotFoundError
    ValueError
        Files of another layout, or that do not go together.
    """
    network = GeneNetwork.from_tables(edges_path, equations_path, names_path, name=name)
    test = read_trajectories(test_path, names_path, signed=False, name=f"{name}_test", source=GRN)
    network = network.starting_like(test)
    prior = _matrix(prior_path, network.gene_names) if wrong is None else network.misplaced_prior(wrong, random_state)
    return simulated_dynamics(
        network, n_samples, noise, prior, test, random_state, name=name, source=GRN, files=files or {}
    )


def read_yeast(train_path, test_path, names_path, prior_path, *, files: dict[str, str] | None = None) -> GeneDynamics:
    """Read the yeast cell cycle: one replicate to learn from, the dye swap to test on, 24 times of 500 genes.

    Parameters
    ----------
    train_path, test_path, names_path, prior_path : path-like
    files : dict of str to str, optional
        Name -> sha256 of the files.

    Returns
    -------
    GeneDynamics
        Log ratios. The prior holds motifs, of +-0.5; there is no truth.
    """
    train, test = (
        read_trajectories(path, names_path, name=f"yeast_{part}", source=YEAST)
        for path, part in ((train_path, "train"), (test_path, "test"))
    )
    prior = _matrix(prior_path, train.gene_names)
    return GeneDynamics(train, test, prior, name="yeast_pramila", source=YEAST, files=files or {})


def read_breast(
    train_path, test_path, names_path, prior_path, truth_path, *, files: dict[str, str] | None = None
) -> GeneDynamics:
    """Read breast cancer along a pseudotime: 178 times of 500 genes to learn from, 8 times of its middle to test on.

    Parameters
    ----------
    train_path, test_path, names_path, prior_path, truth_path : path-like
    files : dict of str to str, optional
        Name -> sha256 of the files.

    Returns
    -------
    GeneDynamics
        The prior holds motifs. The truth holds edges by chromatin immunoprecipitation, of the transcription factors
        that these experiments saw; of other genes nothing is known.
    """
    train, test = (
        read_trajectories(path, names_path, signed=False, name=f"breast_{part}", source=BREAST)
        for path, part in ((train_path, "train"), (test_path, "test"))
    )
    genes = train.gene_names
    edges = pd.read_csv(truth_path)
    if not {"from", "to"} <= {*edges.columns}:
        raise ValueError(f"{truth_path}: expected the columns 'from' and 'to', got {list(edges.columns)}")
    seen = genes[pd.Index(genes).isin(edges["from"])]
    edges = edges[edges["from"].isin(seen) & edges["to"].isin(genes)]
    table = np.zeros((len(seen), len(genes)), dtype=np.int8)
    table[pd.Index(seen).get_indexer(edges["from"]), pd.Index(genes).get_indexer(edges["to"])] = 1
    truth, prior = pd.DataFrame(table, seen, genes), _matrix(prior_path, genes)
    return GeneDynamics(train, test, prior, truth, name="breast_desmedt", source=BREAST, files=files or {})


def _matrix(path, genes):
    table = pd.read_csv(path, header=None)
    if table.shape != (len(genes), len(genes)):
        raise ValueError(f"{path}: expected a prior of {len(genes)} x {len(genes)} genes, got {table.shape}")
    return table.set_axis(genes).set_axis(genes, axis=1)
