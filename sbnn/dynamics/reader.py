"""Published trajectories with prior and true networks.

From github.com/QuackenbushLab (phoenix and DASH).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.dynamics.data import trajectories
from sbnn.dynamics.gene_network import GeneNetwork
from sbnn.dynamics.simulate import gene_dynamics


def read_trajectories(path: str | Path, names_path: str | Path) -> AnnData:
    """Read trajectories in the format of Hossain et al.

    The first line holds the numbers of genes and samples. For each sample, one line of values per
    gene and one line of times follow.
    """
    path = Path(path)
    lines = path.read_text(errors="replace").replace('"', "").splitlines()
    rows = [line.rstrip(", \t").split(",") for line in lines if line]
    values = []
    times = []
    n_genes, n_samples = (int(text) for text in rows[0][:2])
    for lines_of_sample in np.split(np.arange(1, len(rows)), n_samples):
        numbers = np.array([rows[i] for i in lines_of_sample], dtype=np.float64)
        values.append(numbers[:n_genes].T)  # (n_times, n_genes)
        [sample_times] = numbers[n_genes:]
        times.append(sample_times)
    gene_names = pd.read_csv(names_path).iloc[:, 0].str.removesuffix("_input")
    data = trajectories(values, times, gene_names, name=path.stem, source=path.name)
    # in another layout, sums are rounded differently
    data.uns["sbnn"]["gene_major"] = True
    return data


def read_grn(
    equations_path: str | Path,
    names_path: str | Path,
    test_path: str | Path,
    prior_path: str | Path,
    *,
    n_samples: int = 150,
    noise: float = 0.025,
    wrong: float | None = None,
    random_state: int = 0,
    **about: Any,
) -> AnnData:
    """Read a network with its published test samples, and simulate training samples.

    The published training samples are not available. The prior is the published one or, if `wrong`
    is given, the true network with this fraction of misplaced edges. A `noise` of 0.025 is the
    published level of 5 %.
    """
    test = read_trajectories(test_path, names_path)
    network = GeneNetwork.from_table(equations_path, test)
    if wrong is None:
        prior = _read_prior(prior_path, network.gene_names)
    else:
        prior = network.misplaced_prior(wrong, random_state)
    train = network.simulate(n_samples, noise, random_state)
    return gene_dynamics(train, test, prior=prior, truth=network.graph, **about)


def read_breast(
    train_path: str | Path,
    test_path: str | Path,
    names_path: str | Path,
    prior_path: str | Path,
    truth_path: str | Path,
    interactions_path: str | Path,
    proteins_path: str | Path,
    *,
    interactions: bool = True,
    **about: Any,
) -> AnnData:
    """Read 500 genes along a pseudotime of breast cancer.

    178 times to train, and 8 from the middle to test. The prior is based on motifs, and the true
    network on ChIP of some transcription factors. `interactions` are strengths of interactions of
    proteins, in one triangle only, as published.
    """
    train = read_trajectories(train_path, names_path)
    test = read_trajectories(test_path, names_path)
    genes = train.var_names
    edges = pd.read_csv(truth_path)
    regulators = genes[genes.isin(edges["from"])]
    edge_counts = pd.crosstab(edges["from"], edges["to"])
    truth = edge_counts.clip(upper=1).reindex(index=regulators, columns=genes, fill_value=0)
    strengths = None
    if interactions:
        strengths = _read_interactions(interactions_path, proteins_path, genes)
    return gene_dynamics(
        train,
        test,
        prior=_read_prior(prior_path, genes),
        truth=truth,
        interactions=strengths,
        **about,
    )


def read_measured(
    train_path: str | Path,
    test_path: str | Path,
    names_path: str | Path,
    prior_path: str | Path,
    *,
    cells_per_bin: int = 1,
    **about: Any,
) -> AnnData:
    """Read measured trajectories, of which the true network is not known.

    With `cells_per_bin` above 1, neighbouring cells are averaged, and genes divided by their
    largest training value. The prior is based on motifs.
    """
    train = read_trajectories(train_path, names_path)
    test = read_trajectories(test_path, names_path)
    prior = _read_prior(prior_path, train.var_names)
    if cells_per_bin > 1:
        train = _average_cells(train, cells_per_bin)
        test = _average_cells(test, cells_per_bin)
        largest = train.X.max(axis=0)  # (n_genes,)
        largest[largest <= 0] = 1
        train.X /= largest
        test.X /= largest
    return gene_dynamics(train, test, prior=prior, **about)


def _average_cells(data, cells_per_bin):
    """Average neighbouring cells of each sample in bins of equal size."""
    values = []
    times = []
    labels = data.obs["sample"].to_numpy()
    all_times = data.obs["time"].to_numpy()
    for label in data.obs["sample"].unique():
        cells = data.X[labels == label]
        n_bins = max(2, len(cells) // cells_per_bin)
        bins = np.array_split(cells, n_bins)
        bins_of_times = np.array_split(all_times[labels == label], n_bins)
        values.append([cells_of_bin.mean(axis=0) for cells_of_bin in bins])
        times.append([times_of_bin.mean() for times_of_bin in bins_of_times])
    return trajectories(values, times, data.var_names)


def _read_prior(path, genes):
    return pd.read_csv(path, header=None).set_axis(genes).set_axis(genes, axis=1)


def _read_interactions(path, proteins_path, genes):
    """Strengths of the interactions of genes with genes, 0 if none is listed."""
    proteins = pd.read_csv(proteins_path).iloc[:, 0].to_numpy()
    pair = ["one", "other"]
    listed = pd.read_csv(path, header=None, names=[*pair, "strength"])
    listed[pair] = proteins[listed[pair] - 1]
    is_of_genes = listed[pair].isin(list(genes)).all(axis=1)
    strengths = listed[is_of_genes].pivot(index="one", columns="other", values="strength")
    return strengths.reindex(index=genes, columns=genes).fillna(0)
