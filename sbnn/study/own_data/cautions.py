"""Cautions about the data behind a result: few cells, batches, rare types, uninformative outputs.

Each caution is one sentence with the measured number and advice. The thresholds were chosen such
that clean simulated data cause no cautions, and mouse M1 causes only the caution about rare types.
"""

import re

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import scale

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.paired import as_paired
from sbnn.evaluation.neighbours import NEIGHBOURS
from sbnn.evaluation.verdict import outputs_of, split_groups

FEW_CELLS = 100
WORTH_OF_CELLS = (
    "on mouse M1, the test R2 was 0.24 with 30 training cells, 0.33 with 60, 0.38 with 120 and "
    "0.46 with 1092, and few cells cannot identify genes reliably; trust intervals more than "
    "means, and measure more cells if you can."
)
FEW_CELLS_OF_TYPE = 5
MOST_OF_ONE_TYPE = 0.6
#: Words in the name of a label that suggest that cells with the same label were measured together.
BATCHES = re.compile(
    "(?<![a-z])(animal|batch|brain|channel|chip|date|day|donor|experiment|experimenter|individual|"
    "lab|lane|library|mouse|operator|patient|plate|pool|rig|run|session|site|slice|specimen|"
    "subject|user)(?![a-z])"
)
# In mouse M1, the batch index of mice, dates and experimenters is 0.03 to 0.04, and holding out
# whole mice does not lower R2. In simulations of 300 cells in six batches, which shift outputs by
# 0.7 SD and every gene by 0.1, 0.2 or 0.3 SD, the index is 0.02, 0.12 or 0.31, and random folds
# overestimate the R2 of ridge by 0.05, 0.15 or 0.22.
BATCH_INDEX = 0.06
BATCH_DEVIATIONS = 4.0
# share of an output's variance within types that batches explain; in M1, mice explain 0.17
SHARE_OF_BATCH = 0.5
N_PERMUTATIONS = 20
# limits for the neighbour search; larger numbers do not change the index
MOST_CELLS = 3000
N_COMPONENTS = 20
LEAST_CELLS = 20  # of known batches
FOLLOWS = 0.3  # correlation of a gene with the library size
MANY_GENES = 0.4  # share of genes with a higher correlation
FEW_COUNTS = 100
FEW_VALUES = 5
NEARLY_ALL = 0.8
SAME = 0.999
OF_ONE_CELL = 0.2  # share of the variance of an output that is due to one cell
FAR = 10.0  # distance of this cell from the median, in robust SDs


def cautions(data, record=None, groups=None):
    """List cautions about the data, one sentence each.

    Batches are given by `groups`, of shape (n,), and by labels with names such as "mouse". With a
    `record`, only batches that its folds split are considered.
    """
    data = as_paired(data)
    if record is not None:
        outputs_of(record, data)  # rejects other data
    found = []
    if data.n_cells < FEW_CELLS:
        found.append(f"{data.n_cells} cells are few: {WORTH_OF_CELLS}")
    found += _types(data)
    found += _outputs(data)
    found += _counts(data)
    batches = _labels_of_batches(data, groups)
    if record is not None:
        for name in list(batches):
            if not split_groups(record, batches[name]):
                del batches[name]
    return found + _batches(data, batches)


def _labels_of_batches(data, groups):
    """Labels of the cells by name of a batch; `groups` are named like the equal label, if any."""
    batches = {}
    for name in data.labels:
        if BATCHES.search(str(name).lower()):
            batches[name] = data.labels[name].astype(object).fillna(UNKNOWN).to_numpy(str)
    if groups is not None:
        groups = np.asarray(groups).astype(str)
        same = [name for name in data.labels if (data.labels[name].astype(str) == groups).all()]
        name = same[0] if same else "groups"
        batches[name] = groups
    return batches


