"""Published trajectories with prior and true networks.

From github.com/QuackenbushLab (phoenix and DASH) and github.com/Murali-group/Beeline.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sbnn.data.gene_dynamics import gene_dynamics
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import read_pseudotime, trajectories
from sbnn.errors import check_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from sbnn.typehints import PathLike


GRN = (
    "Hossain et al., arXiv 2403.04805 (2024); "
    "rate equations corrected, samples to learn from simulated"
)
YEAST = (
    "Pramila et al., Genes & Development 20, 2266 (2006); "
    "files of Hossain et al., Genome Biology (2024)"
)
HEMATOPOIESIS = (
    "B cell lineage of human hematopoiesis along a pseudotime; "
    "files of Hossain et al., arXiv 2403.04805 (2024)"
)
BEELINE = "Pratapa et al., Nature Methods 17, 147 (2020): Boolean models simulated with BoolODE"
BREAST = (
    "Desmedt et al., Clinical Cancer Research 13, 3207 (2007); "
    "files of Hossain et al., Genome Biology (2024)"
)


_LAYOUT = (
    "expected the numbers of genes and samples in line 1, then for each sample a line per gene and "
    "a line of times"
)


def read_trajectories(
    path: PathLike,
    gene_names: Sequence[str] | PathLike | None = None,
    *,
    name: str | None = None,
    source: str | None = None,
) -> AnnData:
    """Read trajectories in the format of Hossain et al.

    The first line holds the numbers of genes and samples. For each sample, one line of values per
    gene and one line of times follow. `gene_names` are names in the order of the lines, or a table
    with the names in its first column; the suffix ``_input`` is removed.
    """
    path = Path(path)
    text = path.read_text(errors="replace").replace('"', "")
    lines = [line.rstrip(", \t") for line in text.splitlines()]
    rows = [line.split(",") for line in lines if line]
    values, times = [], []
    try:
        n_genes, n_samples = map(int, rows[0][:2])
        size = n_genes + 1
        if len(rows) != 1 + n_samples * size:
            raise ValueError(f"got {len(rows)} lines for {n_samples} samples of {n_genes} genes")
        for start in range(1, len(rows), size):
            numbers = np.array(rows[start : start + size], dtype=np.float64)
            values.append(numbers[:-1].T)  # (n_times, n_genes)
            times.append(numbers[-1])
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path}: {_LAYOUT}; {error}") from error
    if isinstance(gene_names, str | Path):
        gene_names = pd.read_csv(gene_names).iloc[:, 0]
    if gene_names is not None:
        gene_names = [str(gene).removesuffix("_input") for gene in gene_names]
    data = trajectories(
        values, times, gene_names, name=name or path.stem, source=source or path.name
    )
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
    name="grn_350",
    files=None,
):
    """Read a network with its published test samples, and simulate training samples.

    The published training samples are not available; starting values are distributed like those of
    the test samples. The prior is the published one or, if `wrong` is given, the true network with
    this share of misplaced edges. A `noise` of 0.025 is the published level of 5 %.
    """
    test = read_trajectories(test_path, names_path)
    network = GeneNetwork.from_tables(equations_path, names_path, test)
    if wrong is None:
        prior = _matrix(prior_path, network.gene_names)
    else:
        prior = network.misplaced_prior(wrong, random_state)
    train = network.simulate(n_samples, noise, random_state)
    return gene_dynamics(train, test, prior, network.graph, name=name, source=GRN, files=files)


def read_yeast(train_path, test_path, names_path, prior_path, *, files=None):
    """Read log ratios of 500 genes at 24 time points of the yeast cell cycle.

    One sample to train, and its dye swap to test. The prior is based on motifs, with entries of
    +-0.5; the true network is not known.
    """
    train, test, prior = _read_course(train_path, test_path, names_path, prior_path)
    return gene_dynamics(train, test, prior, name="yeast_pramila", source=YEAST, files=files)


def read_breast(train_path, test_path, names_path, prior_path, truth_path, *, files=None):
    """Read 500 genes along a pseudotime of breast cancer.

    178 times to train, and 8 from the middle to test. The prior is based on motifs, and the true
    network on ChIP of some transcription factors.
    """
    train, test, prior = _read_course(train_path, test_path, names_path, prior_path)
    genes = train.var_names
    edges = pd.read_csv(truth_path)
    covered = genes[genes.isin(edges["from"])]
    edges = edges[edges["from"].isin(covered) & edges["to"].isin(genes)]
    truth = _network(covered, genes, edges["from"], edges["to"], 1)
    return gene_dynamics(
        train, test, prior, truth, name="breast_desmedt", source=BREAST, files=files
    )


def read_hematopoiesis(
    train_path, test_path, names_path, prior_path, *, cells_per_bin=1, files=None
):
    """Read 529 genes along a pseudotime of the B cell lineage.

    Two samples to train, three to test. With `cells_per_bin` above 1, neighbouring cells are
    averaged, and genes divided by their largest training value. The prior is based on motifs; the
    true network is not known.
    """
    train, test, prior = _read_course(train_path, test_path, names_path, prior_path)
    if cells_per_bin > 1:
        train = _averaged(train, cells_per_bin)
        test = _averaged(test, cells_per_bin)
        largest = train.X.max(axis=0)  # (n_genes,)
        largest[largest <= 0] = 1
        train.X /= largest
        test.X /= largest
    return gene_dynamics(
        train, test, prior, name="hematopoiesis", source=HEMATOPOIESIS, files=files
    )


def _read_course(train_path, test_path, names_path, prior_path):
    train = read_trajectories(train_path, names_path)
    test = read_trajectories(test_path, names_path)
    return train, test, _matrix(prior_path, train.var_names)


def _averaged(data, cells_per_bin):
    values, times = [], []
    for _, rows in data.obs.groupby("sample", sort=False):
        n_bins = max(len(rows) // cells_per_bin, 2)
        cells = data[rows.index].to_df()
        part = read_pseudotime(cells, rows[["time"]], n_bins, scaled=False)
        values.append(part.X)
        times.append(part.obs["time"])
    return trajectories(values, times, data.var_names)


def read_beeline(*paths, model, repeat=0, dropout=False, n_bins=25, files=None):
    """Read one of five repeats of a BEELINE data set, with or without `dropout` of low values.

    Each has 2000 cells of a Boolean model, averaged along each pseudotime (see `read_pseudotime`).
    The next repeat is the test data. The prior has no edges.
    """
    check_number("repeat", repeat, int, 0, 4)
    train, truth = _beeline_repeat(paths, model, repeat, dropout, n_bins)
    test, _ = _beeline_repeat(paths, model, (repeat + 1) % 5, dropout, n_bins)
    name = f"beeline_{model.lower()}"
    return gene_dynamics(train, test, 0 * truth, truth, name=name, source=BEELINE, files=files)


def _beeline_repeat(paths, model, repeat, dropout, n_bins):
    folder = f"{model}_2000_{repeat}"
    if dropout:
        folder += "_50"
    files = {path.name: path for path in paths if path.parent.name == folder}
    cells = pd.read_csv(files["ExpressionData.csv"], index_col=0).T
    data = read_pseudotime(cells, pd.read_csv(files["PseudoTime.csv"], index_col=0), n_bins)
    edges = pd.read_csv(files["refNetwork.csv"])
    signs = np.where(edges["Type"] == "+", 1, -1)
    return data, _network(cells.columns, cells.columns, edges["Gene1"], edges["Gene2"], signs)


def _network(regulators, genes, sources, targets, signs):
    network = np.zeros((len(regulators), len(genes)), dtype=np.int8)
    network[regulators.get_indexer(sources), genes.get_indexer(targets)] = signs
    return pd.DataFrame(network, regulators, genes)


def _matrix(path, genes):
    return pd.read_csv(path, header=None).set_axis(genes).set_axis(genes, axis=1)
