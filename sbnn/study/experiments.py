"""The experiments of the project: which models are run on a data set, and where their results go.

Every function loads what is saved and computes only what is missing, so the notebooks can be run top to bottom at any
time. Results go to ``<saved_models>/<data set>/<experiment>.pickle``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.datasets import load_dataset
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.preprocessing import select_genes
from sbnn.data.preselection import with_preselected
from sbnn.data.readers.scala import ephys_from_raw
from sbnn.data.registry import find_file
from sbnn.data.simulate import simulate_patchseq
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.folds import paper_folds, split_and_scale
from sbnn.evaluation.full_fits import fit_full
from sbnn.evaluation.identity import described, version_of
from sbnn.evaluation.interpretation import interpret
from sbnn.evaluation.repeats import genes_curve, repeat_fits, stability_selection
from sbnn.evaluation.runs import drop_details, load_or_compute
from sbnn.evaluation.stability import selection_table
from sbnn.models.bottleneck.estimator import SparseBottleneckRegressor
from sbnn.models.bottleneck.number_of_genes import NUMBERS
from sbnn.models.bottleneck.protocols.settings import DistilledSettings
from sbnn.models.linear import LeaveOneOutRidge, SparseReducedRankRegression
from sbnn.results import Record, load, results_folder  # noqa: F401 -- known from here
from sbnn.study import published
from sbnn.study.tsne_maps import tsne_maps

SEED = 42
N_GENES = 25
NOISES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # SD of simulated noise in SD of the noise-free output
LASSO = 0.1  # the strength of the group lasso that the paper settled on
WIDTHS = (1, 2, 4, 6, 8, 10, 64)  # of the bottleneck
ALPHAS = [float(f"{2 * 0.9**k:.3g}") for k in range(36)]  # of sRRR, dense enough to meet any number of genes
MAPS = (2, 64)  # widths of the networks that are fitted to all cells and shown as maps
LEAK = "scaled_over_all_cells"  # ending of the experiments that repeat the published scaling
THREE_FOLDS = f"cv_network_three_folds_{LEAK}"  # where published numbers are those of folds of a third of the cells
FAST = {"hidden_layers": (32, 16), "epochs": (2, 3, 3, 4)}  # enough to see that everything runs
FAST_DISTILLATION = DistilledSettings(steps_of_teachers=50, steps_of_student=100)
# Experiments on other genes or noise than those of the data set; the name of the data set is theirs too.
OWN_DATA = ("gene-selection", "noise")
COUNTS_OF = {
    "scala": "scala_34c_counts"
}  # data set -> that with the counts its genes are selected on, see `all_counts`
CITESEQ = ("stoeckius", "citeseq_cd8", "pbmc_5k_protein", "pbmc_10k_protein")
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
    n_folds : int
        Of `paper_folds`.
    """

    estimator: object
    param_grid: dict
    scaling: str
    n_folds: int = 10


def load_records(folder, names=None):
    """Saved results of a folder, all of one data set.

    Parameters
    ----------
    folder : str or path-like
    names : iterable of str, optional
        Experiments, the names of the files without their ending; by default all that are there.

    Returns
    -------
    dict of str to Record
        By experiment.

    Raises
    ------
    FileNotFoundError
        If there is none, or one of `names` is missing.
    ValueError
        If they are of different data.
    """
    folder = Path(folder)
    names = sorted(path.stem for path in folder.glob("*.pickle")) if names is None else list(names)
    if not names:
        trial = "; those of a trial are there: --fast" if Path(f"{folder}-fast").is_dir() else ""
        raise FileNotFoundError(f"no results in {folder}: `sbnn cv` and `sbnn fit` make them first{trial}")
    records = {name: load(folder / f"{name}.pickle") for name in names}
    _require_one_data_set(folder, records)
    return records


def _require_one_data_set(folder, records):
    """Refuse records of different data: a table or a figure would set their numbers side by side."""
    first = min(records, key=lambda name: records[name].experiment in OWN_DATA)  # one with the data set itself
    for name, record in records.items():
        if not _of_the_same_data(record, records[first]):
            one, other = (f"{n}.pickle of {records[n].dataset!r} ({records[n].sha256[:12]})" for n in (first, name))
            raise ValueError(f"the results in {folder} are of different data: {one} and {other}; move one of them away")


