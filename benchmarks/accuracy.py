"""Test R2 against the number of genes on the ten folds of the paper, mouse M1: sbnn beside its
peers.

    python benchmarks/accuracy.py [--models sbnn_d2,greedy_ridge] [--folds 10] [--report-only]

Measures what is missing, one thread per fit, and keeps it in saved_models/benchmarks; prints the
tables in Markdown and draws figures/benchmarks/accuracy. Data are z-scored over all cells, as for
the published numbers; nothing is chosen on test folds. The peers live in an environment of their
own (benchmarks/requirements.txt); a peer that is neither measured nor installed is reported as
such.
"""

import argparse
import importlib.util
import sys
import time
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator
from pages import to_markdown
from peers import (
    GreedyForward,
    GroupLasso,
    LassoNetPath,
    LeaveOneOutKernelRidge,
    SelectThenRegress,
    SparseReducedRankPath,
    StochasticGates,
)
from scipy.stats import t as student
from sklearn.ensemble import RandomForestRegressor

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
    cross_validate,
    load_dataset,
    paper_folds,
)
from sbnn.data.paired import as_paired
from sbnn.plotting import save_figure
from sbnn.plotting.colors import MODELS as KINDS
from sbnn.plotting.common import finish, legend_above, new_figure, styled
from sbnn.results import load, save

N_FOLDS = 10
GENES = (5, 10, 15, 25, 50, 100)
SEED = 42
REFERENCE = "sbnn_distilled_d2"  # what the others are compared with, at the same number of genes
ACROSS = 2  # panels of families of models
AT = 25  # genes at which the figure shows the differences
ROOT = Path(__file__).resolve().parents[1]
NOTES = """
Mean ± SD over folds of test R2; in brackets the mean number of genes where it is lower, since a path rarely stops at
just so many. CPU seconds are those of all the numbers of genes of the row. The folds are not equally hard: rows with
fewer of them compare by their differences on shared folds, below, not by their means. Brackets there are 95 %
confidence intervals, corrected for the training cells that folds share (Nadeau and Bengio 2003).
"""
RECORDS, FIGURES = ROOT / "saved_models" / "benchmarks", ROOT / "figures" / "benchmarks"
# most of a record, and not needed here
NOT_KEPT = ("test_predictions", "test_latent", "history", "gene_norms")


@dataclass(frozen=True)
class Model:
    """A row of the tables.

    Parameters
    ----------
    label : str
    estimator : scikit-learn-style regressor
        With the parameter ``n_genes``, but for models of all genes.
    color : str
        Of its line; models of one family share a colour and differ in `dashes`.
    dashes : str
    genes : tuple of int
        Numbers of genes; empty for a model of all genes.
    folds : int
        How many folds are measured by default.
    package : str or None
        What it needs beyond sbnn.
    """

    label: str
    estimator: object
    color: str = "0.5"
    dashes: str = "-"
    genes: tuple = GENES
    folds: int = N_FOLDS
    package: str | None = None


FIXED = {"standardize": False, "device": "cpu", "random_state": SEED}
# spelled out, so that a change of the default does not orphan the records
PAPER = FIXED | {"hidden_layers": (512, 128)}
RIDGE, KERNEL = LeaveOneOutRidge(), LeaveOneOutKernelRidge()
FOREST = RandomForestRegressor(
    200, min_samples_leaf=3, max_features=0.4, n_jobs=1, random_state=SEED
)

