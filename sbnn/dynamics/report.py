"""Tables of the study of gene-regulatory dynamics, from saved records alone."""

import numpy as np
import pandas as pd

from sbnn.dynamics.experiments import CONDITIONS, METHODS, SPARSITY
from sbnn.evaluation.verdict import corrected_difference

TITLES = {
    "noise_0": "without noise, the prior all right",
    "noise_5": "noise 0.025 and 5 % of the prior misplaced",
    "noise_10": "noise 0.05 and 10 % of the prior misplaced",
    "real": "real data",
}
COLUMNS = {
    "sparsity": "sparsity", "balanced_accuracy": "BA", "auroc": "AUROC", "recall_missing": "missing edges found",
    "kept_wrong": "wrong edges kept", "mse_rollout": "MSE, followed", "mse_ahead": "MSE, one interval ahead",
    "seconds": "CPU s",
}  # fmt: skip
#: Methods that are compared, one with the other.
PAIRS = (("dash", "imp"), ("dash", "biological"), ("dash", "phoenix"), ("sparse", "dash"), ("sparse", "prior"))
#: Published sparsity and balanced accuracy, 350 genes, 5 % noise: Hossain et al., arXiv 2403.04805, digitised from a
#: figure to half a point.
PUBLISHED = {
    "none": (0.099, 0.586), "c_node": (0.062, 0.558), "l0": (0.338, 0.550), "path_reg": (0.566, 0.618),
    "post_hoc": (0.871, 0.823), "biological": (0.835, 0.873), "imp": (0.959, 0.708), "dash": (0.946, 0.906),
}  # fmt: skip
NOTE = (
    "Mean ± SD of three seeds, each with samples, a prior and a start of its own; of real data of three starts. BA: "
    "balanced accuracy of all pairs of genes; missing edges are true ones that the prior lacks, wrong ones those that "
    "the prior has and the truth has not. Errors are of test trajectories without noise. Settings were chosen on other "
    "seeds (from 100 on); the reported ones were looked at three times. One thread, other work beside it."
)


def by_condition(records):
    """Condition -> method -> Record, of those of which there are results, in their order."""
    of = {c: {m: records[f"{c}_{m}"] for m in METHODS if f"{c}_{m}" in records} for c in CONDITIONS}
    return {condition: methods for condition, methods in of.items() if methods}


def methods_table(records, condition):
    """Scores of all methods under one condition, mean ± SD over seeds, as text."""
    rows = {}
    for name, record in by_condition(records)[condition].items():
        rows[METHODS[name]] = {label: _spread(record.scores[c]) for c, label in COLUMNS.items() if c in record.scores}
    return _table(rows, "method")


def overview_table(records):
    """The table of the README: balanced accuracy and what was corrected of the prior, by condition, as text."""
    rows, labels = {}, {"balanced_accuracy": "BA", "recall_missing": "missing found", "kept_wrong": "wrong kept"}
    for condition, of in by_condition(records).items():
        percent = condition.removeprefix("noise_")
        for name, record in of.items():
            for column, label in labels.items():
                if record.scores[column].notna().all():
                    rows.setdefault(name, {})[f"{label}, {percent} %"] = _spread(record.scores[column])
    table = _table(rows, "method")  # columns in the order of the conditions
    return table.loc[[name for name in METHODS if name in rows]].rename(index=METHODS)


def differences_table(records, condition):
    """Scores of one method less those of another on the same seeds, with 95 % intervals, as text."""
    of, rows = by_condition(records)[condition], {}
    for one, other in ((a, b) for a, b in PAIRS if a in of and b in of):
        a, b = (of[name].scores.set_index("seed") for name in (one, other))
        row = {}
        for column in ("balanced_accuracy", "auroc", "recall_missing", "kept_wrong", "mse_ahead"):
            if column in a and column in b:
                difference = (a[column] - b[column]).dropna()
                if len(difference) > 1:
                    interval = corrected_difference(difference, 0)
                    row[COLUMNS[column]] = f"{interval.mean:+.3g} [{interval.low:+.3g}, {interval.high:+.3g}]"
        if row:
            rows[f"{METHODS[one]} less {METHODS[other]}"] = row
    return _table(rows, "difference")


def by_sparsity(records):
    """Scores of ways of pruning at all sparsities, that of the comparison with other methods among them."""
    parts = [records["sparsities"].scores]
    for method in parts[0]["method"].unique():
        if (record := records.get(f"noise_5_{method}")) is not None:
            parts.append(record.scores.assign(method=method, asked=SPARSITY))
    return pd.concat(parts).sort_values(["asked", "seed"], kind="stable")


def sparsities_table(records):
    """Balanced accuracy of ways of pruning by the sparsity asked for, as text; and what is published, at its own."""
    rows = {}
    for method, of_method in by_sparsity(records).groupby("method", sort=False):
        by_asked = of_method.groupby("asked")["balanced_accuracy"]
        rows[METHODS[method]] = {f"{asked:g}": _spread(values) for asked, values in by_asked}
        if method in PUBLISHED:
            rows[METHODS[method]]["published"] = "{1:.3f} at {0:.3f}".format(*PUBLISHED[method])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def sizes_table(records):
    """CPU seconds and balanced accuracy by number of genes."""
    scores = records["sizes"].scores.replace({"method": METHODS})
    columns = ["genes", "method", "seconds", "balanced_accuracy", "sparsity"]
    return scores[columns].rename(columns={"seconds": "CPU s", "balanced_accuracy": "BA"}).set_index("genes")


def all_tables(records):
    """Tables of whatever results there are, by title."""
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


def _table(rows, index):
    return pd.DataFrame.from_dict(rows, orient="index").fillna("").rename_axis(index)


def _spread(values):
    """Mean ± SD, both with the digits of small numbers where they are small; empty of nothing."""
    values = values.dropna().to_numpy(dtype=float)
    if not len(values):
        return ""
    mean, sd = values.mean(), values.std(ddof=1) if len(values) > 1 else np.nan
    if 0 < abs(mean) < 0.01:
        return f"{mean:.1e}" if np.isnan(sd) else f"{mean:.1e} ± {sd:.0e}"
    form = ".0f" if abs(mean) >= 10 else ".3f"
    return f"{mean:{form}}" if np.isnan(sd) else f"{mean:{form}} ± {sd:{form}}"
