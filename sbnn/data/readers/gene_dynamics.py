"""Published trajectories with prior and true networks: simulated data, yeast, breast cancer,
hematopoiesis, BEELINE.

The files are from Hossain et al., Genome Biology (2024) and arXiv 2403.04805
(github.com/QuackenbushLab, repositories phoenix and DASH), and from Pratapa et al., Nature Methods
(2020; github.com/Murali-group/Beeline).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.gene_dynamics import gene_dynamics
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import read_pseudotime, trajectories
from sbnn.errors import check_number, naming
from sbnn.results import results_path

GRN = "Hossain et al., arXiv 2403.04805 (2024); rate equations corrected, samples to learn from simulated"
YEAST = "Pramila et al., Genes & Development 20, 2266 (2006); files of Hossain et al., Genome Biology (2024)"
HEMATOPOIESIS = "B cell lineage of human hematopoiesis along a pseudotime; files of Hossain et al., arXiv 2403.04805 (2024)"
BEELINE = "Pratapa et al., Nature Methods 17, 147 (2020): Boolean models simulated with BoolODE"
BREAST = "Desmedt et al., Clinical Cancer Research 13, 3207 (2007); files of Hossain et al., Genome Biology (2024)"


def read_trajectories(path, gene_names=None, *, name=None, source=None):
    """Read a file of trajectories in the format of Hossain et al.

    The first line holds the numbers of genes and samples. For each sample, one line of values per
    gene and one line of times follow. Samples may have different numbers of time points; the lines
    of shorter samples may be padded with blanks.

    Parameters
    ----------
    path : path-like
    gene_names : sequence of str or path-like, optional
        Names in the order of the lines, or the path of a table with the names in its first column;
        by default ``gene_0`` ... The suffix ``_input`` is removed.
    name, source : str, optional
        By default the name of the file.

    Returns
    -------
    AnnData
        As returned by `sbnn.dynamics.trajectories`.

    Raises
    ------
    ValueError
        If the file has another format, or `sbnn.dynamics.trajectories` rejects its content.
    """
    path = results_path(path)
    wanted = "expected the numbers of genes and samples in line 1, then for each sample a line per gene and a line of times"
    with naming(f"{path}, line 1: {wanted}"):
        lines = [
            (i, line)
            for i, line in enumerate(path.read_text().splitlines(), 1)
            if line.strip(", \t")
        ]
        n_genes, n_samples = (int(part) for part in lines[0][1].replace('"', "").split(",")[:2])
    if len(lines) - 1 != n_samples * (n_genes + 1):
        raise ValueError(
            f"{path}: {wanted}; got {len(lines)} lines for {n_samples} samples of {n_genes} genes"
        )
    values, times = [], []
    for sample in range(n_samples):
        *of_genes, of_times = lines[1 + sample * (n_genes + 1) : 1 + (sample + 1) * (n_genes + 1)]
        length = len(of_times[1].rstrip(", \t").split(","))
        numbers = [
            _numbers(path, sample, gene, *line, length)
            for gene, line in enumerate([*of_genes, of_times])
        ]
        values.append(np.array(numbers[:-1]).T)
        times.append(np.array(numbers[-1]))
    with naming("gene_names: expected names, or a CSV table with names in its first column"):
        genes = (
            pd.read_csv(gene_names).iloc[:, 0] if isinstance(gene_names, str | Path) else gene_names
        )
        genes = None if genes is None else [str(gene).removesuffix("_input") for gene in genes]
    data = trajectories(values, times, genes, name=name or path.stem, source=source or path.name)
    # the layout of the file; in another layout, sums are rounded differently
    data.uns["sbnn"]["gene_major"] = True
    return data


def _numbers(path, sample, gene, place, line, length):
    """Numbers on one line of a sample, without the blanks that pad shorter samples to the length of the longest one."""
    parts = line.rstrip(", \t").split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != length:
        text = f"expected {length} numbers, as many as times, followed only by blanks; got {len(parts)} entries"
        raise ValueError(
            f"{path}, line {place} (sample {sample + 1}, its line {gene + 1}): {text}: {line[:40]}"
        )
    return numbers


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
    """Read a simulated network with its published test samples, and simulate training samples.

    The published training samples are not available. The starting values of the simulated samples
    are drawn from a distribution estimated from the test samples, whose later values are not used.
    The prior network is the published prior or, if `wrong` is given, the true network with this
    share of its edges misplaced. A `noise` of 0.025 corresponds to the published level of 5 %.
    """
    network = GeneNetwork.from_tables(equations_path, names_path, name=name)
    test = read_trajectories(test_path, names_path, name=f"{name}_test", source=GRN)
    network = network.starting_like(test)
    prior = (
        _matrix(prior_path, network.gene_names)
        if wrong is None
        else network.misplaced_prior(wrong, random_state)
    )
    train = network.simulate(n_samples, noise, random_state)
    return gene_dynamics(train, test, prior, network.graph, name=name, source=GRN, files=files)


def read_yeast(train_path, test_path, names_path, prior_path, *, files=None):
    """Read log ratios of 500 genes at 24 time points of the yeast cell cycle: one training sample
    and its dye swap.

    The dye swap is the test sample. The prior network is based on motifs and has entries of +-0.5;
    the true network is not known.
    """
    train, test = (read_trajectories(path, names_path) for path in (train_path, test_path))
    prior = _matrix(prior_path, train.var_names)
    return gene_dynamics(train, test, prior, name="yeast_pramila", source=YEAST, files=files)


def read_breast(train_path, test_path, names_path, prior_path, truth_path, *, files=None):
    """Read 500 genes along a pseudotime of breast cancer: 178 time points to train, 8 from the
    middle to test.

    The prior network is based on motifs. The true network is based on chromatin
    immunoprecipitation, and is known only for the transcription factors that these experiments
    covered.
    """
    train, test = (read_trajectories(path, names_path) for path in (train_path, test_path))
    genes, edges = train.var_names, pd.read_csv(truth_path)
    seen = genes[genes.isin(edges["from"])]
    truth = pd.DataFrame(0, seen, genes, dtype=np.int8)
    for regulator, target in edges.loc[
        edges["from"].isin(seen) & edges["to"].isin(genes), ["from", "to"]
    ].to_numpy():
        truth.loc[regulator, target] = 1
    prior = _matrix(prior_path, genes)
    return gene_dynamics(
        train, test, prior, truth, name="breast_desmedt", source=BREAST, files=files
    )


def read_hematopoiesis(
    train_path, test_path, names_path, prior_path, *, cells_per_bin=1, files=None
):
    """Read 529 genes along a pseudotime of the B cell lineage, with two training samples and three
    test samples.

    Most values are zero, and neighbouring cells vary independently. If `cells_per_bin` is above 1,
    the data are smoothed by averaging this many neighbouring cells, and genes are divided by their
    largest training value. The prior network is based on motifs; the true network is not known.
    """
    train, test = (read_trajectories(path, names_path) for path in (train_path, test_path))
    if cells_per_bin > 1:
        train, test = (_averaged(data, cells_per_bin) for data in (train, test))
        largest = train.X.max(axis=0)
        for data in (train, test):
            data.X /= np.where(largest > 0, largest, 1)
    prior = _matrix(prior_path, train.var_names)
    return gene_dynamics(
        train, test, prior, name="hematopoiesis", source=HEMATOPOIESIS, files=files
    )


def _averaged(data, cells_per_bin):
    """Average each sample over bins of neighbouring cells."""
    parts = []
    for sample, rows in data.obs.groupby("sample", sort=False):
        n_bins = max(len(rows) // cells_per_bin, 2)
        part = read_pseudotime(data[rows.index].to_df(), rows["time"], n_bins, scaled=False)
        parts.append(part.to_df().assign(sample=sample, time=part.obs["time"].to_numpy()))
    return trajectories(
        pd.concat(parts), name=data.uns["sbnn"]["name"], source=data.uns["sbnn"]["source"]
    )


def read_beeline(*paths, model, repeat=0, dropout=False, n_bins=25, files=None):
    """Read one of five repeats of a BEELINE data set, with or without `dropout` of half of the low
    values.

    Each repeat has 2000 cells simulated with a curated Boolean model. The cells are averaged in
    bins along the pseudotime of each trajectory (see `read_pseudotime`). The next repeat is used as
    test data. The true network is the network of the model; the prior network has no edges.
    """
    check_number("repeat", repeat, int, 0, 4)
    parts, truth = [], None
    for number in (repeat, (repeat + 1) % 5):
        folder = f"{model}_2000_{number}{'_50' * dropout}"
        chosen = {path.name: path for path in map(Path, paths) if path.parent.name == folder}
        cells = pd.read_csv(chosen["ExpressionData.csv"], index_col=0).T
        parts.append(
            read_pseudotime(cells, chosen["PseudoTime.csv"], n_bins, name=folder, source=BEELINE)
        )
        if truth is None:
            truth = pd.DataFrame(0, cells.columns, cells.columns)
            for regulator, target, sign in pd.read_csv(chosen["refNetwork.csv"])[
                ["Gene1", "Gene2", "Type"]
            ].to_numpy():
                truth.loc[regulator, target] = 1 if sign == "+" else -1
    return gene_dynamics(
        *parts, 0 * truth, truth, name=f"beeline_{model.lower()}", source=BEELINE, files=files
    )


def _matrix(path, genes):
    return pd.read_csv(path, header=None).set_axis(genes).set_axis(genes, axis=1)
