"""Records of random numbers for tests of figures, and the same records in another order."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from made_up import fit_record, halves_record, ridge_record

from sbnn.results import Record

OUTPUTS = ["Tau", "AHP", "Rebound", *(f"output {letter}" for letter in "abcdefgh")]
GENES = [f"Gene{letter}" for letter in "ABCDEFGHIJKL"]
TRUSTED = ["GeneE", "GeneA"]
STAGES = ["pretraining"] * 4 + ["frozen"] * 2 + ["unfrozen"] * 2 + ["fine-tuning"] * 3
NETWORK_PARAMS = [
    {"n_components": 2, "group_lasso": 0.01, "pretraining": True},
    {"n_components": 2, "group_lasso": 0.1, "pretraining": True},
    {"n_components": 2, "group_lasso": 0.1, "pretraining": False},
    {"n_components": 64, "group_lasso": 0.001, "pretraining": True},
    {"n_components": 64, "group_lasso": 0.1, "pretraining": True},
]
PUBLISHED = [
    {"n_components": 64, "group_lasso": 0.1, "pretraining": True, "test_r2": 0.15},
    {"n_components": 2, "group_lasso": 0.1, "pretraining": True, "test_r2": 0.25},
    {"rank": 16, "n_genes": 7, "test_r2": 0.35},
]


def other_order(size):
    """Folds, coordinates and other short axes have a meaning, and stay."""
    return np.random.default_rng(size).permutation(size) if size > 4 else np.arange(size)


def reorder(values):
    """A record or its values, with grid points, outputs, genes or cells in another order.

    Axes of the same length are of the same things.
    """
    if isinstance(values, Record):
        others = {name: reorder(value) for name, value in values.values.items()}
        return replace(values, params=reorder(values.params), values=others)
    if isinstance(values, pd.DataFrame):
        return values.iloc[other_order(len(values))].reset_index(drop=True)
    if isinstance(values, list):
        return [values[place] for place in other_order(len(values))]
    if np.ndim(values) == 0:
        return values
    for axis, size in enumerate(np.shape(values)):
        values = np.take(values, other_order(size), axis)
    return values


def folds_record(model, params, seed=0, n_folds=3, n_selected=None, **values):
    """A cross-validation; networks keep one gene more in each fold, `n_selected` on average."""
    rng = np.random.default_rng(seed)
    shape = (n_folds, len(params))
    usual = {
        "test_r2": rng.uniform(0.1, 0.9, size=shape),
        "test_feature_r2": rng.uniform(0.05, 0.95, size=(*shape, len(OUTPUTS))),
        "feature_names": np.array(OUTPUTS),
        "gene_names": np.array(GENES),
    }
    if n_selected is not None:
        usual["n_selected"] = np.add.outer(np.arange(n_folds) - (n_folds - 1) / 2, n_selected)
    return replace(
        ridge_record(),
        params=params,
        settings={"estimator": {"class": f"sbnn.{model}", "params": {}}, "scaling": "fold"},
        values=usual | values,
        folds=[(range(20), range(10))] * n_folds,
    )


def ridge(seed=4):
    return folds_record("LeaveOneOutRidge", [{}], seed=seed, n_folds=4)


def network(params=NETWORK_PARAMS, seed=0):
    """Published networks with five genes in the median, and their training."""
    rng = np.random.default_rng(seed)
    shape = (len(params), 3, len(STAGES), 3)
    history = [
        [pd.DataFrame(fold, columns=["loss", "eval_r2", "eval_loss"]) for fold in of_point]
        for of_point in rng.uniform(0.1, 0.9, size=shape)
    ]
    for of_point in history:
        for table in of_point:
            table["stage"] = STAGES
    return folds_record(
        "SparseBottleneckRegressor",
        params,
        seed=seed,
        n_selected=[5, 6, 5, 4, 7][: len(params)],
        history=history,
        gene_norms=rng.uniform(0.1, 9, size=(3, len(params), len(GENES))),
    )


def linear():
    """Sparse reduced-rank regression of rank 2, and then 16, from many genes to none."""
    params = [{"rank": rank, "alpha": alpha} for rank in (2, 16) for alpha in range(5)]
    record = folds_record("SparseReducedRankRegression", params, seed=3, n_selected=[0] * 10)
    record.values["n_selected"] = np.tile([9, 7, 6, 4, 0], (3, 2))
    return record


def networks_by_width():
    """Distilled and published networks, the latter with and without pretraining."""
    distilled = [{"n_components": width} for width in (1, 2, 4, 8, 16)]
    published = [
        {"n_components": width, "pretraining": pretraining}
        for width in (2, 16, 64)
        for pretraining in (False, True)
    ]
    return {
        "distilled": folds_record("DistilledBottleneckRegressor", distilled, n_selected=[8] * 5),
        "published": folds_record(
            "SparseBottleneckRegressor", published, seed=8, n_folds=4, n_selected=[9.5] * 6
        ),
    }


def halves(seed=0):
    """Fits to 20 halves of which the first n keep a gene, as often as the table says.

    Two genes of 60 are always kept, and eight some times.
    """
    rng = np.random.default_rng(seed)
    others = [name for name in GENES if name not in TRUSTED]
    names = [*TRUSTED, *rng.permutation(others), *(f"other{i}" for i in range(48))]
    counts = np.array([20, 20, *range(8, 0, -1), *[0] * 50])
    record = halves_record(np.arange(20)[:, np.newaxis] < counts, np.array(names))
    record.values["cells_behind"] = np.full(len(names), 100.0)
    return record


def fit(seed=0, width=2):
    """A fit in which predictions rise linearly on the map."""
    rng = np.random.default_rng(seed)
    record = fit_record(width=width, features=OUTPUTS, n_genes=len(GENES))
    centred = record.embedding - record.embedding.mean(axis=0)
    of_outputs, of_genes = [
        centred @ rng.uniform(-0.2, 0.2, size=(2, len(names))) for names in (OUTPUTS, GENES)
    ]
    record.values |= {
        "predictions": of_outputs,
        "predicted_expression": of_genes,
        "outputs": record.outputs + 5 * of_outputs[:, ::-1],
        "expression": record.expression + 5 * of_genes[:, ::-1],
        "kept_genes": np.array(GENES),
        "selected": np.ones(len(GENES), bool),
        "gene_norms": rng.uniform(size=len(GENES)),
        "train_feature_r2": rng.uniform(0.1, 0.9, size=len(OUTPUTS)),
    }
    if width == 2:
        record.values["latent"] = record.embedding
    return record


def score(seed=5):
    """A cross-validation of networks of five widths."""
    params = [{"n_components": width} for width in (1, 2, 4, 8, 64)]
    return folds_record("SparseBottleneckRegressor", params, seed=seed)


def tsne():
    record = fit()
    places = {"outputs": record.embedding[:, ::-1] ** 3, "transcriptome": record.embedding}
    return replace(record, values=record.values | places | {"n_outputs": 2, "n_transcriptome": 3})


def map_trust():
    """Of the cells of a fit; number 7 was never held out."""
    rng = np.random.default_rng(0)
    errors, spread = rng.uniform(size=(2, 90))
    errors[7] = np.nan
    agreement = np.array([0.9, 0.8])
    values = {"errors": errors, "spread": spread, "agreement": agreement}
    return replace(ridge_record(), values=values | {"latent": fit().embedding})


def interpretation():
    """Effects in which genes and outputs are similar to the next in the list."""
    effects = np.outer(np.arange(1, 13), np.arange(11) - 4.5)
    names = {"kept_genes": np.array(GENES), "feature_names": np.array(OUTPUTS)}
    return replace(ridge_record(), values={"effects": effects, **names})


def gene_selection():
    """Of 40 genes, the fourth without counts."""
    rng = np.random.default_rng(0)
    mean, frequency, score = rng.uniform(size=(3, 40))
    mean[3] = -np.inf
    curve = {"slope": 1.5, "b": 0.5, "offset": 0.02, "threshold": 32}
    genes = {"mean_log2": mean, "near_zero_frequency": frequency, "selected": score < 0.4}
    return replace(ridge_record(), values=genes | curve)


def genes_curve():
    """20 genes are as good as more, and 10 are not."""
    params = [{"n_genes": n_genes} for n_genes in (10, 20, 40)]
    record = folds_record("DistilledBottleneckRegressor", params, n_selected=[10] * 3)
    noise = np.random.default_rng(0).uniform(size=(3, 3)) / 1000
    record.values["test_r2"] = noise + [0.1, 0.5, 0.5]
    return record


def classifiers():
    """Two sets of three folds each, in which repeat 7 comes before 3."""
    records = {}
    for seed, name in enumerate(["majority", "lightgbm", "bilstm"]):
        macro_f1, accuracy = np.random.default_rng(seed).uniform(size=(2, 6, 1))
        values = {"macro_f1": macro_f1, "accuracy": accuracy, "repeats": [7, 7, 3, 3, 7, 3]}
        records[name] = replace(ridge_record(), dataset="lee_human", values=values)
    return records


def families():
    """Importance of five families for six classes, in four folds; shuffled, "i" matters most."""
    rng = np.random.default_rng(0)
    shuffled, left_out = rng.uniform(size=(2, 4, 5))
    values = {
        "family_names": np.array(list("fghij")),
        "classes": np.array(list("bacdfe")),
        "attention": rng.uniform(size=(6, 5)),
        "shuffled_log_loss": shuffled + [3, 1, 0, 4, 2],
        "left_out_log_loss": left_out,
    }
    return replace(ridge_record(), values=values)


def dynamics(methods):
    """Scores of methods, with sparsity and accuracy rising from one to the next."""
    rng = np.random.default_rng(0)
    records = {}
    for place, name in enumerate(methods):
        scores = pd.DataFrame({"seed": [0, 1, 2], "mse_ahead": 0.5})
        scores["sparsity"] = 0.1 * place + rng.uniform(-0.04, 0.04, size=3)
        scores["balanced_accuracy"] = 0.5 + 0.05 * place + rng.uniform(-0.04, 0.04, size=3)
        records[f"noise_5_{name}"] = SimpleNamespace(scores=scores, dataset="grn_350")
    return records
