"""The figures of the records, and of the same in another order."""

import ast
import functools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

import sbnn
from material.records import (
    AT_ONCE,
    ATTENTION,
    CLASSIFIERS,
    DYNAMICS,
    EFFECTS,
    EFFECTS_OF_NETWORKS,
    FAMILIES,
    GENES,
    GENES_CURVE,
    HALVES,
    KNOWN_TARGETS,
    LINEAR,
    METHODS,
    NARROW,
    NETWORK,
    OTHER_HALVES,
    OTHER_WIDTHS,
    OUTPUTS,
    PATHS,
    PUBLISHED,
    RIDGE,
    SCREENS,
    SELECTION,
    TRUST,
    TSNE,
    WIDE,
    WIDTHS,
)
from sbnn import plotting
from sbnn.data.paired import paired
from sbnn.dynamics.plotting import (
    accuracy_by_sparsity,
    known_targets_map,
    network_maps,
    predicted_paths,
)
from sbnn.ephys_types.plotting import attention_maps, importance_of_families, model_scores
from sbnn.mechanism_shift.report import recovery_subplots
from sbnn.results import Record


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
    selections = {"distilled": HALVES, "published": change(OTHER_HALVES)}
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
            outputs_of = ["ridge", "absent"]
            return plotting.width_and_stability(networks, selections, models, outputs_of)
        case "tsne_pair":
            return plotting.tsne_pair(change(TSNE), titles=("genes", "traits"))
        case "cell_maps":
            return cell_maps(change)
        case "map_trust_subplots":
            return plotting.map_trust_subplots(change(TRUST), change(NARROW))
        case "effect_map":
            return plotting.effect_map(change(EFFECTS))
        case "gene_selection_curve":
            return plotting.gene_selection_curve(change(SELECTION))
        case "genes_curve":
            return plotting.genes_curve(change(GENES_CURVE))
        case "selection_frequencies":
            return plotting.selection_frequencies(change(HALVES))
        case "latent_subplots":
            return plotting.latent_subplots(WIDE, change(NARROW), scores)
        case "family_zoom":
            return plotting.family_zoom(change(NARROW), "A", scores[1])
        case "model_overview":
            return plotting.model_overview(
                change(NARROW), halves=HALVES, folds=change(WIDTHS), true_genes=["GeneC"]
            )
        case "model_scores":
            classifiers = {name: change(record) for name, record in CLASSIFIERS.items()}
            return model_scores(classifiers, "types_stratified")
        case "importance_of_families":
            return importance_of_families(change(FAMILIES))
        case "attention_maps":
            return attention_maps([change(record) for record in ATTENTION])
        case "accuracy_by_sparsity":
            return accuracy_by_sparsity(scores_of_methods)
        case "predicted_paths":
            return predicted_paths({name: PATHS[name] for name in change([*PATHS])})
        case "network_maps":
            networks = {
                title: {name: effects[name] for name in change([*effects])}
                for title, effects in EFFECTS_OF_NETWORKS.items()
            }
            return network_maps(networks)
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