def _of_the_same_data(one, other):
    experiments = {one.experiment, other.experiment}
    if "gene-selection" in experiments:
        return COUNTS_OF.get(one.dataset, one.dataset) == COUNTS_OF.get(other.dataset, other.dataset)
    return one.dataset == other.dataset and (one.sha256 == other.sha256 or not experiments.isdisjoint(OWN_DATA))


def load_for(data, path):
    """A record that further work starts from; an error if it is of other data."""
    record = load(path)
    if (record.dataset, record.sha256) != (data.name, data.sha256):
        raise ValueError(f"{path} is of other data than the {data.name!r} that is given; compute it anew first")
    return record


def network(data, fast=False, n_genes=None, **params):
    """The network for z-scored data, trained by the published protocol unless `params` name another.

    Parameters
    ----------
    data : PairedData
    fast : bool
        A small network trained for a few epochs.
    n_genes : int, optional
        That it keeps, `N_GENES` by default; all where there are fewer.
    **params
        Parameters of `SparseBottleneckRegressor`.

    Returns
    -------
    SparseBottleneckRegressor
    """
    # The data arrive z-scored from the cross-validation, and a GPU would change the last bits.
    fixed = {
        "n_genes": min(n_genes or N_GENES, data.n_genes),
        "standardize": False,
        "device": "cpu",
        "random_state": SEED,
    }
    if params.get("protocol", "paper") == "paper":
        fixed |= {"protocol": "paper", "hidden_layers": (512, 128)} | (FAST if fast else {})
    elif fast:
        fixed |= {"hidden_layers": FAST["hidden_layers"], "distillation": FAST_DISTILLATION}
    return SparseBottleneckRegressor(**fixed | params)


def ranks(data):
    """The ranks that were published, for other data sets 2 and full rank.

    Parameters
    ----------
    data : PairedData

    Returns
    -------
    list of int
    """
    full = min(data.n_outputs, data.n_genes)
    return sorted({min(rank, full) for rank in published.srrr_genes(data.name) or (2, full)})


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
    alphas = [0.8, 0.4, 0.2] if fast else published.ALPHAS.get(data.name, ALPHAS)
    model, default = network(data, fast), network(data, fast, protocol="distilled")
    strategies = {"n_components": [2, 64], "pretraining": [True, False]}
    # Nothing is squeezed by a bottleneck wider than the outputs; 64 is the paper's network without one.
    widths = [2, 4] if fast else [d for d in WIDTHS if d <= max(2, data.n_outputs) or d == 64]
    others = {"n_components": [d for d in widths if d not in MAPS]}
    usual = [{**strategies, "group_lasso": [LASSO]}, {**others, "pretraining": [True], "group_lasso": [LASSO]}]
    srrr = SparseReducedRankRegression(relaxed=True), {"rank": ranks(data), "alpha": alphas}
    specs = {
        "cv_network": CrossValidation(model, usual, "fold"),
        "cv_default": CrossValidation(default, {"n_components": widths}, "fold"),
        "cv_srrr": CrossValidation(*srrr, "fold"),
        "cv_ridge": CrossValidation(LeaveOneOutRidge(), {}, "fold"),
    }
    if not published.rows(data.name, data.n_genes):
        # The curves of the figures need every strength of the group lasso once.
        lasso_path = {"n_components": [2, 64], "pretraining": [True], "group_lasso": [a for a in lassos if a != LASSO]}
        specs["cv_network"] = CrossValidation(model, [*usual, lasso_path], "fold")
        return specs
    specs |= {
        f"cv_network_{LEAK}": CrossValidation(model, {**strategies, "group_lasso": lassos}, "all"),
        f"cv_srrr_{LEAK}": CrossValidation(*srrr, "all"),
        f"cv_ridge_{LEAK}": CrossValidation(LeaveOneOutRidge(), {}, "all"),
    }
    thirds = {row["n_components"] for row in published.rows(data.name, data.n_genes, folds=3)}
    if thirds:
        grid = {"n_components": sorted(thirds), "pretraining": [True], "group_lasso": lassos}
        specs[THREE_FOLDS] = CrossValidation(model, grid, "all", n_folds=3)
    return specs


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
    records = {}
    for name, spec in cross_validations(data, fast).items():
        path = Path(folder) / f"{name}.pickle"
        folds = paper_folds(data.n_cells, spec.n_folds)[: 2 if fast else None]
        records[name] = cross_validate(
            spec.estimator,
            data,
            folds,
            spec.param_grid,
            scaling=spec.scaling,
            n_jobs=n_jobs,
            results=path,
            overwrite=fresh,
            seed=SEED,
            verbose=verbose,
        )
        if name.startswith("cv_srrr"):  # many penalties, of which only the accuracy is looked at
            drop_details(records[name], path)
        elif name.startswith("cv_network"):  # many points of which curves are drawn, never cells
            drop_details(records[name], path, ("test_predictions", "test_latent"))
        elif name == "cv_default":  # cells are looked at with the widths of the maps
            others = [g for g, point in enumerate(records[name].params) if point["n_components"] not in MAPS]
            drop_details(records[name], path, ("test_predictions", "test_latent"), others)
    return records


