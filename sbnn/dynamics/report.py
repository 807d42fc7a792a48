"""Tables of the study of gene-regulatory dynamics, made from saved records only."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.dynamics.baselines import BASELINES
from sbnn.evaluation.verdict import corrected_difference
from sbnn.results import load_folder, named_after

#: Labels of methods, in display order.
METHODS = {
    "prior": "the prior alone",
    "mean": "constant mean",
    "ar1_mean": "AR(1) to the mean",
    "ar1": "AR(1) of each gene",
    "ridge": "ridge, x(t + 1) on x(t)",
    "replicate": "copy of the training replicate",
    "ar1_ridge": "AR(1), and ridge on the rest",
    "path": "nearest part of the training path",
    "none": "PHOENIX",
    "phoenix": "PHOENIX, prior in the loss",
    "c_node": "C-NODE",
    "l0": "L0",
    "path_reg": "PathReg",
    "post_hoc": "post hoc",
    "imp": "IMP",
    "biological": "BioPruning",
    "dash": "DASH",
    "sparse": "SparseRegulation",
}
#: Titles of conditions, in display order.
TITLES = {
    "noise_0": "without noise, correct prior",
    "noise_5": "noise 0.025 and 5% of the prior misplaced",
    "noise_10": "noise 0.05 and 10% of the prior misplaced",
    "real": "real data",
}
COLUMNS = {
    "sparsity": "sparsity",
    "balanced_accuracy": "BA",
    "auroc": "AUROC",
    "recall_missing": "missing edges found",
    "kept_wrong": "wrong edges kept",
    "precision": "edges right",
    "new_right": "new edges right",
    "mse_rollout": "rollout MSE",
    "mse_ahead": "one-step MSE",
    "relative": "one-step MSE / no change",
    "helps": "network helps",
    "seconds": "CPU s",
}
NO_CHANGE = "no change; edges of the prior"  # label of the prior on real data
#: Labels of measured data.
REAL = {"yeast_pramila": "yeast", "breast_desmedt": "breast", "hematopoiesis": "blood"}
#: Pairs of methods that are compared.
PAIRS = (
    ("dash", "imp"),
    ("dash", "biological"),
    ("dash", "phoenix"),
    ("sparse", "dash"),
    ("sparse", "prior"),
)
#: Published sparsity and balanced accuracy (350 genes, 5 % noise), read off a figure of Hossain et
#: al. (arXiv 2403.04805) to within 0.005.
PUBLISHED = {
    "none": (0.099, 0.586),
    "c_node": (0.062, 0.558),
    "l0": (0.338, 0.550),
    "path_reg": (0.566, 0.618),
    "post_hoc": (0.871, 0.823),
    "biological": (0.835, 0.873),
    "imp": (0.959, 0.708),
    "dash": (0.946, 0.906),
}
NOTE = (
    "Mean ± SD over three seeds, each with its own samples, prior and start; for real data over "
    "three starts on the same data. BA: balanced accuracy of all pairs of genes; missing edges: "
    "true edges not in the prior; wrong edges: edges of the prior that are not true. Errors are on "
    "test trajectories without noise. Settings were chosen on other seeds (from 100 on); the "
    "reported ones were evaluated five times. Departures from the published comparison: "
    "docs/dynamics.md."
)


#: Read the records in a folder.
read = partial(load_folder, prefix="dynamics_", data_of=lambda record: record.dataset)


def by_condition(records):
    """Records as condition -> method -> `Record`, in display order."""
    found = {condition: named_after(records, condition, METHODS) for condition in TITLES}
    return {condition: of_methods for condition, of_methods in found.items() if of_methods}


def methods_table(records, condition):
    """Scores of all methods under one condition."""
    of = named_after(records, condition, METHODS)
    scores = pd.concat({name: record.scores for name, record in of.items()}, names=["method"])
    labels = METHODS
    if condition != "real" and "prior" in of:
        scores = _with_precision(scores, of["prior"].scores.iloc[0])
    if condition == "real" and "prior" in of:
        labels = METHODS | {"prior": NO_CHANGE}
        scores["relative"] = scores["mse_ahead"] / of["prior"].scores["mse_ahead"].mean()
    shown = [column for column in COLUMNS if column in scores]
    table = scores.groupby(level="method", sort=False)[shown].agg(_spread)
    if condition == "real":
        table["helps"] = helps(scores["mse_ahead"].groupby(level="method", sort=False).mean())
        table = table[[column for column in COLUMNS if column in table]]
    return table.rename(labels).rename(columns=COLUMNS)


def helps(errors):
    """Whether each network has a lower error than all models without one; "" for these."""
    without = errors.index.isin([*BASELINES])
    verdicts = np.where(errors < errors[without].min(), "yes", "no")
    return pd.Series(np.where(without, "", verdicts), errors.index)


def _with_precision(scores, prior):
    """Add the precision of all and of new edges to scores that were saved without them.

    They follow from the others, since a simulated prior has as many edges as the truth.
    """
    n_true = prior["n_edges"]
    n_false = n_true / (1 - prior["sparsity"]) - n_true

    def n_right(of):
        """Number of true edges, from the number of edges and the balanced accuracy."""
        excess = 2 * of["balanced_accuracy"] - 1 + of["n_edges"] / n_false
        return excess / (1 / n_true + 1 / n_false)

    n_missing = n_true - n_right(prior)  # as many as there are wrong edges in the prior
    new_right = scores["recall_missing"].fillna(0) * n_missing
    old = n_right(scores) - new_right + scores["kept_wrong"].fillna(0) * n_missing
    n_new = (scores["n_edges"] - old).round()
    derived = {
        "precision": n_right(scores) / scores["n_edges"],
        "new_right": (new_right / n_new).where(n_new > 0),
    }
    for name, values in derived.items():
        scores[name] = scores[name].fillna(values) if name in scores else values
    return scores


def overview_table(records):
    """Mean accuracy, corrections of the prior, and new edges that are right."""
    labels = {
        "BA": "BA",
        "missing edges found": "missing found",
        "wrong edges kept": "wrong kept",
        "new edges right": "new right",
    }
    parts = []
    for condition in by_condition(records):
        part = methods_table(records, condition).reindex(columns=[*labels], fill_value="")
        part = part.rename(columns=labels)
        part = part.apply(lambda column: column.str.split(" ± ").str[0])
        if not part["missing found"].any():  # without noise, there is nothing to correct
            part = part[["BA"]]
        parts.append(part.add_suffix(f", {condition.removeprefix('noise_')} %"))
    table = pd.concat(parts, axis=1).fillna("").rename_axis("method")
    return table.loc[[name for name in METHODS.values() if name in table.index]]


def real_table(saved_models):
    """One-step error relative to no change, and the data on which a network helps."""
    errors, helping = {}, {}
    for name, short in REAL.items():
        table = methods_table(read(Path(saved_models, name)), "real")
        errors[short] = table[COLUMNS["relative"]].str.split(" ± ").str[0]
        helping[short] = table[COLUMNS["helps"]].replace("yes", short)
    table = pd.DataFrame(errors).fillna("").rename_axis("method")
    verdicts = pd.DataFrame(helping).reindex(table.index)
    for method, of_method in verdicts.iterrows():
        names = [name for name in REAL.values() if of_method[name] == name]
        verdict = ", ".join(names) or ("no" if (of_method == "no").any() else "")
        table.loc[method, COLUMNS["helps"]] = verdict
    known = [*METHODS.values(), NO_CHANGE]
    return table.loc[sorted(table.index, key=known.index)]


def overview(saved_models):
    """Tables that are part of ``sbnn report``."""
    tables = {}
    if Path(saved_models, "grn_350").is_dir():
        records = read(Path(saved_models, "grn_350"))
        tables["Edges of simulated networks of 350 genes"] = overview_table(records)
    if all(Path(saved_models, name).is_dir() for name in REAL):
        tables["One-step MSE on real data, relative to no change"] = real_table(saved_models)
    return tables


def differences_table(records, condition):
    """Differences on the same seeds."""
    of = named_after(records, condition, METHODS)
    scores = {name: record.scores.set_index("seed") for name, record in of.items()}
    summary = _spread if condition == "real" else _interval
    compared = ["balanced_accuracy", "auroc", "recall_missing", "kept_wrong", "mse_ahead"]
    rows = {}
    for one, other in PAIRS:
        if {one, other} <= set(of) and len(scores[one]) > 1:
            differences = (scores[one] - scores[other]).reindex(columns=compared)
            differences = differences.dropna(axis=1).rename(columns=COLUMNS)
            rows[f"{METHODS[one]} minus {METHODS[other]}"] = differences.agg(summary)
    return pd.DataFrame(rows).T.rename_axis("difference")


def by_sparsity(records):
    """Scores of pruning methods at all sparsities."""
    curve = records["sparsities"].scores
    parts = [curve]
    for method, record in named_after(records, "noise_5", METHODS).items():
        if method in set(curve["method"]):
            asked = record.parameter(0, "sparsity")
            parts.append(record.scores.assign(method=method, asked=asked))
    return pd.concat(parts).sort_values(["asked", "seed"], kind="stable")


def sparsities_table(records):
    """Balanced accuracy by pruning method and requested sparsity."""
    grouped = by_sparsity(records).groupby(["method", "asked"], sort=False)
    table = grouped["balanced_accuracy"].agg(_spread).unstack()
    table = table.rename(columns="{:g}".format).rename_axis(columns=None)
    published = [PUBLISHED[method] for method in table.index]
    table["published"] = [f"{accuracy:.3f} at {sparsity:.3f}" for sparsity, accuracy in published]
    return table.rename(index=METHODS)


def sizes_table(records):
    """CPU time and accuracy by number of genes and method."""
    scores = records["sizes"].scores.replace({"method": METHODS})
    columns = ["genes", "method", "seconds", "balanced_accuracy", "sparsity"]
    return scores[columns].rename(columns=COLUMNS).set_index("genes")


def all_tables(records):
    """Available tables by title."""
    tables = {}
    for condition in by_condition(records):
        tables[f"Methods, {TITLES[condition]}"] = methods_table(records, condition)
        differences = differences_table(records, condition)
        if differences.size:
            tables[f"Differences, {TITLES[condition]}"] = differences
    if "sparsities" in records:
        tables["Balanced accuracy by sparsity"] = sparsities_table(records)
    if "sizes" in records:
        tables["Cost by number of genes"] = sizes_table(records)
    return tables


def _spread(values):
    """Mean ± SD as text, with the digits that the SD allows; empty if all are missing."""
    if values.isna().all():
        return ""
    mean, sd = values.mean(), values.std()
    text = "{:.3f} ± {:.3f}"
    if abs(mean) >= 10:
        text = "{:.0f} ± {:.0f}"
    elif 0 < abs(mean) < 0.01:
        text = "{:.1e} ± {:.0e}"
    elif sd >= 0.005:
        text = "{:.2f} ± {:.2f}"
    return text.format(mean, sd).removesuffix(" ± nan")


def _interval(differences):
    interval = corrected_difference(differences, 0)
    return f"{interval.mean:+.3g} [{interval.low:+.3g}, {interval.high:+.3g}]"
