"""Published trajectories with prior and truth: simulated networks, yeast cell cycle, breast cancer.

Files of Hossain et al., Genome Biology (2024) and arXiv 2403.04805 (github.com/QuackenbushLab/phoenix and DASH).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.gene_dynamics import gene_dynamics
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import trajectories

GRN = "Hossain et al., arXiv 2403.04805 (2024); rate equations corrected, samples to learn from simulated"
YEAST = "Pramila et al., Genes & Development 20, 2266 (2006); files of Hossain et al., Genome Biology (2024)"
BREAST = "Desmedt et al., Clinical Cancer Research 13, 3207 (2007); files of Hossain et al., Genome Biology (2024)"


def read_trajectories(path, gene_names=None, *, name=None, source=None):
    """Read a file of trajectories as Hossain et al. publish them.

    The first line holds the numbers of genes and samples. For each sample there follow a line of values for each gene
    and a line with the times; samples may have different numbers of times.

    Parameters
    ----------
    path : path-like
    gene_names : sequence of str or path-like, optional
        In the order of the lines, or a table with them in the first column; by default ``gene_0`` ... The suffix
        ``_input`` is left out.
    name, source : str, optional
        By default the name of the file.

    Returns
    -------
    AnnData
        As of `sbnn.dynamics.trajectories`.

    Raises
    ------
    ValueError
        A file of another layout, or content that `sbnn.dynamics.trajectories` refuses.
    """
    path = Path(path)
    lines = [line for line in path.read_text().splitlines() if line.strip(", \t")]
    try:
        n_genes, n_samples = (int(part) for part in lines[0].replace('"', "").split(",")[:2])
        expected = range(n_samples * (n_genes + 1))
        rows = [[float(part) for part in line.split(",")] for _, line in zip(expected, lines[1:], strict=True)]
        blocks = [np.array(rows[i : i + n_genes + 1]) for i in range(0, len(rows), n_genes + 1)]
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"{path}: expected the numbers of genes and samples in the first line, and for each sample a line of "
            f"values per gene and a line of times, all of one length; {error}"
        ) from None
    genes = pd.read_csv(gene_names).iloc[:, 0] if isinstance(gene_names, str | Path) else gene_names
    genes = None if genes is None else [str(gene).removesuffix("_input") for gene in genes]
    values, times = [block[:-1].T for block in blocks], [block[-1] for block in blocks]
    data = trajectories(values, times, genes, name=name or path.stem, source=source or path.name)
    data.uns["sbnn"]["gene_major"] = True  # as in the file: sums over another layout would round differently
    return data


def read_grn(
    equations_path, names_path, test_path, prior_path, *,
    n_samples=150, noise=0.025, wrong=None, random_state=0, name="grn_350", files=None,
):  # fmt: skip
    """Read a simulated network with its published test samples, and simulate samples to train on.

    The published ones are not available. Ours start like the test samples, whose later values are not used. The prior
    is the published one, or has the share `wrong` of the edges in places of our own. Noise 0.025 is the published 5 %.
    """
    network = GeneNetwork.from_tables(equations_path, names_path, name=name)
    test = read_trajectories(test_path, names_path, name=f"{name}_test", source=GRN)
    network = network.starting_like(test)
    prior = _matrix(prior_path, network.gene_names) if wrong is None else network.misplaced_prior(wrong, random_state)
    train = network.simulate(n_samples, noise, random_state)
    return gene_dynamics(train, test, prior, network.graph, name=name, source=GRN, files=files)


def read_yeast(train_path, test_path, names_path, prior_path, *, files=None):
    """Read the yeast cell cycle, log ratios of 500 genes at 24 times: one replicate to train on, the dye swap to test.

    The prior holds motifs, of +-0.5; there is no truth.
    """
    train, test = (read_trajectories(path, names_path) for path in (train_path, test_path))
    prior = _matrix(prior_path, train.var_names)
    return gene_dynamics(train, test, prior, name="yeast_pramila", source=YEAST, files=files)


def read_breast(train_path, test_path, names_path, prior_path, truth_path, *, files=None):
    """Read breast cancer along a pseudotime, 500 genes: 178 times to train on, 8 times of its middle to test.

    The prior holds motifs. The truth holds edges by chromatin immunoprecipitation, of the transcription factors that
    these experiments covered.
    """
    train, test = (read_trajectories(path, names_path) for path in (train_path, test_path))
    genes, edges = train.var_names, pd.read_csv(truth_path)
    seen = genes[genes.isin(edges["from"])]
    truth = pd.DataFrame(0, seen, genes, dtype=np.int8)
    for regulator, target in edges.loc[edges["from"].isin(seen) & edges["to"].isin(genes), ["from", "to"]].to_numpy():
        truth.loc[regulator, target] = 1
    prior = _matrix(prior_path, genes)
    return gene_dynamics(train, test, prior, truth, name="breast_desmedt", source=BREAST, files=files)


def _matrix(path, genes):
    return pd.read_csv(path, header=None).set_axis(genes).set_axis(genes, axis=1)
