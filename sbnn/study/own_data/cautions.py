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
    "on mouse M1, the test R2 was 0.24 with 30 training cells, 0.33 with 60, 0.38 with 120 and 0.46 with 1092, and "
    "few cells cannot identify genes reliably; trust intervals more than means, and measure more cells if you can."
)
FEW_CELLS_OF_TYPE = 5
MOST_OF_ONE_TYPE = 0.6
#: Words in the name of a label that suggest that cells with the same label were measured together.
BATCHES = re.compile(
    "(?<![a-z])(animal|batch|brain|channel|chip|date|day|donor|experiment|experimenter|individual|lab|lane|library|mouse|"
    "operator|patient|plate|pool|rig|run|session|site|slice|specimen|subject|user)(?![a-z])"
)
# In mouse M1, the batch index of mice, dates and experimenters is 0.03 to 0.04, and holding out
# whole mice does not lower R2. In simulations of 300 cells in six batches, which shift outputs by
# 0.7 SD and every gene by 0.1, 0.2 or 0.3 SD, the index is 0.02, 0.12 or 0.31, and random folds
# overestimate the R2 of ridge by 0.05, 0.15 or 0.22.
BATCH_INDEX, BATCH_DEVIATIONS = 0.06, 4.0
# share of an output's variance within types that batches explain; in M1, mice explain 0.17
SHARE_OF_BATCH = 0.5
N_PERMUTATIONS = 20
# limits for the neighbour search; larger numbers do not change the index
MOST_CELLS, N_COMPONENTS = 3000, 20
# correlation of a gene with the library size, and share of genes above this value
FOLLOWS, MANY_GENES = 0.3, 0.4
FEW_COUNTS = 100
FEW_VALUES, NEARLY_ALL = 5, 0.8
SAME = 0.999
# share of variance due to one cell, and distance from the median in robust SDs
OF_ONE_CELL, FAR = 0.2, 10.0


def cautions(data, record=None, groups=None):
    """List cautions about the data, one sentence each.

    Batches are given by `groups`, of shape (n,), and by labels with names such as "mouse". With a
    `record`, only batches that its folds split are considered.
    """
    data = as_paired(data)
    if record is not None:
        outputs_of(record, data)  # rejects other data
    found = [f"{data.n_cells} cells are few: {WORTH_OF_CELLS}"] if data.n_cells < FEW_CELLS else []
    found += [*_types(data), *_outputs(data), *_counts(data)]
    names = [name for name in data.labels if BATCHES.search(str(name).lower())]
    batches = data.labels[names].astype(object).fillna(UNKNOWN)
    if groups is not None:  # named after the label column with the same values, if there is one
        groups = np.asarray(groups).astype(str)
        columns = [
            name for name in data.labels if np.array_equal(data.labels[name].astype(str), groups)
        ]
        batches[[*columns, "groups"][0]] = groups
    batches = {name: labels.to_numpy() for name, labels in batches.astype(str).items()}
    if record is not None:
        batches = {name: labels for name, labels in batches.items() if split_groups(record, labels)}
    return [*found, *_batches(data, batches)]


def batch_index(X, batches, types=None, seed=0):
    """Excess, over chance, of nearest neighbours from the same batch; chance is estimated within
    types.

    The excess is returned as a share of its maximum, and in SDs of the values expected by chance.
    """
    n, random = len(batches), np.random.default_rng(seed)
    types = np.zeros(n) if types is None else types
    batches, types = (
        np.unique(np.asarray(labels).astype(str), return_inverse=True)[1]
        for labels in (batches, types)
    )
    k = min(NEIGHBOURS, n - 1)
    places = PCA(min(N_COMPONENTS, n - 1, X.shape[1]), random_state=0).fit_transform(
        scale(X.astype(np.float64))
    )
    nearest = NearestNeighbors(n_neighbors=k).fit(places).kneighbors(return_distance=False)

    def shared(labels):
        return (labels[nearest] == labels[:, np.newaxis]).mean()

    measured, dealt = shared(batches), np.zeros(N_PERMUTATIONS)
    of_types = np.argsort(types, kind="stable")
    for i in range(N_PERMUTATIONS):
        labels = np.empty_like(batches)
        labels[of_types] = batches[np.lexsort((random.random(n), types))]
        dealt[i] = shared(labels)
    above = measured - dealt.mean()
    room = (np.minimum(np.bincount(batches)[batches] - 1, k).mean() / k) - dealt.mean()
    return tuple(float(above / most) if most > 0 else 0.0 for most in (room, dealt.std()))


def _types(data):
    """Cautions about types that contain most of the cells or very few cells."""
    sizes = {
        kind: data.labels[kind][data.labels[kind] != UNKNOWN].value_counts()
        for kind in ("type", "family")
    }
    large = [
        kind for kind, n in sizes.items() if len(n) > 1 and n.iloc[0] > MOST_OF_ONE_TYPE * n.sum()
    ]
    for kind in large[:1]:  # the family of a large type is large too
        share, largest = sizes[kind].iloc[0] / sizes[kind].sum(), sizes[kind].index[0]
        advice = f"R2 and genes mostly reflect this {kind}; analyse it separately from the others (adata[cells])."
        yield f"{share:.0%} of the cells are of one {kind}, {largest!r}: {advice}"
    types = sizes["type"]
    rare = types[types < FEW_CELLS_OF_TYPE]
    if len(types) > 1 and len(rare):
        which = f"{len(rare)} of {len(types)} ({some(rare.index, 3)})"
        advice = "these are too few for conclusions about single types; use the families, or merge types."
        yield f"types with fewer than {FEW_CELLS_OF_TYPE} cells: {which}; {advice}"


