"""Test R2 against the number of genes on the ten folds of the paper, mouse M1: sbnn beside its
peers.

    python benchmarks/accuracy.py [--models sbnn_d2 greedy_ridge] [--report-only]

Measures what is missing, one thread per fit, and keeps it in saved_models/benchmarks; prints the
tables in Markdown. Data are z-scored over all cells, as for the published numbers; nothing is
chosen on test folds. The peers live in an environment of their own (benchmarks/requirements.txt).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
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
from sbnn.evaluation.verdict import corrected_difference
from sbnn.results import load, save

GENES = (5, 10, 15, 25, 50, 100)
SEED = 42
REFERENCE = "sbnn_distilled_d2"  # what the others are compared with, at the same number of genes
AT = 25  # genes at which the page shows the differences
ROOT = Path(__file__).resolve().parents[1]
NOTES = """
Mean ± SD over folds of test R2; in brackets the mean number of genes where it is lower, since a path rarely stops at
just so many. CPU seconds are those of all the numbers of genes of the row. Brackets after differences are 95 %
confidence intervals, corrected for the training cells that folds share (Nadeau and Bengio 2003).
"""
# most of a record, and not needed here
NOT_KEPT = ("test_predictions", "history", "gene_norms")


@dataclass(frozen=True)
class Model:
    """A row of the tables; `genes` is empty for a model of all genes."""

    label: str
    estimator: object
    genes: tuple = GENES


FIXED = {"standardize": False, "device": "cpu", "random_state": SEED}
# spelled out, so that a change of the default does not orphan the records
PAPER = FIXED | {"hidden_layers": (512, 128)}
RIDGE, KERNEL = LeaveOneOutRidge(), LeaveOneOutKernelRidge()
FOREST = RandomForestRegressor(
    200, min_samples_leaf=3, max_features=0.4, n_jobs=1, random_state=SEED
)

# by the name of their records
MODELS = {
    "sbnn_distilled_d2": Model("sBNN distilled, d=2", DistilledBottleneckRegressor(2, **FIXED)),
    "sbnn_distilled_d16": Model("sBNN distilled, d=16", DistilledBottleneckRegressor(16, **FIXED)),
    "sbnn_d2": Model("sBNN paper, d=2", SparseBottleneckRegressor(2, **PAPER)),
    "sbnn_d16": Model(
        "sBNN paper, d=16",
        SparseBottleneckRegressor(16, **PAPER),
        genes=(10, 25, 50),
    ),
    "srrr_2": Model("sRRR, rank 2", SparseReducedRankPath(2)),
    "srrr_16": Model("sRRR, rank 16", SparseReducedRankPath(16)),
    "lasso_ridge": Model("MultiTaskLasso + ridge", SelectThenRegress(GroupLasso(), RIDGE)),
    "lasso_kernel": Model(
        "MultiTaskLasso + kernel ridge",
        SelectThenRegress(GroupLasso(), KERNEL),
    ),
    "enet_ridge": Model(
        "MultiTaskElasticNet + ridge",
        SelectThenRegress(GroupLasso(0.5), RIDGE),
    ),
    "skglm_ridge": Model(
        "skglm group lasso + ridge",
        SelectThenRegress(GroupLasso(solver="skglm"), RIDGE),
    ),
    "greedy_ridge": Model("greedy + ridge", SelectThenRegress(GreedyForward(), RIDGE)),
    "greedy_kernel": Model("greedy + kernel ridge", SelectThenRegress(GreedyForward(), KERNEL)),
    "greedy_forest": Model("greedy + forest", SelectThenRegress(GreedyForward(), FOREST)),
    "lassonet_kernel": Model(
        "LassoNet + kernel ridge",
        SelectThenRegress(LassoNetPath(), KERNEL),
    ),
    "stg_kernel": Model(
        "STG + kernel ridge",
        SelectThenRegress(StochasticGates(), KERNEL),
    ),
    "ridge": Model("ridge, all genes", RIDGE, genes=()),
}


def measure(name, data):
    """Cross-validate a model on the folds of the paper, or load what is there already."""
    path = record_path(name)
    model = MODELS[name]
    grid = {"n_genes": list(model.genes)} if model.genes else {}
    folds = paper_folds(data.n_cells)
    options = {"scaling": "all", "results": path, "seed": SEED, "verbose": False}
    record = cross_validate(model.estimator, data, folds, grid, **options)
    for key in NOT_KEPT:
        record.values.pop(key, None)
    save(record, path)


def record_path(name):
    """File of the scores of a model."""
    return ROOT / "saved_models" / "benchmarks" / f"accuracy_{name}.pickle"


def scores_of(records):
    """Test R2 in long form: a row for each model, number of genes and fold, with the genes used."""
    parts = []
    for name, record in records.items():
        for point, params in enumerate(record.params):
            values = {"r2": record.test_r2[:, point], "fold": range(len(record.folds))}
            used = record.n_selected[:, point] if params else len(record.gene_names)
            about = {"model": name, "n_genes": params.get("n_genes"), "used": used}
            parts.append(pd.DataFrame(values).assign(**about))
    return pd.concat(parts, ignore_index=True)


def accuracy_table(records):
    """Mean and SD over folds of test R2, by model and number of genes, with CPU seconds."""
    rows = {}
    for (name, n_genes), scores in scores_of(records).groupby(["model", "n_genes"], dropna=False):
        text = mean_sd(scores["r2"])
        used = scores["used"].mean()
        if pd.isna(n_genes):
            n_genes = GENES[-1]
            text += f" (all {used:.0f})"
        elif round(used, 1) != n_genes:
            text += f" ({used:.1f})"
        rows.setdefault(name, {})[f"{n_genes:.0f} genes"] = text
    for name, row in rows.items():
        row["CPU s per fold"] = f"{records[name].seconds.sum(axis=1).mean():.1f}"
    columns = [*(f"{n_genes} genes" for n_genes in GENES), "CPU s per fold"]
    return labelled(rows).reindex(columns=columns).fillna("").rename_axis("model")


def difference_table(records):
    """Difference to the reference at the same number of genes; all genes compare with any number."""
    train, test = records[REFERENCE].folds[0]
    scores = scores_of(records).set_index(["model", "n_genes", "fold"])["r2"].sort_index()
    rows = {}
    for name in records:
        if name == REFERENCE:
            continue
        rows[name] = {}
        for n_genes in GENES:
            own = scores.loc[name].droplevel("n_genes") if not MODELS[name].genes else None
            if n_genes in MODELS[name].genes:
                own = scores.loc[name, n_genes]
            if own is not None:
                differences = own - scores.loc[REFERENCE, n_genes]
                text = with_interval(corrected_difference(differences, len(test) / len(train)))
                rows[name][f"{n_genes} genes"] = text
    return labelled(rows).fillna("").rename_axis(f"minus {MODELS[REFERENCE].label}")


def labelled(rows):
    """Table of the rows in the order of the models, under their labels."""
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.loc[[name for name in MODELS if name in rows]].rename(
        lambda name: MODELS[name].label
    )


def page_table(records):
    """Means of `accuracy_table` without SD, and the differences at 25 genes, as on the page."""
    table = accuracy_table(records).replace(r" ± [\d.]+", "", regex=True)
    table = table.drop(columns=["15 genes", "50 genes", "CPU s per fold"])
    differences = difference_table(records)[f"{AT} genes"]
    return table.assign(**{f"minus distilled d=2, {AT} genes": differences}).fillna("")


def with_interval(difference):
    """Write a `PairedDifference` as text."""
    return f"{difference.mean:+z.3f} [{difference.low:+z.3f}, {difference.high:+z.3f}]"


def mean_sd(scores):
    """Write mean and sample SD over folds as text."""
    return f"{scores.mean():.3f} ± {scores.std(ddof=1):.3f}"


def main():
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--report-only", action="store_true", help="show what is saved")
    options = parser.parse_args()
    if not options.report_only:
        data = as_paired(load_dataset("scala"))
        for name in options.models:
            measure(name, data)
    records = {name: load(record_path(name)) for name in MODELS if record_path(name).exists()}
    for table in (accuracy_table(records), difference_table(records), page_table(records)):
        print(to_markdown(table), end="\n\n")
    print(NOTES)


if __name__ == "__main__":
    main()