def batch_index(X, batches, types=None, seed=0):
    """Excess over chance of nearest neighbours of the same batch; chance is estimated within types.

    The excess is returned as a share of its maximum, and in SDs of the values expected by chance.
    """
    n = len(batches)
    batches = np.unique(np.asarray(batches).astype(str), return_inverse=True)[1]
    if types is None:
        types = np.zeros(n)
    else:
        types = np.unique(np.asarray(types).astype(str), return_inverse=True)[1]
    k = min(NEIGHBOURS, n - 1)
    components = PCA(min(N_COMPONENTS, n - 1, X.shape[1]), random_state=0)
    places = components.fit_transform(scale(X.astype(np.float64)))
    nearest = NearestNeighbors(n_neighbors=k).fit(places).kneighbors(return_distance=False)
    measured = _shared(batches, nearest)
    random = np.random.default_rng(seed)
    of_types = np.argsort(types, kind="stable")
    permuted = np.zeros(N_PERMUTATIONS)
    for i in range(N_PERMUTATIONS):
        labels = np.empty_like(batches)
        labels[of_types] = batches[np.lexsort((random.random(n), types))]
        permuted[i] = _shared(labels, nearest)
    others = np.bincount(batches)[batches] - 1  # other cells of the batch of each cell
    most = np.minimum(others, k).mean() / k - permuted.mean()
    excess = measured - permuted.mean()
    index = excess / most if most > 0 else 0.0
    deviations = excess / permuted.std() if permuted.std() > 0 else 0.0
    return float(index), float(deviations)


def _shared(labels, nearest):
    """Share of the neighbours, of shape (n, k), with the label of the cell."""
    return (labels[nearest] == labels[:, np.newaxis]).mean()


def _types(data):
    """Cautions about types that contain most of the cells or very few cells."""
    found = []
    for kind in ("type", "family"):
        known = data.labels[kind][data.labels[kind] != UNKNOWN]
        sizes = known.value_counts()
        if len(sizes) > 1 and sizes.iloc[0] > MOST_OF_ONE_TYPE * len(known):
            found.append(
                f"{sizes.iloc[0] / len(known):.0%} of the cells are of one {kind}, "
                f"{sizes.index[0]!r}: R2 and genes mostly reflect this {kind}; analyse it "
                "separately from the others (adata[cells])."
            )
            break  # the family of a large type is large too
    types = data.labels["type"][data.labels["type"] != UNKNOWN].value_counts()
    rare = types.index[types < FEW_CELLS_OF_TYPE]
    if len(types) > 1 and len(rare):
        found.append(
            f"types with fewer than {FEW_CELLS_OF_TYPE} cells: {len(rare)} of {len(types)} "
            f"({some(rare, 3)}); these are too few for conclusions about single types; use the "
            "families, or merge types."
        )
    return found


def _outputs(data):
    """Cautions about uninformative or duplicate outputs, and outputs dominated by one cell."""
    found = []
    Y = data.Y.astype(np.float64)
    names = data.feature_names.astype(object)
    values = pd.DataFrame(data.Y)
    few = values.nunique().to_numpy() <= FEW_VALUES
    most_frequent = np.array([values[j].value_counts().max() for j in values])
    constant = (most_frequent > NEARLY_ALL * len(Y)) & ~few
    if few.any():
        found.append(
            f"outputs with at most {FEW_VALUES} different values: {some(names[few], 3)}; R2 is a "
            "poor measure for these outputs; pass them as labels if they are categories."
        )
    if constant.any():
        found.append(
            f"outputs with the same value in more than {NEARLY_ALL:.0%} of the cells: "
            f"{some(names[constant], 3)}; the few other cells dominate their R2; check these "
            "cells, or leave out such outputs."
        )
    correlation = np.atleast_2d(np.corrcoef(Y.T))
    copies = np.argwhere(np.triu(np.abs(correlation), 1) > SAME)
    if len(copies):
        pairs = [f"{names[i]} and {names[j]}" for i, j in copies]
        found.append(
            f"outputs that are copies of each other (|r| > {SAME}): {some(pairs, 3)}; they count "
            "twice in R2; leave out one of each pair."
        )
    dominated = _dominated(data, Y)
    if dominated:
        found.append(
            f"outputs with an R2 dominated by one cell: {some(dominated)}; check these values, or "
            "leave out the cell."
        )
    return found


