"""Tables of the study of gene-regulatory dynamics, made from saved records only."""

from functools import partial
from pathlib import Path

from sbnn.evaluation.scores import label_rows, mean_sd, scores_table
from sbnn.results import load_folder, records_by_name

#: Labels of methods, in display order.
METHODS = {
    "prior": "the prior alone, no change",
    "mean": "constant mean",
    "ar1_mean": "AR(1) to the mean",
    "ar1": "AR(1) of each gene",
    "ridge": "ridge, x(t + 1) on x(t)",
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
    "seconds": "CPU s",
}
#: Scores and conditions in the overview of simulated networks.
OVERVIEW = {
    "noise_0": ["balanced_accuracy"],
    "noise_5": ["balanced_accuracy", "recall_missing", "kept_wrong", "new_right", "relative"],
    "noise_10": ["balanced_accuracy", "recall_missing", "kept_wrong", "new_right"],
}
#: Measured data, with their labels.
REAL = {"yeast_pramila": "yeast", "breast_desmedt": "breast", "hematopoiesis": "blood"}
#: Published sparsity and balanced accuracy (350 genes, 5 % noise), read off a figure of arXiv
#: 2403.04805 to within 0.005.
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

#: Read the records in a folder.
read = partial(load_folder, prefix="dynamics_", data_of=lambda record: record.dataset)


def scores_of(records, condition):
    """Scores of all methods and seeds under one condition.

    Parameters
    ----------
    records : dict of str to Record
        By names such as ``"noise_5_dash"``.
    condition : str

    Returns
    -------
    DataFrame
        The index is method and seed.
    """
    scores = scores_table(records_by_name(records, condition, METHODS))
    scores["relative"] = scores["mse_ahead"] / scores.loc["prior", "mse_ahead"].mean()
    return scores.filter([*COLUMNS])


def methods_table(records, condition):
    """Mean ± SD over seeds of the scores of all methods under one condition.

    Parameters
    ----------
    records, condition
        As in `scores_of`.

    Returns
    -------
    DataFrame of str
    """
    scores = scores_of(records, condition).groupby("method", sort=False)
    three_digits = partial(mean_sd, digits="#.3g", sd_digits=".1g")
    return scores.agg(three_digits).rename(index=METHODS, columns=COLUMNS)


def overview_table(records):
    """Mean accuracy of edges, corrections of the prior, and relative one-step error.

    Parameters
    ----------
    records : dict of str to Record

    Returns
    -------
    DataFrame
    """
    columns = {}
    for condition, shown in OVERVIEW.items():
        if f"{condition}_prior" in records:
            means = _means(records, condition)
            for score in shown:
                columns[f"{COLUMNS[score]}, {condition.removeprefix('noise_')} %"] = means[score]
    return label_rows(columns, METHODS)


def _means(records, condition):
    return scores_of(records, condition).groupby("method").mean()


def overview(saved_models):
    """Tables that are part of ``sbnn report``."""
    columns = {}
    for name, short in REAL.items():
        columns[short] = _means(read(Path(saved_models, name)), "real")["relative"]
    return {
        "Simulated networks of 350 genes": overview_table(read(Path(saved_models, "grn_350"))),
        "One-step MSE on real data, relative to no change": label_rows(columns, METHODS),
    }


def all_tables(records):
    """Available tables by title."""
    tables = {}
    for condition, title in TITLES.items():
        if f"{condition}_prior" in records:
            tables[f"Methods, {title}"] = methods_table(records, condition)
    return tables