def run_full_fits(data, folder, *, fast=False, fresh=False):
    """Fit, or load, the models of all cells that the maps show, and the maps of each measurement alone.

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
    selection = load_for(data, folder / "cv_srrr.pickle")
    models = {f"fit_network_{d}d": network(data, fast, n_components=d, reconstruct=True) for d in MAPS}
    for d in MAPS:
        models[f"fit_default_{d}d"] = network(data, fast, protocol="distilled", n_components=d, reconstruct=True)
    for rank in ranks(data):
        point = selection.params[selection.within_genes(N_GENES, rank=rank)]
        models[f"fit_srrr_rank{rank}"] = SparseReducedRankRegression(**point)
    records = {
        name: fit_full(model, data, results=folder / f"{name}.pickle", overwrite=fresh, seed=SEED)
        for name, model in models.items()
    }
    return records | {"tsne": tsne_maps(data, results=folder / "tsne.pickle", overwrite=fresh, seed=SEED)}


def run_stability(data, folder, *, fast=False, fresh=False, n_jobs=1, verbose=True):
    """Fit again and again, or load: the published network with other seeds, the default one to halves of the cells.

    The default network chooses the same genes with every seed, so that only other cells tell which of them to trust.

    Parameters
    ----------
    data : PairedData
    folder : str or path-like
    fast, fresh : bool
    n_jobs : int
    verbose : bool

    Returns
    -------
    dict of str to Record
        ``"repeats_network"`` and ``"halves_default"``.
    """
    how = {"n_jobs": n_jobs, "overwrite": fresh, "verbose": verbose}
    paths = {name: Path(folder) / f"{name}.pickle" for name in ("repeats_network", "halves_default")}
    default = network(data, fast, protocol="distilled")
    return {
        "repeats_network": repeat_fits(
            network(data, fast), data, 3 if fast else 10, results=paths["repeats_network"], **how
        ),
        "halves_default": stability_selection(
            default, data, 2 if fast else 25, results=paths["halves_default"], seed=SEED, **how
        ),
    }


def run_genes_curve(data, folder, folds=None, *, preselect=None, fast=False, fresh=False, n_jobs=1, verbose=True):
    """Test R2 of the default network with few to many genes, and with a number that it chooses itself; or load it.

    Parameters
    ----------
    data : PairedData
    folder : str or path-like
    folds : list of (train, test), optional
        Five by default.
    preselect : int, optional
        Genes that the network is given, see `cross_validate`.
    fast, fresh : bool
    n_jobs : int
    verbose : bool

    Returns
    -------
    Record
        From `sbnn.genes_curve`.
    """
    model = network(data, fast, protocol="distilled", n_components=2)
    path, numbers = Path(folder) / "genes_curve.pickle", (2, 5) if fast else NUMBERS
    how = {"nested": not fast, "n_jobs": n_jobs, "overwrite": fresh, "verbose": verbose, "preselect": preselect}
    return genes_curve(data, model, numbers, folds or (2 if fast else 5), results=path, seed=SEED, **how)


def run_interpretation(data, folder, *, preselect=None, n_genes=None, fast=False, fresh=False):
    """What every kept gene of the default network does, on a quarter of the cells that it has not seen; or load it.

    Parameters
    ----------
    data : PairedData
    folder : str or path-like
        With the results of `run_stability`.
    preselect, n_genes : int, optional
        Genes that the network is given, chosen on its training cells by `sbnn.preselect_genes`, and that it keeps.
    fast, fresh : bool

    Returns
    -------
    Record
        From `sbnn.interpret`, scaled by the training cells; the column ``stability`` of its table is the frequency over
        halves of the cells.
    """
    stability = selection_table(load_for(data, Path(folder) / "halves_default.pickle"))
    fold = paper_folds(data.n_cells, 4)[0]
    chosen, said = with_preselected(data, preselect, fold[0])
    model = network(chosen, fast, n_genes, protocol="distilled")
    wanted = Record("interpretation", data.name, data.sha256, [{}], SEED)
    wanted.settings = {
        "scaling": "fold",
        "held out": "a quarter",
        "stability": fingerprint_arrays(stability.index.to_numpy(str), stability["frequency"].to_numpy()),
    }
    wanted.settings |= said

    def compute():
        X_train, Y_train, X_test, Y_test = split_and_scale(chosen, fold)
        names = {"gene_names": chosen.gene_names, "feature_names": data.feature_names, "name": data.name}
        model.fit(X_train, Y_train)
        return interpret(model, X_test, Y_test, stability=stability, random_state=SEED, **names).values

    path = Path(folder) / "interpretation.pickle"
    return load_or_compute(wanted, compute, path, fresh, estimator=model, n_cells=len(fold[0]))


def run_noise(path, *, fast=False, fresh=False):
    """How well known genes are found as the noise of simulated outputs grows; or load it.

    Parameters
    ----------
    path : str or path-like
    fast, fresh : bool

    Returns
    -------
    Record
        ``experiment="noise"``; ``values["table"]`` has a row for every noise, seed and protocol: ``precision`` and
        ``recall`` of the kept genes, ``test_r2`` on a fifth of the cells, ``best_r2``, that of the noise-free outputs,
        and ``chance``, the precision of genes drawn at random.
    """
    noises, n_repeats = ((0.5, 2.0), 1) if fast else (NOISES, 3)
    params = [{"noise": noise, "seed": seed} for noise in noises for seed in range(n_repeats)]
    draws = [simulate_patchseq(noise=point["noise"], random_state=point["seed"]) for point in params]
    models = {name: network(draws[0], fast, protocol=name) for name in ("distilled", "paper")}
    wanted = Record("noise", "simulated", fingerprint_parameters({"draws": [data.sha256 for data in draws]}), params)
    known = (
        load(path).settings if Path(path).exists() and not fresh else {}
    )  # a setting that was added since has its default
    wanted.settings = {
        name: described(model, known.get(name)) | {"version": version_of(model, draws[0].n_cells * 4 // 5)}
        for name, model in models.items()
    }
    return load_or_compute(wanted, lambda: {"table": _known_genes(draws, params, models)}, path, fresh)


def _known_genes(draws, params, models):
    """A row for every draw and protocol: genes found, and R2 on the fifth of the cells that was held out."""
    rows = []
    for data, point in zip(draws, params, strict=True):
        true = np.isin(data.gene_names, data.truth["genes"])
        X_train, Y_train, X_test, Y_test = split_and_scale(data, paper_folds(data.n_cells, 5)[0])
        for name, model in models.items():
            fitted = clone(model).set_params(n_genes=int(true.sum())).fit(X_train, Y_train)
            hits = true[fitted.get_support()].sum()
            rows.append(
                point
                | {"model": name, "precision": hits / fitted.get_support().sum(), "recall": hits / true.sum()}
                | {"test_r2": fitted.score(X_test, Y_test), "best_r2": 1 / (1 + point["noise"] ** 2)}
                | {"chance": true.mean()}
            )
    return pd.DataFrame(rows)


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


def all_counts(data):
    """Counts of all genes to select some from, for a data set of selected ones.

    Parameters
    ----------
    data : PairedData

    Returns
    -------
    PairedData or None
        Mouse M1 is released with its selected genes only, the cells recorded at physiological temperature stand in;
        None where nothing was selected by expression.
    """
    if data.name in COUNTS_OF:
        return load_dataset(COUNTS_OF[data.name])
    if data.name in CITESEQ:
        return load_dataset(data.name, n_genes=None)
    return data if data.name == "simulated" else None


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
    wanted = Record("gene-selection", data.name, data.sha256, [params])
    return load_or_compute(
        wanted, lambda: {**vars(select_genes(data.counts, **params)), "gene_names": data.gene_names}, path, fresh
    )