# A model is one line: the name of its record, then the row. All models of ours begin with "sbnn".
MODELS = {
    "sbnn_distilled_d2": Model(
        "sBNN distilled, d=2", DistilledBottleneckRegressor(2, **FIXED), KINDS["distilled"]
    ),
    "sbnn_distilled_d16": Model(
        "sBNN distilled, d=16", DistilledBottleneckRegressor(16, **FIXED), KINDS["distilled"], "--"
    ),
    "sbnn_d2": Model("sBNN paper, d=2", SparseBottleneckRegressor(2, **PAPER), KINDS["paper"]),
    "sbnn_d16": Model(
        "sBNN paper, d=16",
        SparseBottleneckRegressor(16, **PAPER),
        KINDS["paper"],
        "--",
        genes=(10, 25, 50),
    ),
    "srrr_2": Model("sRRR, rank 2", SparseReducedRankPath(2), KINDS["linear"]),
    "srrr_16": Model("sRRR, rank 16", SparseReducedRankPath(16), KINDS["linear"], "--"),
    "lasso_ridge": Model(
        "MultiTaskLasso + ridge", SelectThenRegress(GroupLasso(), RIDGE), KINDS["lasso"]
    ),
    "lasso_kernel": Model(
        "MultiTaskLasso + kernel ridge",
        SelectThenRegress(GroupLasso(), KERNEL),
        KINDS["lasso"],
        "--",
    ),
    "enet_ridge": Model(
        "MultiTaskElasticNet + ridge",
        SelectThenRegress(GroupLasso(0.5), RIDGE),
        KINDS["lasso"],
        ":",
    ),
    "skglm_ridge": Model(
        "skglm group lasso + ridge",
        SelectThenRegress(GroupLasso(solver="skglm"), RIDGE),
        KINDS["lasso"],
        "-.",
        package="skglm",
    ),
    "greedy_ridge": Model(
        "greedy + ridge", SelectThenRegress(GreedyForward(), RIDGE), KINDS["greedy"]
    ),
    "greedy_kernel": Model(
        "greedy + kernel ridge", SelectThenRegress(GreedyForward(), KERNEL), KINDS["greedy"], "--"
    ),
    "greedy_forest": Model(
        "greedy + forest", SelectThenRegress(GreedyForward(), FOREST), KINDS["greedy"], ":"
    ),
    "lassonet_kernel": Model(
        "LassoNet + kernel ridge",
        SelectThenRegress(LassoNetPath(), KERNEL),
        KINDS["gates"],
        package="lassonet",
    ),
    "stg_kernel": Model(
        "STG + kernel ridge",
        SelectThenRegress(StochasticGates(), KERNEL),
        KINDS["gates"],
        "--",
        package="stg",
    ),
    "ridge": Model("ridge, all genes", RIDGE, KINDS["all genes"], genes=()),
}


def measure(name, model, data, folder, n_folds=None):
    """Cross-validate a model on the first folds of the paper, or load what is there already.

    Parameters
    ----------
    name : str
        Of the record, ``accuracy_<name>.pickle``.
    model : Model
    data : Paired
    folder : str or path-like
    n_folds : int, optional
        Instead of the model's own number. Folds and numbers of genes that are in the record stay in
        any case.

    Returns
    -------
    Record
        As from `cross_validate`, without predictions, latent space and history.
    """
    path = Path(folder) / f"accuracy_{name}.pickle"
    genes, n_folds = list(model.genes), n_folds or model.folds
    if path.exists():
        stored = load(path)
        genes = list(dict.fromkeys([point["n_genes"] for point in stored.params if point] + genes))
        n_folds = max(n_folds, len(stored.folds))
    folds, grid = paper_folds(data.n_cells)[:n_folds], {"n_genes": genes} if genes else {}
    record = cross_validate(
        model.estimator, data, folds, grid, scaling="all", results=path, seed=SEED, verbose=False
    )
    if record.values.keys() & set(NOT_KEPT):
        record.values = {key: value for key, value in record.values.items() if key not in NOT_KEPT}
        save(record, path)
    return record


def at_genes(record, n_genes):
    """Test R2 of every fold at a number of genes, the mean number really used, or None where it was not measured."""
    if {"n_genes": n_genes} not in record.params:
        return None
    point = record.find(n_genes=n_genes)
    return record.test_r2[:, point], record.n_selected[:, point].mean()


def paired_difference(a, b, test_share, level=0.95):
    """Mean difference of two models over the folds they share, with a confidence interval.

    Folds share most of their training cells, so their differences are correlated and the usual
    interval is too narrow. The correction adds the ratio of test to training cells to one over the
    number of folds.

    Parameters
    ----------
    a, b : ndarray
        Scores on the same first folds; the longer one is cut.
    test_share : float
        Test cells of a fold per training cell.
    level : float

    Returns
    -------
    mean, half_width : float
        The half-width of the interval is infinite with a single fold.

    References
    ----------
    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    """
    shared = min(len(a), len(b))
    difference = np.asarray(a[:shared]) - np.asarray(b[:shared])
    if shared < 2:
        return float(difference.mean()), float("inf")
    error = np.sqrt((1 / shared + test_share) * difference.var(ddof=1))
    return float(difference.mean()), float(student.ppf((1 + level) / 2, shared - 1) * error)


def test_share(record):
    train, test = record.folds[0]
    return len(test) / len(train)


