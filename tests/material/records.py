"""Made-up records: of fits, folds and halves, and those of which every figure is tested."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from sklearn.preprocessing import scale

from sbnn.data.colors import HUES
from sbnn.dynamics.report import MAPPED_METHODS, PUBLISHED_ACCURACY
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.folds import paper_folds
from sbnn.results import Record

TYPES = ["A1", "B2", "C1", "A2", "B1", "C2"]


COLORS = ["#AA0000", "#11BB11", "#0000AA", "#BB3300", "#00AA00", "#3333CC"]


CLUSTER_CENTRES = [[0, 0], [6, 1], [2, 7]]


def made_up(values, **fields):
    """A record of these values, which is of a fit if nothing else is said."""
    usual = {"experiment": "fit", "dataset": "made up", "sha256": "s", "params": [{}]}
    return Record(**usual | fields, values=values)


def ridge_record():
    """A cross-validation in three folds."""
    values = {
        "test_r2": np.array([[0.35], [0.43], [0.57]]),
        "gene_names": np.array([f"g{i}" for i in range(40)]),
    }
    settings = {"estimator": {"class": "sbnn.LeaveOneOutRidge", "params": {}}}
    return made_up(values, experiment="cross-validation", settings=settings)


def fit_record(width=2, n=90, n_genes=12, features=("AP width", "Tau", "x", "y"), norms=True):
    """A fit to all cells, of three families with two types each."""
    rng = np.random.default_rng(0)
    centres = np.resize(CLUSTER_CENTRES, (n, 2))
    n_outputs = len(features)
    labels = {"family": np.resize(list("ABC"), n), "type": np.resize(TYPES, n)}
    embedding = centres + rng.normal(size=(n, 2))
    predictions = rng.normal(size=(n, n_outputs))
    outputs = scale(rng.normal(size=(n, n_outputs)))
    values = {
        "latent": np.zeros((n, width)),
        "embedding": embedding.astype("f4"),
        "feature_names": np.array(features),
        "predictions": predictions,
        "outputs": outputs.astype("f4"),
        "train_feature_r2": np.linspace(0.1, 0.9, n_outputs),
        "kept_genes": np.array([f"Gene{i}" for i in range(n_genes)]),
        "expression": rng.normal(size=(n, n_genes)),
        "predicted_expression": np.tile(np.linspace(0.1, 2, n_genes), (n, 1)),
        "selected": np.arange(4 + n_genes) >= 4,
        "labels": pd.DataFrame(labels),
        "colors": dict(zip(TYPES, COLORS, strict=True)),
        "cell_names": np.array([f"cell{i}" for i in range(n)]),
    }
    if norms:
        values["gene_norms"] = np.append(np.full(4, 99.0), np.arange(n_genes))
    params = {"n_components": width}
    estimator = {"class": "sbnn.SparseBottleneckRegressor", "params": params}
    return made_up(values, params=[params], seed=0, settings={"estimator": estimator})


def cross_validation_record(fit):
    """A cross-validation of a fit, in the units of its folds, without the last few cells."""
    rng = np.random.default_rng(1)
    n_outputs = len(fit.feature_names)
    folds = paper_folds(len(fit.outputs), 7)
    predicted = []
    for _, test in folds:
        z_scores = rng.normal(size=(len(test), n_outputs))
        predicted.append(z_scores.astype("f4"))
    estimator = {"class": "sbnn.SparseBottleneckRegressor", "params": {}}
    record = made_up(
        experiment="cross-validation",
        sha256=fit.sha256,
        params=[{"n_components": 1}, {"n_components": 2}],
        seed=0,
        settings={"scaling": "fold", "estimator": estimator},
        folds=folds,
        values={
            "test_predictions": [[None] * 7, predicted],
            "test_r2": rng.uniform(size=(7, 2)),
            "test_feature_r2": rng.uniform(size=(7, 2, n_outputs)),
            "feature_names": fit.feature_names,
        },
    )
    assert_of_unequal_sizes(record)
    return record


def halves_record(selected, gene_names):
    """Genes that are selected (n_halves, n_genes) by fits to halves of the cells."""
    folds = complementary_pairs(40, len(selected) // 2)
    of_points = selected[:, np.newaxis]
    values = {"selected": of_points, "gene_names": gene_names, "n_selected": of_points.sum(axis=2)}
    return replace(ridge_record(), folds=folds, values=values)


OUTPUTS = ["Tau", "AHP", "Rebound", "a", "b", "c"]
GENES = [f"Gene{letter}" for letter in "ABCDEFGHIJKL"]
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


def folds_record(model, params, seed=0, **values):
    """A cross-validation of random R2, which differ in other ways from fold to fold."""
    rng = np.random.default_rng(seed)
    r2 = rng.uniform(0.3, 0.7, size=(len(params), 1 + len(OUTPUTS)))
    of_folds = r2 + rng.uniform(-0.1, 0.1, size=(3, *r2.shape))
    usual = {
        "test_r2": of_folds[:, :, 0],
        "test_feature_r2": of_folds[:, :, 1:],
        "feature_names": np.array(OUTPUTS),
        "gene_names": np.array(GENES),
    }
    return replace(
        ridge_record(),
        params=params,
        settings={"estimator": {"class": f"sbnn.{model}", "params": {}}, "scaling": "fold"},
        values=usual | values,
        folds=paper_folds(30, 3),
    )


def network_record(params, seed=0):
    """Published networks of 4, 5 and 6 genes, and their training."""
    rng = np.random.default_rng([seed, 1])  # others than those of R2
    history = []
    columns = ["loss", "eval_r2", "eval_loss"]
    for of_point in rng.uniform(0.3, 0.7, size=(len(params), 3, len(STAGES), 3)):
        tables = [pd.DataFrame(of_fold, columns=columns) for of_fold in of_point]
        history.append([table.assign(stage=STAGES) for table in tables])
    return folds_record(
        "SparseBottleneckRegressor",
        params,
        seed=seed,
        n_selected=np.full((len(params), 3), [4, 5, 6]).T,
        history=history,
        gene_norms=rng.uniform(0.1, 9, size=(3, len(params), len(GENES))),
    )


#: Of the ten genes that the halves below keep.
FREQUENCIES = [1, 1, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05]


def halves_of(seed):
    """20 halves, which keep two of 60 genes always, and eight from 8 times to once."""
    names = np.random.default_rng(seed).permutation(GENES)
    counts = np.array([20, 20, *range(8, 0, -1), *[0] * 50])
    names = np.append(names, [f"other{i}" for i in range(48)])
    record = halves_record(np.arange(20)[:, np.newaxis] < counts, names)
    record.values["cells_behind"] = np.full(60, 100.0)
    return record


def fit_of(width):
    """A fit in which predictions rise linearly on the map."""
    rng = np.random.default_rng(width)
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
    }
    if width == 2:
        record.values["latent"] = record.embedding
    return record


rng = np.random.default_rng(0)
NETWORK = network_record(NETWORK_PARAMS)
AT_ONCE = network_record([{"frozen_layers": 0}], seed=1)
RIDGE = folds_record("LeaveOneOutRidge", [{}], seed=2)
#: From many genes to none.
LINEAR = folds_record(
    "SparseReducedRankRegression",
    [{"rank": rank, "alpha": alpha} for rank in (2, 16) for alpha in range(5)],
    seed=3,
    n_selected=np.tile([9, 7, 6, 4, 0], (3, 2)),
)
WIDTHS = folds_record(
    "DistilledBottleneckRegressor",
    [{"n_components": width} for width in (1, 2, 4, 8, 64)],
    seed=4,
    n_selected=np.full((3, 5), 8),
)
OTHER_WIDTHS = folds_record(
    "SparseBottleneckRegressor",
    [
        {"n_components": 2, "pretraining": True},
        {"n_components": 16, "pretraining": False},
        {"n_components": 16, "pretraining": True},
        {"n_components": 64, "pretraining": False},
        {"n_components": 64, "pretraining": True},
    ],
    seed=5,
    n_selected=np.full((3, 5), 10),
)
#: 20 genes are as good as 40, and fewer are not.
GENES_CURVE = folds_record(
    "DistilledBottleneckRegressor",
    [{"n_genes": n_genes} for n_genes in (5, 10, 20, 40)],
    seed=6,
    n_selected=np.full((3, 4), 10),
    test_r2=np.array([0.05, 0.1, 0.5, 0.5]) + rng.uniform(-0.02, 0.02, size=(3, 4)),
)
HALVES = replace(halves_of(0), settings=WIDTHS.settings)
OTHER_HALVES = replace(halves_of(1), settings=OTHER_WIDTHS.settings)
NARROW, WIDE = fit_of(2), fit_of(64)
#: Of families of several types, which have hues of their own.
FAMILY_HUES = dict(zip("ABC", HUES[:3], strict=True))
CELL_COLORS = NARROW.labels["family"].map(FAMILY_HUES)
TSNE = replace(
    NARROW,
    values=NARROW.values
    | {"outputs": NARROW.embedding[:, ::-1] ** 3, "transcriptome": NARROW.embedding}
    | {"n_outputs": 2, "n_transcriptome": 3},
)
#: Cell number 7 was never held out.
TRUST = replace(
    NARROW,
    values={
        "latent": NARROW.embedding,
        "errors": np.where(np.arange(90) == 7, np.nan, rng.uniform(size=90)),
        "spread": rng.uniform(size=90),
        "agreement": np.array([0.9, 0.8]),
    },
)
#: Genes and outputs are similar to the next in the list.
EFFECTS = replace(
    NARROW,
    values={
        "effects": np.outer(np.arange(1, 13), np.arange(6) - 2.2),
        "kept_genes": np.array(GENES),
        "feature_names": np.array(OUTPUTS),
    },
)
#: The fourth of 40 genes is without counts, and the last far away.
SELECTION = replace(
    NARROW,
    values={
        "mean_log2": np.array([1, 2, 3, -np.inf, *rng.uniform(size=35), 40]),
        "near_zero_frequency": rng.uniform(size=40),
        "selected": np.arange(40) % 3 == 0,
        "slope": 1.5,
        "b": 0.5,
        "offset": 0.02,
        "threshold": 32,
    },
)
#: Scores of four folds.
CLASSIFIERS = {
    name: replace(
        NARROW,
        dataset="lee_human",
        folds=paper_folds(40, 4),
        values={"macro_f1": rng.uniform(size=(4, 1)), "accuracy": rng.uniform(size=(4, 1))},
    )
    for name in ("majority", "lightgbm", "bilstm")
}
#: In four folds; shuffled, "i" matters most, and "h" least.
FAMILIES = replace(
    NARROW,
    values={
        "family_names": np.array(list("fghij")),
        "classes": np.array(list("bacdfe")),
        "attention": rng.uniform(size=(6, 5)),
        "shuffled_log_loss": rng.uniform(size=(4, 5)) + [3, 1, 0, 4, 2],
        "left_out_log_loss": rng.uniform(size=(4, 5)),
    },
)
# the one with the longest name is last, where no other is beside it
METHODS = ["prior", *(name for name in PUBLISHED_ACCURACY if name != "phoenix"), "phoenix"]
#: Scores of a method: sparsity and accuracy of three seeds rise from one method to the next.
DYNAMICS = {
    name: pd.DataFrame(
        {
            "seed": [0, 1, 2],
            "mse_ahead": rng.uniform(0.4, 0.6, size=3),
            "sparsity": 0.1 * place + rng.uniform(0, 0.08, size=3),
            "balanced_accuracy": 0.5 + 0.05 * place + rng.uniform(0, 0.02, size=3),
        }
    )
    for place, name in enumerate(METHODS)
}
#: One sample of seven genes at four times; gene 0 varies least. Networks are worse than ridge.
PATHS = {
    f"real_{name}": SimpleNamespace(
        dataset="yeast_pramila",
        scores=pd.DataFrame({"seed": [0], "mse_rollout": error, "mse_ahead": error}),
        predicted=error * np.arange(28.0).reshape(1, 4, 7),
        test=np.outer(np.arange(4), np.arange(7))[np.newaxis],
        times=np.array([[0, 5, 10, 15]]),
        gene_names=np.array([f"Y{i}" for i in range(7)]),
    )
    for name, error in {"prior": 3, "ridge": 1, "none": 2, "dash": 4}.items()
}
#: The first two of four genes regulate the others; the networks give the third no regulator, and
#: the last an effect on the first.
TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
FOUND = np.array([[0, 0, 0, 3], [0, 0, 0, -2], [0, 0, 0, 0], [5, 0, 0, 0]], dtype=np.int8)
EFFECTS_OF_NETWORKS = {
    title: {"truth": TRUTH} | dict.fromkeys(("prior", *MAPPED_METHODS), FOUND)
    for title in ("5 %", "10 %")
}
#: Tests of three regulators in two methods; the prior has no effects on genes that it lacks.
KNOWN_TARGETS = {
    name: SimpleNamespace(
        dataset="breast_desmedt",
        tests=pd.DataFrame(
            {
                "regulator": ["A", "A", "B", "B", "C", "C"],
                "genes": ["all", "not in the prior"] * 3,
                "z": [z, beyond, 2, beyond, -1, beyond],
                "p": [0.01, 1, 0.04, 1, 0.9, 1],
            }
        ),
    )
    for name, z, beyond in (("the prior alone", 4, np.nan), ("DASH", 3, 1))
}
#: Five screens; the default is the best.
SCREENS = {
    name: replace(
        NARROW,
        dataset="simulated_screen",
        values={
            "scores": pd.DataFrame(
                {
                    "seed": range(5),
                    "mcc": level + rng.uniform(0, 0.1, size=5),
                    "f1": level + rng.uniform(0, 0.1, size=5),
                    "elbo": rng.normal(-500 * level, 9, size=5) if name != "pca" else np.nan,
                    "seconds": rng.uniform(1, 3, size=5),
                }
            )
        },
    )
    for name, level in {"pca": 0.3, "vae": 0.5, "default": 0.8}.items()
}
#: In three folds of one run; the second data set lacks a family, and has one more class.
ATTENTION = [
    replace(
        NARROW,
        dataset=dataset,
        folds=paper_folds(40, 3),
        values={
            "family_names": np.array(families),
            "classes": np.array(classes),
            "attention": rng.uniform(size=(3, 1, len(classes), len(families))),
        },
    )
    for dataset, families, classes in (
        ("lee_human", list("ijfghklm"), list("abcde")),
        ("gouwens_ephys", list("kjighmf"), list("dbacfe")),
    )
]


def assert_varied(scores):
    """Scores (n_folds, n_models) differ from fold to fold, and in other ways in every model.

    Of scores that differ by a constant, every interval is right, and so is one of folds that are
    not paired.
    """
    differences = scores[:, :, np.newaxis] - scores[:, np.newaxis]
    pairs = np.triu_indices(scores.shape[1], k=1)
    assert differences.std(axis=0)[pairs].min() > 1e-3
    orders_of_folds = np.argsort(scores, axis=0).T
    assert len(np.unique(orders_of_folds, axis=0)) > 1


def assert_of_unequal_sizes(record):
    """No axis of an array can be taken for another one."""
    for name, values in record.values.items():
        sizes = [size for size in getattr(values, "shape", ()) if size > 1]
        assert len({*sizes}) == len(sizes), name


CROSS_VALIDATIONS = [NETWORK, AT_ONCE, RIDGE, LINEAR, WIDTHS, OTHER_WIDTHS, GENES_CURVE]
assert_varied(np.concatenate([record.test_r2 for record in CROSS_VALIDATIONS], axis=1))
of_outputs = np.concatenate([record.test_feature_r2 for record in CROSS_VALIDATIONS], axis=1)
orders_of_outputs = np.argsort(of_outputs.mean(axis=0), axis=1)
assert len(np.unique(orders_of_outputs, axis=0)) == of_outputs.shape[1]
for metric in ("macro_f1", "accuracy"):
    assert_varied(np.concatenate([r.values[metric] for r in CLASSIFIERS.values()], axis=1))
for metric in ("mcc", "f1", "seconds"):
    assert_varied(np.column_stack([r.scores[metric] for r in SCREENS.values()]))
for metric in ("mse_ahead", "sparsity", "balanced_accuracy"):
    assert_varied(np.column_stack([scores[metric] for scores in DYNAMICS.values()]))
for record in (*CROSS_VALIDATIONS, HALVES, NARROW, WIDE, TSNE, TRUST, EFFECTS, FAMILIES):
    assert_of_unequal_sizes(record)
