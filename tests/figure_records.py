"""Records of which figures are tested, the figures, and the same in another order.

Each number of a cross-validation is its mean in the second of three folds, and 0.1 more and less in
the others, so that the SD is 0.1.
"""

import ast
import functools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from made_up import fit_record, halves_record, ridge_record

import sbnn
from sbnn import plotting
from sbnn.data.paired import paired
from sbnn.dynamics.report import (
    MAPPED_METHODS,
    PUBLISHED_ACCURACY,
    accuracy_by_sparsity,
    known_targets_map,
    network_maps,
    predicted_paths,
)
from sbnn.ephys_types.plotting import importance_of_families, model_scores
from sbnn.mechanism_shift.report import recovery_subplots
from sbnn.results import Record

OUTPUTS = ["Tau", "AHP", "Rebound", "a", "b", "c"]
GENES = [f"Gene{letter}" for letter in "ABCDEFGHIJKL"]
FOLDS = [0.1, 0, -0.1]
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
    """A cross-validation of random R2."""
    rng = np.random.default_rng(seed)
    r2 = rng.uniform(0.3, 0.7, size=(len(params), 1 + len(OUTPUTS)))
    of_folds = np.add.outer(FOLDS, r2)
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
        folds=[(range(20), range(10))] * 3,
    )


def network_record(params, seed=0):
    """Published networks of 4, 5 and 6 genes, and their training."""
    rng = np.random.default_rng(seed)
    history = []
    for numbers in rng.uniform(0.3, 0.7, size=(len(params), len(STAGES), 3)):
        table = pd.DataFrame(numbers, columns=["loss", "eval_r2", "eval_loss"])
        history.append([(table + shift).assign(stage=STAGES) for shift in FOLDS])
    norms = rng.uniform(0.1, 9, size=(len(params), len(GENES)))
    return folds_record(
        "SparseBottleneckRegressor",
        params,
        seed=seed,
        n_selected=np.full((len(params), 3), [4, 5, 6]).T,
        history=history,
        gene_norms=np.multiply.outer([0.5, 1, 2], norms),
    )


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
    [{"n_components": width, "pretraining": p} for width in (2, 16, 64) for p in (False, True)],
    seed=5,
    n_selected=np.full((3, 6), 10),
)
SEEDS = replace(halves_of(1), settings=OTHER_WIDTHS.settings)
REPEATS = replace(halves_of(2), settings=WIDTHS.settings)
#: 20 genes are as good as 40, and 10 are not.
GENES_CURVE = folds_record(
    "DistilledBottleneckRegressor",
    [{"n_genes": n_genes} for n_genes in (10, 20, 40)],
    n_selected=np.full((3, 3), 10),
    test_r2=np.add.outer(FOLDS, [0.1, 0.5, 0.5]) + rng.uniform(size=(3, 3)) / 1000,
)
HALVES = halves_of(0)
NARROW, WIDE = fit_of(2), fit_of(64)
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
        folds=[(range(20), range(10))] * 4,
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
            "mse_ahead": 0.5,
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
#: Three screens; the default is the best.
SCREENS = {
    name: replace(
        NARROW,
        dataset="simulated_screen",
        values={
            "scores": pd.DataFrame(
                {
                    "seed": [0, 1, 2],
                    "mcc": level + 0.02 * np.arange(3) ** 2,
                    "f1": level,
                    "elbo": -500 * level if name != "pca" else np.nan,
                    "seconds": [1, 2, 3],
                }
            )
        },
    )
    for name, level in {"pca": 0.3, "vae": 0.5, "default": 0.8}.items()
}


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


def cell_maps(change):
    adata = paired(
        X=NARROW.expression,
        Y=NARROW.outputs,
        gene_names=GENES,
        feature_names=OUTPUTS,
        cell_names=NARROW.cell_names,
        labels=NARROW.labels.set_index(NARROW.cell_names),
        colors=NARROW.colors,
    )
    order = change(np.arange(90))
    maps = {"first": TSNE.outputs[order], "second": TSNE.transcriptome[order]}
    return plotting.cell_maps(maps, adata[order])