def _dominated(data, Y):
    """Outputs with a large share of their variance, of shape (n, q), in one cell, described."""
    squares = np.square(Y - Y.mean(axis=0))
    shares = squares / squares.sum(axis=0)
    median = np.median(Y, axis=0)
    distance = np.abs(Y - median)
    far = distance > FAR * 1.4826 * np.median(distance, axis=0)
    described = []
    for j in np.flatnonzero(((shares > OF_ONE_CELL) & far).any(axis=0)):
        i = shares[:, j].argmax()
        described.append(
            f"{str(data.feature_names[j])!r} (cell {str(data.cell_names[i])!r}: {shares[i, j]:.0%} "
            f"of the variance, value {Y[i, j]:.4g}, median {median[j]:.4g})"
        )
    return described


def _counts(data):
    """Cautions about low counts, and about expression that correlates with the library size."""
    if data.counts is None:
        return []
    found = []
    library = np.asarray(data.counts.sum(axis=1), dtype=np.float64).ravel()
    if np.median(library) < FEW_COUNTS:
        found.append(
            f"the median cell has {np.median(library):.0f} counts in these genes: counting noise "
            "dominates; use genes with more counts, or sequence more deeply."
        )
    size = scale(np.log(library + 1))
    correlation = scale(data.X.astype(np.float64)).T @ size / len(size)
    share = (np.abs(correlation) > FOLLOWS).mean()
    if share > MANY_GENES:
        found.append(
            f"{share:.0%} of the genes correlate with the library size of the cells (|r| > "
            f"{FOLLOWS}): they reflect sequencing depth; pass raw counts, which are then "
            "normalised (counts=True, --counts)."
        )
    return found


def _batches(data, batches):
    """Cautions about batches, at most one of each kind; `batches` maps names to labels of cells."""
    similar = {}
    explained = {}
    kind = "type" if data.labels["type"].nunique() > 1 else "family"
    all_types = data.labels[kind].to_numpy(dtype=str)
    for name, labels in batches.items():
        cells = np.flatnonzero(~np.isin(labels, [UNKNOWN, ""]))
        if len(cells) > MOST_CELLS:
            cells = np.sort(np.random.default_rng(0).choice(cells, MOST_CELLS, replace=False))
        labels = labels[cells]
        if len(cells) < LEAST_CELLS or len(np.unique(labels)) < 2:
            continue
        types = all_types[cells]
        unsure = ""
        if len(np.unique(types)) == 1:
            unsure = ", although unknown types may be the reason"
        index, deviations = batch_index(data.X[cells], labels, types)
        if index > BATCH_INDEX and deviations > BATCH_DEVIATIONS:
            above = f"batch index {index:.2f} of 1, {deviations:.0f} SD above chance"
            similar[name] = above + unsure
        shares = _explained(data.Y[cells].astype(np.float64), labels, types)
        shares = pd.Series(shares, data.feature_names)
        high = shares[shares > SHARE_OF_BATCH].sort_values(ascending=False)
        if len(high):
            outputs = [f"{output} {share:.0%}" for output, share in high.items()]
            explained[name] = some(outputs, 3) + unsure
    found = []
    if similar:
        found.append(
            f"cells of the same {_listed(similar)} are more similar than their types explain, "
            f"which inflates R2 if folds split these cells; {_advice(similar)}"
        )
    if explained:
        found.append(
            f"most of the variance of some outputs within types is explained by "
            f"{_listed(explained)} and genes may predict the batch instead of the cell; "
            f"{_advice(explained)}"
        )
    return found


def _listed(found):
    """Batches by name, each with what was found."""
    return ", ".join(f"{name!r} ({what})" for name, what in found.items())


def _advice(found):
    options = "".join(f", `--groups {name}`" for name in found if name != "groups")
    return f"hold out whole groups (grouped_folds{options}) to measure R2 on new groups."


def _explained(Y, batches, types):
    """Adjusted R2, of shape (q,), of batch means as predictions of outputs minus type means."""
    freedom = len(Y) - len(np.unique(types))
    left = freedom - len(np.unique(batches)) + 1
    if left < 10:
        return np.full(Y.shape[1], np.nan)
    Y = pd.DataFrame(Y)
    residual = Y - Y.groupby(types).transform("mean")
    rest = residual - residual.groupby(batches).transform("mean")
    total = np.square(residual).sum(axis=0).to_numpy()
    unexplained = np.square(rest).sum(axis=0).to_numpy()
    share = np.divide(unexplained, total, out=np.ones_like(total), where=total > 0)
    return 1 - share * freedom / left