def accuracy_table(records, models=MODELS):
    """Mean and SD over folds of test R2, by model and number of genes, with folds and CPU seconds.

    Parameters
    ----------
    records : dict of str to Record
        By name; models without one are reported as not measured, or not installed.
    models : dict of str to Model

    Returns
    -------
    DataFrame of str
        Where a model used fewer genes, their mean number stands in brackets. The seconds of a fold
        are those of all its numbers of genes together.
    """
    sizes = sorted({n for model in models.values() for n in model.genes})
    rows = {}
    for name, model in models.items():
        row = dict.fromkeys([*(f"{n} genes" for n in sizes), "folds", "CPU s per fold"], "")
        if name not in records:
            row["folds"] = "not measured" if installed(model) else "not installed"
        else:
            record = records[name]
            for n in sizes:
                found = at_genes(record, n) if model.genes else None
                if found is not None:
                    few = "" if round(found[1], 1) == n else f" ({found[1]:.1f})"
                    row[f"{n} genes"] = mean_sd(found[0]) + few
            if not model.genes:
                row[f"{sizes[-1]} genes"] = (
                    f"{mean_sd(record.test_r2[:, 0])} (all {len(record.gene_names)})"
                )
            row["folds"], row["CPU s per fold"] = (
                str(len(record.folds)),
                f"{record.seconds.sum(1).mean():.1f}",
            )
        rows[model.label] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def difference_table(records, models=MODELS, reference=REFERENCE):
    """Difference of every model to the reference at the same number of genes, with a 95 %
    confidence interval.

    Parameters
    ----------
    records : dict of str to Record
    models : dict of str to Model
    reference : str

    Returns
    -------
    DataFrame of str
        Mean difference and the interval of `paired_difference`.
    """
    rows = {}
    for name, model in models.items():
        if name == reference or name not in records:
            continue
        rows[model.label] = {
            f"{n} genes": with_interval(*_difference(records, models, name, n, reference))
            for n in models[reference].genes
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(
        f"minus {models[reference].label}"
    )


def _difference(records, models, name, n_genes, reference):
    """Mean difference and half-width; NaN where one of the two was not measured. All genes compare with any number."""
    ours, record = at_genes(records[reference], n_genes), records[name]
    theirs = at_genes(record, n_genes) if models[name].genes else (record.test_r2[:, 0], None)
    if ours is None or theirs is None:
        return np.nan, np.nan
    return paired_difference(theirs[0], ours[0], test_share(record))


def page_table(records):
    """Means of `accuracy_table` without SD, and the differences at 25 genes, as on the page."""
    table = accuracy_table(records).replace(r" ± [\d.]+", "", regex=True)
    table = table.drop(columns=["15 genes", "50 genes", "folds", "CPU s per fold"])
    differences = difference_table(records)[f"{AT} genes"]
    return table.assign(**{f"minus distilled d=2, {AT} genes": differences}).fillna("")


def with_interval(mean, half_width):
    """Write a difference and its interval as text; empty if it is missing."""
    if np.isnan(mean):
        return ""
    return f"{mean:+z.3f} [{mean - half_width:+z.3f}, {mean + half_width:+z.3f}]"


def mean_sd(scores):
    return f"{scores.mean():.3f}" + (f" ± {scores.std(ddof=1):.3f}" if len(scores) > 1 else "")


def installed(model):
    return model.package is None or importlib.util.find_spec(model.package) is not None


@styled
def draw(records, models=MODELS, reference=REFERENCE, n_genes=AT):
    """Test R2 against the number of genes, and the differences to the reference at one number of
    genes.

    Parameters
    ----------
    records : dict of str to Record
        With that of the reference.
    models : dict of str to Model
    reference : str
    n_genes : int

    Returns
    -------
    matplotlib.figure.Figure
        Left, a panel for each family of models, the others in grey; means over folds, bars are the
        sample SD over folds. Right, paired differences with 95 % confidence intervals, see
        `paired_difference`.
    """
    figure = new_figure(6)
    left, right = figure.add_gridspec(1, 2, width_ratios=(2.6, 1))
    lines = {name: model for name, model in models.items() if name in records and model.genes}
    families = list(dict.fromkeys(model.color for model in lines.values()))
    panels = left.subgridspec(-(-len(families) // ACROSS), ACROSS).subplots(
        sharex=True, sharey=True, squeeze=False
    )
    for ax, color in zip_longest(panels.flat, families):
        if color is None:
            ax.remove()
            continue
        for name, model in lines.items():
            _draw_line(ax, records[name], model, model.color == color)
        for name, model in models.items():
            if name in records and not model.genes:
                level = records[name].test_r2[:, 0].mean()
                label = f"{model.label}: {level:.3f}" if color == families[0] else None
                ax.axhline(level, color=model.color, lw=0.8, ls=(0, (3, 2)), zorder=1, label=label)
        ax.set(xscale="log", xlabel="genes", ylabel="test R²")
        ax.set_xticks(GENES, [str(n) for n in GENES])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.label_outer()
        legend_above(ax, fontsize=6, handlelength=2, bbox_to_anchor=(0.08, 1.01))
    figure.supxlabel("mean ± SD over folds, with the last mean; grey: the other models", fontsize=7)
    ax = figure.add_subplot(right)
    _draw_differences(ax, records, models, reference, n_genes)
    rows = [row[: len(families) - ACROSS * i] for i, row in enumerate(panels)]
    return finish(figure, [*rows, [ax]])


def _draw_line(ax, record, model, own):
    sizes = [n for n in model.genes if {"n_genes": n} in record.params]
    found = [at_genes(record, n) for n in sizes]
    mean = np.array([scores.mean() for scores, _ in found])
    sd = np.array([scores.std(ddof=1) if len(scores) > 1 else 0 for scores, _ in found])
    x = np.array([used for _, used in found])
    if not own:
        ax.plot(x, mean, color="0.88", lw=0.7, zorder=0)
        return
    folds = "" if len(record.folds) == N_FOLDS else f" ({len(record.folds)} folds)"
    ax.plot(
        x,
        mean,
        "o",
        ls=model.dashes,
        color=model.color,
        ms=2.5,
        label=f"{model.label}{folds}: {mean[-1]:.3f}",
    )
    ax.errorbar(x, mean, sd, fmt="none", ecolor=model.color, elinewidth=0.6, alpha=0.5, zorder=2)


def _draw_differences(ax, records, models, reference, n_genes):
    rows = []
    for name, model in models.items():
        if name in records and name != reference:
            mean, half = _difference(records, models, name, n_genes, reference)
            # of two folds it would be wider than the panel
            if np.isfinite(half) and len(records[name].folds) > 2:
                rows.append((mean, half, model))
    rows.sort(key=lambda row: row[0])
    for place, (mean, half, model) in enumerate(rows):
        ax.plot([mean - half, mean + half], [place, place], color=model.color, lw=1)
        ax.plot(mean, place, "o", color=model.color, markersize=4)
    ax.axvline(0, color="black", lw=0.7, zorder=1)
    ax.set_yticks(range(len(rows)), [model.label for _, _, model in rows])
    ax.tick_params(axis="y", length=0)
    title = f"test R² of {n_genes} genes minus that of\n{models[reference].label}\n(95 % intervals)"
    ax.set_xlabel(title)


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", help=f"comma-separated, of: {', '.join(MODELS)}; default: all")
    parser.add_argument(
        "--folds", type=int, help="folds to measure, 1 to 10; default: each model's own number"
    )
    parser.add_argument(
        "--report-only", action="store_true", help="compute nothing, show what is saved"
    )
    options = parser.parse_args(arguments)
    options.models = list(MODELS) if options.models is None else options.models.split(",")
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        parser.error(f"--models: {unknown} are unknown, expected some of {list(MODELS)}")
    if options.folds is not None and not 1 <= options.folds <= N_FOLDS:
        parser.error(f"--folds: expected 1 to {N_FOLDS}, got {options.folds}")
    return options


def main(arguments=None):
    options = parse(arguments)
    data = None if options.report_only else as_paired(load_dataset("scala"))
    for name in [] if options.report_only else options.models:
        if not installed(MODELS[name]):
            print(f"{MODELS[name].label}: {MODELS[name].package} is not installed", file=sys.stderr)
            continue
        started = time.process_time()
        measure(name, MODELS[name], data, RECORDS, options.folds)
        print(f"{MODELS[name].label}: {time.process_time() - started:.0f} CPU s", file=sys.stderr)
    paths = {name: RECORDS / f"accuracy_{name}.pickle" for name in MODELS}
    records = {name: load(path) for name, path in paths.items() if path.exists()}
    print(to_markdown(accuracy_table(records)), NOTES, sep="\n")
    if REFERENCE in records:
        print(to_markdown(difference_table(records)), to_markdown(page_table(records)), sep="\n\n")
        save_figure(draw(records), FIGURES / "accuracy")


if __name__ == "__main__":
    main()
