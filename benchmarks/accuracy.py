"""Test R2 of sbnn beside its peers, on five data sets and the ten folds of the paper.

    python benchmarks/accuracy.py [--data scala] [--models sbnn_d2 greedy_ridge] [--report-only]

Measures what is missing, one thread per fit, and adds it to a table for each data set in
saved_models/benchmarks (delete lines to measure them again); prints the tables in Markdown. Data
are z-scored over all cells, as for the published numbers; nothing is chosen on test folds. Settings
of peers were chosen on other folds of the same data sets. LassoNet and STG need an
environment of their own (benchmarks/requirements.txt).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from lightgbm import LGBMRegressor
from pages import to_markdown
from peers import (
    GlmnetPath,
    GreedyForward,
    GroupLasso,
    LassoNetPath,
    LeaveOneOutKernelRidge,
    MeanWithRidge,
    SelectThenRegress,
    SparseReducedRankPath,
    StackedWithRidge,
    StochasticGates,
    SumKernelRidge,
)
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
    StackedRegressor,
    cross_validate,
    load_dataset,
)
from sbnn.data.paired import as_paired
from sbnn.evaluation.scores import mean_sd
from sbnn.evaluation.verdict import corrected_difference
from sbnn.metrics import test_fraction
from sbnn.results import load

M1 = "scala"
DATA = (M1, "scala_ion_channels", "pbmc_10k_protein", "simulated", "citeseq_cd8")
GENES = (5, 10, 25, 50)
GENES_OF_M1 = (5, 10, 15, 25, 50, 100)
AT = 25  # genes at which the page compares data sets
ALL = 0  # in place of a number of genes
SEED = 42
REFERENCE = "sbnn_distilled_d2"  # what the others are compared with, at the same number of genes
COLUMNS = ["model", "n_genes", "fold", "r2", "used", "seconds"]
SAVED = Path(__file__).resolve().parents[1] / "saved_models"
NOTES = """
Mean ± SD over folds of test R2; in brackets the mean number of genes where it is lower, since a path rarely stops at
just so many. CPU seconds are those of all the numbers of genes of the row, on a machine that did other work, too.
Brackets after differences are 95 % confidence intervals, corrected for the training cells that folds share (Nadeau and
Bengio 2003).
"""


@dataclass(frozen=True)
class Model:
    """A row of the tables, with the numbers of genes on M1 and on the other data sets."""

    label: str
    estimator: object
    of_m1: tuple = GENES_OF_M1
    elsewhere: tuple = GENES

    def genes(self, dataset):
        """Numbers of genes to measure."""
        return self.of_m1 if dataset == M1 else self.elsewhere


def selected(label, selector, regressor, **genes):
    """Row of a regression on selected genes."""
    return Model(label, SelectThenRegress(selector, regressor), **genes)


def both(label, model):
    """Row of the mean of a model of 25 genes and of ridge on all genes."""
    return Model(f"mean of ridge, all genes, and {label}", MeanWithRidge(model), (AT,), (AT,))


def everywhere(label, model):
    """Row of a model that predicts from all genes."""
    return Model(label, model, (ALL,), (ALL,))


FIXED = {"standardize": False, "device": "cpu", "random_state": SEED}
# spelled out, so that the records stay those of the published network
PUBLISHED = FIXED | {"hidden_layers": (512, 128)}
DISTILLED = DistilledBottleneckRegressor(2, **FIXED)
RIDGE, KERNEL = LeaveOneOutRidge(), LeaveOneOutKernelRidge()
FOREST = RandomForestRegressor(
    200, min_samples_leaf=3, max_features=0.4, n_jobs=1, random_state=SEED
)
OUT_OF_BAG = clone(FOREST).set_params(oob_score=True)
STACKED = StackedRegressor(DISTILLED)
STACKED_FOREST = StackedWithRidge(SelectThenRegress(GreedyForward(), OUT_OF_BAG, AT))
LIGHTGBM = MultiOutputRegressor(
    LGBMRegressor(
        n_estimators=200,
        learning_rate=0.03,
        num_leaves=16,
        min_child_samples=5,
        reg_lambda=20,
        colsample_bytree=0.4,
        subsample=0.7,
        subsample_freq=1,
        n_jobs=1,
        random_state=SEED,
        verbose=-1,
    )
)
MLP = MLPRegressor(
    hidden_layer_sizes=(64, 64),
    alpha=3,
    batch_size=64,
    max_iter=300,
    early_stopping=True,
    n_iter_no_change=20,
    random_state=SEED,
)
# with the number of components that has the smallest error in five folds of the training cells
PLS = GridSearchCV(
    PLSRegression(scale=False),
    {"n_components": [1, 2, 3, 5, 8, 12, 20]},
    scoring="neg_mean_squared_error",
)
ONCE, NOWHERE = {"elsewhere": (AT,)}, {"elsewhere": ()}

# by the name of their rows
MODELS = {
    REFERENCE: Model("sBNN distilled, d=2", DISTILLED),
    "sbnn_distilled_d16": Model(
        "sBNN distilled, d=16", DistilledBottleneckRegressor(16, **FIXED), **ONCE
    ),
    "sbnn_d2": Model("sBNN published, d=2", SparseBottleneckRegressor(2, **PUBLISHED), **ONCE),
    "sbnn_d16": Model(
        "sBNN published, d=16",
        SparseBottleneckRegressor(16, **PUBLISHED),
        of_m1=(10, 25, 50),
        **ONCE,
    ),
    "srrr_2": Model("sRRR, rank 2", SparseReducedRankPath(2)),
    "srrr_16": Model("sRRR, full rank", SparseReducedRankPath(16)),
    "srrr_2_entries": Model(
        "sRRR, rank 2, single weights",
        SparseReducedRankPath(2, penalty="element"),
        of_m1=(AT,),
        **ONCE,
    ),
    "lasso_ridge": selected("MultiTaskLasso + ridge", GroupLasso(), RIDGE),
    "lasso_kernel": selected("MultiTaskLasso + kernel ridge", GroupLasso(), KERNEL, **NOWHERE),
    "glmnet_ridge": selected("glmnet, each output + ridge", GlmnetPath(), RIDGE),
    "greedy_ridge": selected("greedy + ridge", GreedyForward(), RIDGE),
    "greedy_kernel": selected("greedy + kernel ridge", GreedyForward(), KERNEL),
    "greedy_forest": selected("greedy + forest", GreedyForward(), FOREST),
    "greedy_lightgbm": selected("greedy + LightGBM", GreedyForward(), LIGHTGBM),
    "greedy_mlp": selected("greedy + MLP", GreedyForward(), MLP),
    "lassonet_kernel": selected("LassoNet + kernel ridge", LassoNetPath(), KERNEL, **NOWHERE),
    "stg_kernel": selected("STG + kernel ridge", StochasticGates(), KERNEL, **NOWHERE),
    "ridge_and_distilled": both("sBNN distilled, d=2", DISTILLED),
    "ridge_and_forest": both("greedy + forest", SelectThenRegress(GreedyForward(), FOREST)),
    "stacked_distilled": everywhere("sBNN distilled, d=2, + ridge, all genes", STACKED),
    "stacked_forest": everywhere("greedy + forest, + ridge, all genes", STACKED_FOREST),
    "sum_kernel": everywhere("sum kernel, all genes", SumKernelRidge()),
    "stacked_sum_kernel": everywhere(
        "sum kernel, + ridge, all genes", StackedWithRidge(SumKernelRidge())
    ),
    "pls": everywhere("PLS, all genes", PLS),
    "ridge": everywhere("ridge, all genes", RIDGE),
}


def path_of(dataset):
    """File of the scores of a data set."""
    return SAVED / "benchmarks" / f"accuracy_{dataset}.csv"


def scores_of(dataset):
    """Test R2 in long form: a row for each model, number of genes and fold, with the genes used."""
    return pd.read_csv(path_of(dataset))


def study_of(dataset):
    """Record of ridge in the study of a data set, which has its folds."""
    return load(SAVED / dataset / "cv_ridge.pickle.xz")


def measure(name, dataset, data):
    """Add the scores of a model for the numbers of genes that are not measured yet."""
    scores, study = scores_of(dataset), study_of(dataset)
    if data.sha256 != study.sha256:
        raise ValueError(f"{dataset}: its study has other data")
    done = set(scores.loc[scores["model"] == name, "n_genes"])
    missing = [n_genes for n_genes in MODELS[name].genes(dataset) if n_genes not in done]
    if not missing:
        return
    grid = {} if missing == [ALL] else {"n_genes": missing}
    options = {"scaling": "all", "seed": SEED, "keep": (), "verbose": False}
    record = cross_validate(MODELS[name].estimator, data, study.folds, grid, **options)
    rows = record.to_frame().rename(columns={"test_r2": "r2", "n_selected": "used"})
    if missing == [ALL] or "used" not in rows:  # the genes of a map are not all that predict
        rows["used"] = data.n_genes
    rows = rows.assign(model=name).reindex(columns=COLUMNS)
    rows = rows.fillna({"n_genes": ALL})
    rows = rows.astype({"n_genes": int, "used": int}).round({"seconds": 2})
    rows.to_csv(path_of(dataset), mode="a", header=False, index=False)


def accuracy_table(dataset):
    """Mean and SD over folds of test R2, by model and number of genes, with CPU seconds."""
    points = scores_of(dataset).groupby(["model", "n_genes"])
    means = points.mean()
    text = points["r2"].agg(mean_sd)
    is_fewer = means["used"].round(1) != means.index.get_level_values("n_genes")
    text[is_fewer] += means["used"].map(" ({:.1f})".format)
    table = titled(text.unstack())
    seconds = means["seconds"].groupby("model").sum()
    return labelled(table.assign(**{"CPU s per fold": seconds.map("{:.1f}".format)}))


def differences(dataset, n_genes):
    """Difference of each model to the reference at the same number of genes, or with all genes."""
    scores = scores_of(dataset)
    scores = scores[scores["n_genes"].isin([n_genes, ALL])]
    r2 = scores.pivot(index="fold", columns="model", values="r2")
    share = test_fraction(study_of(dataset).folds)
    reference = r2.pop(REFERENCE)
    return {name: corrected_difference(own - reference, share) for name, own in r2.items()}


def difference_table(dataset):
    """Differences to the reference, by model and number of genes."""
    numbers = MODELS[REFERENCE].genes(dataset)
    table = pd.DataFrame({n_genes: differences(dataset, n_genes) for n_genes in numbers})
    table = titled(table.map(str, na_action="ignore"))
    return labelled(table).rename_axis(f"minus {MODELS[REFERENCE].label}")


def titled(table):
    """Table with numbers of genes in the titles of its columns."""
    return table.rename(columns=lambda n_genes: f"{n_genes or 'all'} genes")


def labelled(table):
    """Table with the models in their order, under their labels."""
    names = [name for name in MODELS if name in table.index]
    return table.loc[names].rename(lambda name: MODELS[name].label).rename_axis("model").fillna("")


def page_table():
    """Means of `accuracy_table` of M1 without SD, as on the page."""
    table = accuracy_table(M1).replace(r" ± [\d.]+", "", regex=True)
    return table[["5 genes", "10 genes", "25 genes", "100 genes", "all genes"]]


def data_table():
    """Means at 25 genes of the models measured on all data sets, and differences to the reference.

    A difference has half of its 95 % interval; it is bold if the model is better.
    """
    columns = {}
    for dataset in DATA:
        scores = scores_of(dataset)
        scores = scores[scores["n_genes"].isin([AT, ALL])]
        means = scores.groupby("model").mean()
        column = means["r2"].map("{:.3f}".format)
        for name, found in differences(dataset, AT).items():
            text = f"{found.mean:+.3f} ± {found.high - found.mean:.3f}"
            column[name] += f" (**{text}**)" if found.low > 0 else f" ({text})"
        columns[dataset] = column
    # M1 has times of paths that were kept for all numbers of genes
    columns[f"CPU s, {dataset}"] = means["seconds"].map("{:.2f}".format)
    return labelled(pd.DataFrame(columns).dropna())


def main():
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--report-only", action="store_true", help="show what is saved")
    options = parser.parse_args()
    for dataset in options.data:
        if not options.report_only:
            data = as_paired(load_dataset(dataset))
            for name in options.models:
                measure(name, dataset, data)
        print(f"\n{dataset}\n")
        for table in (accuracy_table(dataset), difference_table(dataset)):
            print(to_markdown(table), end="\n\n")
    print(*map(to_markdown, (page_table(), data_table())), NOTES, sep="\n\n")


if __name__ == "__main__":
    main()