def draw(name, change):
    """A figure of records, of which `change` makes others with the same numbers."""
    networks = {
        "distilled": (change(WIDTHS), {}),
        "published": (OTHER_WIDTHS, {"pretraining": True}),
    }
    models = {"linear": (LINEAR, {"rank": 16}), "ridge": change(RIDGE)}
    selections = {"halves": HALVES, "seeds": change(SEEDS), "repeats": REPEATS}
    scores = [(change(OTHER_WIDTHS), {"n_components": 64, "pretraining": True})]
    scores.append((WIDTHS, {"n_components": 2}))
    scores_of_methods = {
        f"noise_5_{name}": SimpleNamespace(scores=DYNAMICS[name], dataset="grn_350")
        for name in change(METHODS)
    }
    match name:
        case "training_curves":
            return plotting.training_curves(
                change(NETWORK), srrr=change(LINEAR), published=PUBLISHED
            )
        case "bottleneck_comparison":
            return plotting.bottleneck_comparison(
                change(NETWORK),
                srrr=change(LINEAR),
                ridge=RIDGE,
                published=[{"n_genes": 5, **row} for row in PUBLISHED],
                n_components=(64, 2),
                at_once=AT_ONCE,
            )
        case "accuracy_comparison":
            return plotting.accuracy_comparison(models, n_genes=6)
        case "bottleneck_widths":
            return plotting.bottleneck_widths(networks)
        case "output_accuracy":
            return plotting.output_accuracy(models)
        case "width_and_stability":
            return plotting.width_and_stability(networks, selections, models)
        case "tsne_pair":
            return plotting.tsne_pair(change(TSNE), titles=("genes", "traits"))
        case "cell_maps":
            return cell_maps(change)
        case "map_trust_subplots":
            return plotting.map_trust_subplots(change(TRUST), change(NARROW))
        case "bibiplot":
            return plotting.bibiplot(change(NARROW))
        case "effect_map":
            return plotting.effect_map(change(EFFECTS))
        case "gene_selection_curve":
            return plotting.gene_selection_curve(change(SELECTION))
        case "genes_curve":
            return plotting.genes_curve(change(GENES_CURVE))
        case "selection_frequencies":
            return plotting.selection_frequencies(change(HALVES))
        case "latent_subplots":
            return plotting.latent_subplots(change(NARROW), scores=scores[1:])
        case "family_zoom":
            return plotting.family_zoom(WIDE, change(NARROW), "A", scores)
        case "model_overview":
            return plotting.model_overview(
                change(NARROW), halves=HALVES, folds=change(WIDTHS), true_genes=["GeneC"]
            )
        case "model_scores":
            classifiers = {name: change(record) for name, record in CLASSIFIERS.items()}
            return model_scores(classifiers, "types_stratified")
        case "importance_of_families":
            return importance_of_families(change(FAMILIES))
        case "accuracy_by_sparsity":
            return accuracy_by_sparsity(scores_of_methods)
        case "predicted_paths":
            return predicted_paths({name: PATHS[name] for name in change([*PATHS])})
        case "network_maps":
            networks = {
                title: {name: effects[name] for name in change([*effects])}
                for title, effects in EFFECTS_OF_NETWORKS.items()
            }
            return network_maps(networks, "grn_350")
        case "known_targets_map":
            return known_targets_map(
                {name: KNOWN_TARGETS[name] for name in change([*KNOWN_TARGETS])}
            )
        case "recovery_subplots":
            return recovery_subplots({name: change(SCREENS[name]) for name in SCREENS})


@functools.cache
def axes_of(name):
    """Axes of a figure of the records above."""
    return draw(name, lambda values: values).axes


def figure_functions():
    """Names of public functions that return a figure; those of a study only choose records."""
    for path in Path(sbnn.__file__).parent.rglob("*.py"):
        if path.parent.name == "study" or path.name == "common.py":
            continue
        for node in ast.parse(path.read_text()).body:
            is_function = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if is_function and node.returns and ast.unparse(node.returns) == "Figure":
                yield node.name
