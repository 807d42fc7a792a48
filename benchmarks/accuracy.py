"""Test R2 of sbnn beside its peers, on nine data sets and the ten folds of the paper.

    python benchmarks/accuracy.py [--data scala] [--models sbnn_d2 greedy_ridge] [--report-only]
    python benchmarks/accuracy.py --estimator mymodule:MyRegressor

Measures what is missing, one thread per fit, and adds it to a table for each data set in
saved_models/benchmarks (delete lines to measure them again); prints the tables in Markdown. Data
are z-scored over all cells, as for the published numbers; nothing is chosen on test folds. Settings
of peers were chosen on other folds of the same data sets. LassoNet and STG need an
environment of their own (benchmarks/requirements.txt).

With ``--estimator``, a scikit-learn regressor of yours, a class or an instance, is measured on the
same folds of seven data sets, and its row printed beside the saved ones; nothing is saved.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor
from pages import to_markdown
from peers import (
    GlmnetPath,
    GreedyForward,
    GroupLasso,
    LassoNetPath,
    Persist,
    SelectThenRegress,
    SparsePLS,
    SparseReducedRankPath,
    StochasticGates,
)
from peers_all_genes import (
    CoupledAutoencoder,
    LeaveOneOutKernelRidge,
    MeanWithRidge,
    StackedWithRidge,
    SumKernelRidge,
)
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
    StackedRegressor,
    cross_validate,
    load_dataset,
)
from sbnn.data.datasets import find_file
from sbnn.data.paired import as_paired
from sbnn.evaluation.scores import mean_sd
from sbnn.evaluation.verdict import corrected_difference
from sbnn.metrics import test_fraction
from sbnn.results import load

M1 = "scala"
DATA = (M1, "scala_ion_channels", "pbmc_10k_protein", "simulated", "citeseq_cd8")
#: With weak signals; measured with 25 and with all genes.
WEAK_DATA = ("citefuse", "tcga_breast", "scala_other_features", "scala_noisy")
LEFT_OUT = [
    "AP Fano factor",
    "AP amplitude average adaptation index",
    "Afterdepolarization (mV)",
    "Burstiness",
    "ISI Fano factor",
    "ISI average adaptation index",
    "Latency (ms)",
    "Rebound number of APs",
    "Sag area (mV*s)",
    "Sag time (s)",
    "Spike frequency adaptation",
    "Wildness",
]  # features of M1 that the paper does not predict
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
        if dataset in WEAK_DATA:
            return tuple(n_genes for n_genes in self.elsewhere if n_genes in (AT, ALL))
        return self.of_m1 if dataset == M1 else self.elsewhere


def selected(label, selector, regressor, **genes):
    """Row of a regression on selected genes."""
    return Model(label, SelectThenRegress(selector, regressor), **genes)


def everywhere(label, model):
    """Row of a model that predicts from all genes."""
    return Model(label, model, (ALL,), (ALL,))


FIXED = {"standardize": False, "device": "cpu", "random_state": SEED}
# spelled out, so that the records stay those of the published network
PUBLISHED = FIXED | {"hidden_layers": (512, 128)}
DISTILLED = DistilledBottleneckRegressor(2, **FIXED)
RIDGE, KERNEL = LeaveOneOutRidge(), LeaveOneOutKernelRidge()
# all genes may need a kernel that is nearly linear, and a small penalty
WIDE_KERNEL = LeaveOneOutKernelRidge(
    gammas=tuple(2.0 ** np.arange(-6, 3)), alphas=tuple(10 ** np.arange(-4, 1.51, 0.25))
)
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
# as scLinear predicts proteins, with the number of components chosen in the same way
SVD_RIDGE = GridSearchCV(
    make_pipeline(TruncatedSVD(random_state=SEED), LeaveOneOutRidge()),
    {"truncatedsvd__n_components": [10, 30, 100, 200]},
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
    "sparse_pls": Model("sparse PLS, two components", SparsePLS(), of_m1=(AT,), **ONCE),
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
    "persist_kernel": selected("PERSIST + kernel ridge", Persist(), KERNEL, of_m1=GENES),
    "persist_forest": selected("PERSIST + forest", Persist(), FOREST, of_m1=GENES),
    "ridge_and_distilled": everywhere(
        "mean of sBNN distilled, d=2, and ridge, all genes", MeanWithRidge(DISTILLED)
    ),
    "stacked_distilled": everywhere("sBNN distilled, d=2, + ridge, all genes", STACKED),
    "stacked_forest": everywhere("greedy + forest, + ridge, all genes", STACKED_FOREST),
    "sum_kernel": everywhere("sum kernel, all genes", SumKernelRidge()),
    "stacked_sum_kernel": everywhere(
        "sum kernel, + ridge, all genes", StackedWithRidge(SumKernelRidge())
    ),
    "coupled_2": everywhere("coupled autoencoders, d=2, all genes", CoupledAutoencoder(2)),
    "coupled_16": everywhere("coupled autoencoders, d=16, all genes", CoupledAutoencoder(16)),
    "pls": everywhere("PLS, all genes", PLS),
    "svd_ridge": everywhere("SVD + ridge, all genes", SVD_RIDGE),
    "kernel": everywhere("RBF kernel ridge, all genes", WIDE_KERNEL),
    "ridge": everywhere("ridge, all genes", RIDGE),
}
#: Rows that the table of all data sets leaves out, as docs/results.md or the table of M1 has
#: them, or says what they show.
NOT_ON_PAGE = (
    "sbnn_d2",
    "sbnn_d16",
    "srrr_2",
    "srrr_2_entries",
    "ridge_and_distilled",
    "sum_kernel",
    "stacked_sum_kernel",
)
#: Name of the row of an estimator that is not in `MODELS`.
OWN = "own"


def path_of(dataset):
    """File of the scores of a data set."""
    return SAVED / "benchmarks" / f"accuracy_{dataset}.csv"


def scores_of(dataset):
    """Test R2 in long form: a row for each model, number of genes and fold, with the genes used."""
    return pd.read_csv(path_of(dataset))


def study_of(dataset):
    """Record of ridge in the study of a data set, or of M1, which has its folds."""
    folder = M1 if dataset in OTHER_OUTPUTS else dataset
    return load(SAVED / folder / "cv_ridge.pickle.xz")


def read_data(dataset):
    """Data of a study, or M1 with `OTHER_OUTPUTS`."""
    make_outputs = OTHER_OUTPUTS.get(dataset)
    adata = load_dataset(dataset if make_outputs is None else M1)
    if as_paired(adata).sha256 != study_of(dataset).sha256:
        raise ValueError(f"{dataset}: its study has other data")
    if make_outputs is not None:
        adata.obsm["outputs"] = make_outputs(adata.obsm["outputs"])
    return as_paired(adata)


def other_features(outputs):
    """Features of M1 that the paper does not predict; missing values, 15 in all, become medians."""
    table = pd.read_csv(find_file("Cell_Features_M1.csv"), index_col="name sample")
    parts = table.index.str.extract(r"(\d\d) (\d\d) (\d{4}) sample (\d+)\.mat$")
    month, day, year, sample = (parts[i] for i in range(4))
    features = table.set_axis(year + month + day + "sample" + sample).loc[outputs.index, LEFT_OUT]
    return features.fillna(features.median())


def with_noise(outputs):
    """Outputs to each of which normal noise of its own SD is added."""
    noise = np.random.default_rng(SEED).standard_normal(outputs.shape)
    return outputs + outputs.std(ddof=0).to_numpy() * noise


#: Outputs in place of those of M1, by the name of the data set that they give.
OTHER_OUTPUTS = {"scala_other_features": other_features, "scala_noisy": with_noise}


def measure(name, dataset, data):
    """Add the scores of a model for the numbers of genes that are not measured yet."""
    scores = scores_of(dataset)
    done = set(scores.loc[scores["model"] == name, "n_genes"])
    for n_genes in MODELS[name].genes(dataset):
        if n_genes not in done:  # saved one by one, so that an interrupted run resumes
            rows = score_folds(MODELS[name].estimator, n_genes, dataset, data)
            rows["model"] = name
            rows.to_csv(path_of(dataset), mode="a", header=False, index=False)


def score_folds(estimator, n_genes, dataset, data):
    """Scores on the folds of the study, with so many or `ALL` genes."""
    study = study_of(dataset)
    grid = {} if n_genes == ALL else {"n_genes": [n_genes]}
    options = {"scaling": "all", "seed": SEED, "keep": (), "verbose": False}
    record = cross_validate(estimator, data, study.folds, grid, **options)
    rows = record.to_frame().rename(columns={"test_r2": "r2", "n_selected": "used"})
    if n_genes == ALL or "used" not in rows:  # the genes of a map are not all that predict
        rows["used"] = data.n_genes
    rows = rows.reindex(columns=COLUMNS).fillna({"n_genes": ALL})
    return rows.astype({"n_genes": int, "used": int}).round({"seconds": 2})


def own_model(name):
    """Row of a regressor by the name of its module and its own, such as ``sklearn.svm:SVR``."""
    sys.path.insert(0, "")  # the module may be in the current folder
    try:
        found = resolve_name(name)
        estimator = found() if isinstance(found, type) else found
        estimator.get_params()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        sys.exit(
            f"--estimator: {name!r} is no scikit-learn regressor, as in sklearn.svm:SVR: {error}"
        )
    if "n_genes" in estimator.get_params():
        return Model(name, estimator, of_m1=(AT,), elsewhere=(AT,))
    if not get_tags(estimator).target_tags.multi_output:
        print(f"{name} predicts a single output, by its tags: it is fitted to each on its own.")
        estimator = MultiOutputRegressor(estimator)
    return everywhere(name, estimator)


def compare_own(name, datasets):
    """Print the row of an estimator beside saved ones, after each data set and of all of them."""
    MODELS[OWN] = own_model(name)
    with_own = {}
    for dataset in datasets:
        saved = scores_of(dataset)
        if REFERENCE not in set(saved["model"]):
            print(f"{dataset} is left out: measure --models {REFERENCE} first")
            continue
        try:
            data = read_data(dataset)
        except FileNotFoundError as error:
            print(f"{dataset} is left out: {error}")
            continue
        (n_genes,) = MODELS[OWN].genes(dataset)
        own = score_folds(MODELS[OWN].estimator, n_genes, dataset, data)
        with_own[dataset] = pd.concat([saved, own.assign(model=OWN)])
        print(to_markdown(data_table({dataset: with_own[dataset]}).loc[[name]]), end="\n\n")
    if with_own:
        print(to_markdown(data_table(with_own)), end="\n\n")


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
    return differences_of(scores[scores["n_genes"].isin([n_genes, ALL])], dataset)


def differences_of(scores, dataset):
    """Difference of each model to the reference, from scores of one number of genes or all."""
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
    table = table[["5 genes", "10 genes", "25 genes", "100 genes"]]
    return table[(table != "").any(axis=1)]


def scores_on_page(datasets):
    """Scores of the models that the tables of several data sets have, by data set."""
    scores = {dataset: scores_of(dataset) for dataset in datasets}
    return {name: table[~table["model"].isin(NOT_ON_PAGE)] for name, table in scores.items()}


def data_table(scores_by_data):
    """Means at 25 genes of the models measured on all these data, and differences to the reference.

    A difference has half of its 95 % interval; it is bold if the model is better.
    """
    columns = {}
    for dataset, scores in scores_by_data.items():
        scores = scores[scores["n_genes"].isin([AT, ALL])]
        means = scores.groupby("model").mean()
        column = means["r2"].map("{:.3f}".format)
        for name, found in differences_of(scores, dataset).items():
            mean = f"**{found.mean:+.3f}**" if found.low > 0 else f"{found.mean:+.3f}"
            column[name] += f" ({mean} ± {found.high - found.mean:.3f})"
        columns[dataset] = column
    return labelled(pd.DataFrame(columns).dropna())


def main():
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=DATA + WEAK_DATA)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--report-only", action="store_true", help="show what is saved")
    parser.add_argument("--estimator", metavar="MODULE:NAME", help="a regressor of yours")
    options = parser.parse_args()
    if options.estimator:
        compare_own(options.estimator, options.data or DATA + WEAK_DATA)
        return
    for dataset in options.data or DATA + WEAK_DATA:
        if not options.report_only:
            data = read_data(dataset)
            for name in options.models:
                measure(name, dataset, data)
        print(f"\n{dataset}\n")
        for table in (accuracy_table(dataset), difference_table(dataset)):
            print(to_markdown(table), end="\n\n")
    tables = page_table(), *(data_table(scores_on_page(data)) for data in (DATA, WEAK_DATA))
    print(*map(to_markdown, tables), NOTES, sep="\n\n")


if __name__ == "__main__":
    main()
