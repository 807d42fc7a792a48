"""The experiments of the project: which models are run on a data set, and where their results go.

Every function loads what is saved and computes only what is missing, so the notebooks can be run top to bottom at any
time. Results go to ``<saved_models>/<data set>/<experiment>.pickle``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn import published
from sbnn.crossval import cross_validate, paper_folds
from sbnn.estimators import SparseBottleneckRegressor
from sbnn.fullfit import fit_full
from sbnn.linear import LeaveOneOutRidge, SparseReducedRankRegression
from sbnn.preprocessing import select_genes
from sbnn.registry import find_file
from sbnn.results import Record, load, save
from sbnn.scala import ephys_from_raw

SEED = 42
N_GENES = 25
WIDTHS = (1, 2, 4, 6, 8, 10, 64)  # of the bottleneck
LEAK = "scaled_over_all_cells"  # ending of the experiments that repeat the published scaling
FAST = {"hidden_layers": (32, 16), "epochs": (2, 3, 3, 4)}  # enough to see that everything runs
SELECTION_THRESHOLDS = {"scala_34c_counts": 30, "simulated": 0}  # counts up to this are near zero


@dataclass(frozen=True)
class CrossValidation:
    """An estimator, its grid, and the scaling it is cross-validated with.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
    param_grid : dict of lists
    scaling : str
        See `cross_validate`.
    """

    estimator: object
    param_grid: dict
    scaling: str


def results_folder(saved_models, dataset, fast=False):
    """Folder of the results of a data set; trial runs have one of their own, so that they replace nothing.

    Parameters
    ----------
    saved_models : str or path-like
    dataset : str
    fast : bool

    Returns
    -------
    pathlib.Path
    """
    return Path(saved_models) / (f"{dataset}-fast" if fast else dataset)


def load_records(folder):
    """All saved results of a folder.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    dict of str to Record
        By experiment, the name of the file without its ending.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    paths = sorted(Path(folder).glob("*.pickle"))
    if not paths:
        raise FileNotFoundError(f"no results in {folder}: run the notebooks 01 to 03, or `make reproduce`, first")
    return {path.stem: load(path) for path in paths}


def network(data, fast=False, **params):
    """The network for z-scored data, trained by the published protocol unless `params` name another.

    Parameters
    ----------
    data : PairedData
    fast : bool
        A small network trained for a few epochs.
    **params
        Parameters of `SparseBottleneckRegressor`.

    Returns
    -------
    SparseBottleneckRegressor
    """
    # The data arrive z-scored from the cross-validation, and a GPU would change the last bits.
    fixed = {"n_genes": min(N_GENES, data.n_genes), "standardize": False, "device": "cpu", "random_state": SEED}
    if params.get("protocol", "paper") == "paper":
        fixed |= {"protocol": "paper", "hidden_layers": (512, 128)} | (FAST if fast else {})
    elif fast:
        fixed["hidden_layers"] = FAST["hidden_layers"]
    return SparseBottleneckRegressor(**fixed | params)


def ranks(data):
    """Rank 2 and full rank, as the paper compares them.

    Parameters
    ----------
    data : PairedData

    Returns
    -------
    list of int
    """
    full = min(data.n_outputs, data.n_genes)
    return sorted({min(2, full), full})


def cross_validations(data, fast=False):
    """The cross-validations of a data set, by name: the paper's models, the default network, and ridge.

    The published numbers come from data z-scored over all cells, test cells included. Where there are such numbers the
    experiments that repeat this end in ``scaled_over_all_cells``; the others scale inside the training fold.

    Parameters
    ----------
    data : PairedData
    fast : bool

    Returns
    -------
    dict of str to CrossValidation
    """
    lassos = [0.01, 0.1] if fast else [1e-4, 1e-2, 1e-1, 1.0]
    # Falling, so that the CPU seconds of each include its own work only.
    alphas = [0.8, 0.4, 0.2] if fast else [round(0.1 * k, 1) for k in range(19, 0, -1)]
    model, default = network(data, fast), network(data, fast, protocol="distilled")
    strategies = {"n_components": [2, 64], "pretraining": [True, False]}
    others = {"n_components": [4] if fast else [d for d in WIDTHS if d not in (2, 64)]}
    usual = [{**strategies, "group_lasso": [0.1]}, {**others, "pretraining": [True], "group_lasso": [0.1]}]
    srrr = SparseReducedRankRegression(relaxed=True), {"rank": ranks(data), "alpha": alphas}
    specs = {
        "cv_network": CrossValidation(model, usual, "fold"),
        "cv_default": CrossValidation(default, {"n_components": [2, 4] if fast else list(WIDTHS)}, "fold"),
        "cv_srrr": CrossValidation(*srrr, "fold"),
        "cv_ridge": CrossValidation(LeaveOneOutRidge(), {}, "fold"),
    }
    if data.name not in published.R2:
        # The curves of the figures need every strength of the group lasso once.
        lasso_path = {"n_components": [2, 64], "pretraining": [True], "group_lasso": lassos}
        straight = {"n_components": [2, 64], "pretraining": [False], "group_lasso": [0.1]}
        specs["cv_network"] = CrossValidation(model, [lasso_path, straight, usual[1]], "fold")
        return specs
    return specs | {
        f"cv_network_{LEAK}": CrossValidation(model, {**strategies, "group_lasso": lassos}, "all"),
        f"cv_srrr_{LEAK}": CrossValidation(*srrr, "all"),
        f"cv_ridge_{LEAK}": CrossValidation(LeaveOneOutRidge(), {}, "all"),
    }


