"""Published trajectories with prior and true networks.

From github.com/QuackenbushLab (phoenix and DASH).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.gene_dynamics import gene_dynamics
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import trajectories


def read_trajectories(path: str | Path, names_path: str | Path) -> AnnData:
    """Read trajectories in the format of Hossain et al.

    The first line holds the numbers of genes and samples. For each sample, one line of values per
    gene and one line of times follow.
    """
    path = Path(path)
    lines = path.read_text(errors="replace").replace('"', "").splitlines()
    rows = [line.rstrip(", \t").split(",") for line in lines if line]
    values, times = [], []
    n_genes, n_samples = map(int, rows[0][:2])
    for sample in np.split(np.arange(1, len(rows)), n_samples):
        numbers = np.array([rows[i] for i in sample], dtype=np.float64)
        genes, [at] = np.split(numbers, [n_genes])
        values.append(genes.T)  # (n_times, n_genes)
        times.append(at)
    gene_names = pd.read_csv(names_path).iloc[:, 0].str.removesuffix("_input")
    data = trajectories(values, times, gene_names, name=path.stem, source=path.name)
    # in another layout, sums are rounded differently
    data.uns["sbnn"]["gene_major"] = True
    return data


def read_grn(
    equations_path,
    names_path,
    test_path,
    prior_path,
    *,
    n_samples=150,
    noise=0.025,
    wrong=None,
    random_state=0,
    **about,
):
    """Read a network with its published test samples, and simulate training samples.

    The published training samples are not available. The prior is the published one or, if `wrong`
    is given, the true network with this share of misplaced edges. A `noise` of 0.025 is the
    published level of 5 %.
    """
    test = read_trajectories(test_path, names_path)
    network = GeneNetwork.from_table(equations_path, test)
    if wrong is None:
        prior = _matrix(prior_path, network.gene_names)
    else:
        prior = network.misplaced_prior(wrong, random_state)
    train = network.simulate(n_samples, noise, random_state)
    return gene_dynamics(train, test, prior, network.graph, **about)


def read_breast(
    train_path,
    test_path,
    names_path,
    prior_path,
    truth_path,
    interactions_path,
    proteins_path,
    *,
    interactions=True,
    **about,
):
    """Read 500 genes along a pseudotime of breast cancer.

    178 times to train, and 8 from the middle to test. The prior is based on motifs, and the true
    network on ChIP of some transcription factors. `interactions` are strengths of interactions of
    proteins, in one triangle only, as published.
    """
    train, test, prior = _read_course(train_path, test_path, names_path, prior_path)
    genes = train.var_names
    edges = pd.read_csv(truth_path)
    covered = genes[genes.isin(edges["from"])]
    known = pd.crosstab(edges["from"], edges["to"]).clip(upper=1)
    truth = known.reindex(index=covered, columns=genes, fill_value=0)
    together = None
    if interactions:
        proteins = pd.read_csv(proteins_path).iloc[:, 0].to_numpy()
        pair = ["one", "other"]
        listed = pd.read_csv(interactions_path, header=None, names=[*pair, "strength"])
        listed[pair] = proteins[listed[pair] - 1]
        listed = listed[listed[pair].isin([*genes]).all(axis=1)]
        together = listed.pivot(index="one", columns="other", values="strength")
        together = together.reindex(index=genes, columns=genes).fillna(0)
    return gene_dynamics(train, test, prior, truth, together, **about)


def read_measured(train_path, test_path, names_path, prior_path, *, cells_per_bin=1, **about):
    """Read measured trajectories, of which the true network is not known.

    With `cells_per_bin` above 1, neighbouring cells are averaged, and genes divided by their
    largest training value. The prior is based on motifs.
    """
    train, test, prior = _read_course(train_path, test_path, names_path, prior_path)
    if cells_per_bin > 1:
        train = _averaged(train, cells_per_bin)
        test = _averaged(test, cells_per_bin)
        largest = train.X.max(axis=0)  # (n_genes,)
        largest[largest <= 0] = 1
        train.X /= largest
        test.X /= largest
    return gene_dynamics(train, test, prior, **about)


def _read_course(train_path, test_path, names_path, prior_path):
    train = read_trajectories(train_path, names_path)
    test = read_trajectories(test_path, names_path)
    return train, test, _matrix(prior_path, train.var_names)


def _averaged(data, cells_per_bin):
    """Average neighbouring cells of each sample in bins of equal size."""
    values, times = [], []
    for sample in data.obs["sample"].unique():
        rows = data.obs["sample"].to_numpy() == sample
        cells = data.X[rows]
        at = data.obs["time"].to_numpy()[rows]
        n_bins = max(2, len(cells) // cells_per_bin)
        values.append([cells_of_bin.mean(axis=0) for cells_of_bin in np.array_split(cells, n_bins)])
        times.append([times_of_bin.mean() for times_of_bin in np.array_split(at, n_bins)])
    return trajectories(values, times, data.var_names)


def _matrix(path, genes):
    return pd.read_csv(path, header=None).set_axis(genes).set_axis(genes, axis=1)