def _outputs(data):
    """Cautions about uninformative or duplicate outputs, and about single cells that dominate the R2 of an output."""
    Y, names = data.Y.astype(np.float64), data.feature_names.astype(object)
    values = pd.DataFrame(data.Y)
    few = (values.nunique() <= FEW_VALUES).to_numpy(bool)
    constant = (
        values.apply(lambda y: y.value_counts().max() > NEARLY_ALL * len(y)).to_numpy(bool) & ~few
    )
    if few.any():
        advice = (
            "R2 is a poor measure for these outputs; pass them as labels if they are categories."
        )
        yield f"outputs with at most {FEW_VALUES} different values: {some(names[few], 3)}; {advice}"
    if constant.any():
        which, advice = some(names[constant], 3), "check these cells, or leave out such outputs."
        others = f"in more than {NEARLY_ALL:.0%} of the cells: {which}; the few other cells dominate their R2"
        yield f"outputs with the same value {others}; {advice}"
    same = np.argwhere(np.triu(np.abs(np.corrcoef(Y.T)), 1) > SAME) if Y.shape[1] > 1 else []
    if len(same):
        which = some([" and ".join(names[i]) for i in same], 3)
        advice = "they count twice in R2; leave out one of each pair."
        yield f"outputs that are copies of each other (|r| > {SAME}): {which}; {advice}"
    shares = np.square(Y - Y.mean(0)) / np.square(Y - Y.mean(0)).sum(0)
    spread = np.abs(Y - np.median(Y, axis=0))
    far = spread > FAR * 1.4826 * np.median(spread, axis=0)
    ruled, which = np.flatnonzero(((shares > OF_ONE_CELL) & far).any(0)), []
    for i, j in zip(shares[:, ruled].argmax(0), ruled, strict=True):
        value = f"{shares[i, j]:.0%} of the variance, value {Y[i, j]:.4g}, median {np.median(Y[:, j]):.4g}"
        which.append(f"{str(names[j])!r} (cell {str(data.cell_names[i])!r}: {value})")
    if which:
        yield f"outputs with an R2 dominated by one cell: {some(which)}; check these values, or leave out the cell."


def _counts(data):
    """Cautions about low counts, and about expression that correlates with the library size."""
    if data.counts is None:
        return
    library = np.asarray(data.counts.sum(axis=1), dtype=np.float64).ravel()
    if np.median(library) < FEW_COUNTS:
        advice = "counting noise dominates; use genes with more counts, or sequence more deeply."
        yield f"the median cell has {np.median(library):.0f} counts in these genes: {advice}"
    size = scale(np.log(library + 1))
    follow = np.abs(scale(data.X.astype(np.float64)).T @ size) / len(size) > FOLLOWS
    if follow.mean() > MANY_GENES:
        which = f"{follow.mean():.0%} of the genes correlate with the library size of the cells (|r| > {FOLLOWS})"
        advice = "pass raw counts, which are then normalised (counts=True, --counts)."
        yield f"{which}: they reflect sequencing depth; {advice}"


def _batches(data, batches):
    """Cautions about batches, at most one of each kind; `batches` maps each name to the labels of the cells."""
    similar, explained = {}, {}
    types = data.labels["type" if data.labels["type"].nunique() > 1 else "family"].to_numpy(
        dtype=str
    )
    for name, labels in batches.items():
        cells = np.flatnonzero(~np.isin(labels, [UNKNOWN, ""]))
        if len(cells) > MOST_CELLS:
            cells = np.sort(np.random.default_rng(0).choice(cells, MOST_CELLS, replace=False))
        if len(cells) < 20 or len(np.unique(labels[cells])) < 2:
            continue
        unsure = (
            "" if len(np.unique(types[cells])) > 1 else ", although unknown types may be the reason"
        )
        index, deviations = batch_index(data.X[cells], labels[cells], types[cells])
        if index > BATCH_INDEX and deviations > BATCH_DEVIATIONS:
            similar[name] = (
                f"batch index {index:.2f} of 1, {deviations:.0f} SD above chance{unsure}"
            )
        shares = _explained(data.Y[cells].astype(np.float64), labels[cells], types[cells])
        shares = pd.Series(shares, data.feature_names)
        high = shares[shares > SHARE_OF_BATCH].sort_values(ascending=False)
        if len(high):
            explained[name] = (
                some([f"{output} {share:.0%}" for output, share in high.items()], 3) + unsure
            )
    for found, begin, end in (
        (
            similar,
            "cells of the same",
            "are more similar than their types explain, which inflates R2 if folds split "
            "these cells",
        ),
        (
            explained,
            "most of the variance of some outputs within types is explained by",
            "and genes may predict the batch instead of the cell",
        ),
    ):
        if found:
            options = "".join(f", `--groups {name}`" for name in found if name != "groups")
            advice = f"hold out whole groups (grouped_folds{options}) to measure R2 on new groups."
            yield f"{begin} {', '.join(f'{name!r} ({how})' for name, how in found.items())} {end}; {advice}"


def _explained(Y, batches, types):
    """Adjusted R2, of shape (q,), of predicting outputs by batch means after subtracting the mean of each type."""
    freedom = len(Y) - len(np.unique(types))
    left = freedom - len(np.unique(batches)) + 1
    if left < 10:
        return np.full(Y.shape[1], np.nan)
    Y = pd.DataFrame(Y)
    residual = Y - Y.groupby(types).transform("mean")
    total = np.square(residual).sum(axis=0).to_numpy()
    rest = np.square(residual - residual.groupby(batches).transform("mean")).sum(axis=0).to_numpy()
    return 1 - np.divide(rest, total, out=np.ones_like(total), where=total > 0) * freedom / left