def run_cross_validations(data, folder, *, fast=False, fresh=False, n_jobs=1, verbose=True):
    """Run, or load, every cross-validation on the folds of the paper.

    Parameters
    ----------
    data : PairedData
    folder : str or path-like
        Where the results are and go, see `results_folder`.
    fast : bool
        Small networks, few grid points, two folds.
    fresh : bool
        Compute anew what is saved.
    n_jobs : int
    verbose : bool

    Returns
    -------
    dict of str to Record
    """
    folds = paper_folds(data.n_cells)[: 2 if fast else None]
    return {
        name: cross_validate(
            spec.estimator,
            data,
            folds,
            spec.param_grid,
            scaling=spec.scaling,
            n_jobs=n_jobs,
            results=Path(folder) / f"{name}.pickle",
            overwrite=fresh,
            seed=SEED,
            verbose=verbose,
        )
        for name, spec in cross_validations(data, fast).items()
    }


def nearest_point(record, n_genes=N_GENES, **params):
    """Grid point whose mean number of selected genes over the folds is nearest to `n_genes`.

    Parameters
    ----------
    record : Record
        A cross-validation of a model that selects genes.
    n_genes : int
    **params
        Only grid points with these parameters, for example ``rank=2``.

    Returns
    -------
    int
        Position in ``record.params``.
    """
    points = [g for g, point in enumerate(record.params) if all(point[k] == v for k, v in params.items())]
    if not points:
        raise KeyError(f"no grid point matches {params}; they are {record.params}")
    counts = record.n_selected.mean(0)[points]
    return points[int(np.argmin(np.abs(counts - n_genes)))]


def run_full_fits(data, folder, *, fast=False, fresh=False):
    """Fit, or load, the models of all cells that the maps show.

    The penalty of the sparse reduced-rank regressions is the one that kept about as many genes as the network in
    the cross-validation, which must be there (`run_cross_validations`).

    Parameters
    ----------
    data : PairedData
    folder : str or path-like
    fast, fresh : bool

    Returns
    -------
    dict of str to Record
    """
    folder = Path(folder)
    selection = load(folder / "cv_srrr.pickle")
    models = {f"fit_network_{d}d": network(data, fast, n_components=d, reconstruct=True) for d in (2, 64)}
    for rank in ranks(data):
        point = selection.params[nearest_point(selection, rank=rank)]
        models[f"fit_srrr_rank{rank}"] = SparseReducedRankRegression(**point)
    return {
        name: fit_full(model, data, results=folder / f"{name}.pickle", overwrite=fresh, seed=SEED)
        for name, model in models.items()
    }


def compare_with_raw_ephys(data):
    """Derive the outputs of mouse M1 from the raw table of electrophysiology and compare them with the released ones.

    Parameters
    ----------
    data : PairedData
        The data set ``"scala"``.

    Returns
    -------
    Series or None
        Cells that were dropped, by reason, those that are left, and the largest difference to ``data.Y`` in SD. None
        where the raw table is not on this machine: it cannot be downloaded.
    """
    try:
        table, metadata = (find_file(name) for name in ("Cell_Features_M1.csv", "mini-atlas-meta-data.csv"))
    except FileNotFoundError as error:
        print(f"nothing to compare with: {error}")
        return None
    selection = ephys_from_raw(pd.read_csv(table), pd.read_csv(metadata, sep="\t"))
    difference = (np.abs(selection.features.loc[data.cell_names].to_numpy() - data.Y) / data.Y.std(0)).max()
    outcome = pd.Series({"cells left": len(selection.features), "largest difference, in SD": difference})
    return pd.concat([selection.dropped.value_counts(), outcome]).map("{:.6g}".format)


def run_gene_selection(data, path, *, n_genes=1000, fresh=False):
    """Select genes on raw counts, or load the selection, with the curve that its figure shows.

    Parameters
    ----------
    data : PairedData
        With raw counts of all genes.
    path : str or path-like
    n_genes : int
        Genes to keep; half of them all where there are not twice as many.
    fresh : bool

    Returns
    -------
    Record
        ``experiment="gene-selection"``; `values` are the fields of `GeneSelection` and ``gene_names``.
    """
    n_genes = min(n_genes, data.n_genes // 2)
    params = {"n_genes": n_genes, "threshold": SELECTION_THRESHOLDS.get(data.name, 0)}
    if Path(path).exists() and not fresh:
        record = load(path)
        if (record.experiment, record.sha256, record.params) == ("gene-selection", data.sha256, [params]):
            return record
    selection = select_genes(data.counts, **params)
    record = Record(
        "gene-selection", data.name, data.sha256, [params], values={**vars(selection), "gene_names": data.gene_names}
    )
    save(record, path)
    return record
