"""Cautions about the data of a result: few cells, batches, rare types, uninformative outputs.

Each caution is one sentence with the measured number and advice. The thresholds are set so that clean simulated data,
and mouse M1 except for its many rare types, give none.
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
    "on mouse M1, 30 training cells gave a test R2 of 0.24, 60 of 0.33, 120 of 0.38 and 1092 of 0.46, and with few "
    "cells other cells give other genes; trust intervals more than means, and measure more cells if you can."
)
FEW_CELLS_OF_TYPE = 5
MOST_OF_ONE_TYPE = 0.6
#: Words in the name of a label that suggest a label shared by cells measured together.
BATCHES = re.compile(
    "(?<![a-z])(animal|batch|brain|channel|chip|date|day|donor|experiment|experimenter|individual|lab|lane|library|mouse|"
    "operator|patient|plate|pool|rig|run|session|site|slice|specimen|subject|user)(?![a-z])"
)
# The mice, dates and experimenters of mouse M1 have an index of 0.03 to 0.04; holding out whole mice does not lower R2
# there. Simulated batches (six of 300 cells) that move outputs by 0.7 SD and every gene by 0.1, 0.2 or 0.3 SD have
# 0.02, 0.12 and 0.31, and random folds overstate R2 of ridge by 0.05, 0.15 and 0.22.
BATCH_INDEX, BATCH_DEVIATIONS = 0.06, 4.0
SHARE_OF_BATCH = 0.5  # of the variance of an output within types; the mice of M1 reach 0.17
N_PERMUTATIONS = 20
MOST_CELLS, N_COMPONENTS = 3000, 20  # used for neighbours; more do not change the index
FOLLOWS, MANY_GENES = 0.3, 0.4  # correlation with the library size, and share of genes with it
FEW_COUNTS = 100
FEW_VALUES, NEARLY_ALL = 5, 0.8
SAME = 0.999
OF_ONE_CELL, FAR = 0.2, 10.0  # share of an output's variance, and robust SDs from its median


def cautions(data, record=None, groups=None):
    """List cautions about these data, a sentence each.

    Batches are the `groups` (n,) and labels with names like "mouse", unless the folds of `record` hold them together.
    """
    data = as_paired(data)
    if record is not None:
        outputs_of(record, data)  # rejects other data
    found = [f"{data.n_cells} cells are few: {WORTH_OF_CELLS}"] if data.n_cells < FEW_CELLS else []
    found += [*_types(data), *_outputs(data), *_counts(data)]
    names = [name for name in data.labels if BATCHES.search(str(name).lower())]
    batches = data.labels[names].astype(object).fillna(UNKNOWN)
    if groups is not None:  # by the name of their column, if any
        groups = np.asarray(groups).astype(str)
        columns = [name for name in data.labels if np.array_equal(data.labels[name].astype(str), groups)]
        batches[[*columns, "groups"][0]] = groups
    batches = {name: labels.to_numpy() for name, labels in batches.astype(str).items()}
    if record is not None:
        batches = {name: labels for name, labels in batches.items() if split_groups(record, labels)}
    return [*found, *_batches(data, batches)]


def batch_index(X, batches, types=None, seed=0):
    """Excess of neighbours of the same batch over chance, within types: as a share, and in SDs of chance."""
    n, random = len(batches), np.random.default_rng(seed)
    types = np.zeros(n) if types is None else types
    batches, types = (np.unique(np.asarray(labels).astype(str), return_inverse=True)[1] for labels in (batches, types))
    k = min(NEIGHBOURS, n - 1)
    places = PCA(min(N_COMPONENTS, n - 1, X.shape[1]), random_state=0).fit_transform(scale(X.astype(np.float64)))
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
    """Types with most of the cells, or with very few."""
    sizes = {kind: data.labels[kind][data.labels[kind] != UNKNOWN].value_counts() for kind in ("type", "family")}
    large = [kind for kind, n in sizes.items() if len(n) > 1 and n.iloc[0] > MOST_OF_ONE_TYPE * n.sum()]
    for kind in large[:1]:  # the family of a large type is large too
        share, largest = sizes[kind].iloc[0] / sizes[kind].sum(), sizes[kind].index[0]
        advice = "R2 and genes mostly reflect it; analyse it and the others separately (adata[cells])."
        yield f"{share:.0%} of the cells are of one {kind}, {largest!r}: {advice}"
    types = sizes["type"]
    rare = types[types < FEW_CELLS_OF_TYPE]
    if len(types) > 1 and len(rare):
        which = f"{len(rare)} of {len(types)} ({some(rare.index, 3)})"
        advice = "too few for conclusions on single types; use the families, or merge types."
        yield f"types of fewer than {FEW_CELLS_OF_TYPE} cells: {which}; {advice}"


def _outputs(data):
    """Uninformative or duplicate outputs, and single cells that dominate the R2 of an output."""
    Y, names = data.Y.astype(np.float64), data.feature_names.astype(object)
    values = pd.DataFrame(data.Y)
    few = (values.nunique() <= FEW_VALUES).to_numpy(bool)
    constant = values.apply(lambda y: y.value_counts().max() > NEARLY_ALL * len(y)).to_numpy(bool) & ~few
    if few.any():
        advice = "R2 is a poor measure for them; pass them as labels if they are kinds of cells."
        yield f"outputs with at most {FEW_VALUES} different values: {some(names[few], 3)}; {advice}"
    if constant.any():
        which, advice = some(names[constant], 3), "check these, or leave such outputs out."
        others = f"in more than {NEARLY_ALL:.0%} of the cells: {which}; the few others dominate their R2"
        yield f"outputs with the same value {others}, {advice}"
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
        value = f"{shares[i, j]:.0%} of the variance, {Y[i, j]:.4g}, median {np.median(Y[:, j]):.4g}"
        which.append(f"{str(names[j])!r} (cell {str(data.cell_names[i])!r}: {value})")
    if which:
        yield f"outputs whose R2 a single cell dominates: {some(which)}; check these values, or leave them out."


def _counts(data):
    """Few counts, and expression that correlates with the library size."""
    if data.counts is None:
        return
    library = np.asarray(data.counts.sum(axis=1), dtype=np.float64).ravel()
    if np.median(library) < FEW_COUNTS:
        advice = "counting noise dominates; use genes with more counts, or sequence deeper."
        yield f"the median cell has {np.median(library):.0f} counts in these genes: {advice}"
    size = scale(np.log(library + 1))
    follow = np.abs(scale(data.X.astype(np.float64)).T @ size) / len(size) > FOLLOWS
    if follow.mean() > MANY_GENES:
        which = f"{follow.mean():.0%} of the genes correlate with the library size of the cells (|r| > {FOLLOWS})"
        advice = "pass raw counts, which are then normalised (counts=True, --counts)."
        yield f"{which}: they reflect sequencing depth; {advice}"


def _batches(data, batches):
    """Cautions about labels of cells measured together, name -> label of each cell; one caution of each kind."""
    similar, explained = {}, {}
    types = data.labels["type" if data.labels["type"].nunique() > 1 else "family"].to_numpy(dtype=str)
    for name, labels in batches.items():
        cells = np.flatnonzero(~np.isin(labels, [UNKNOWN, ""]))
        if len(cells) > MOST_CELLS:
            cells = np.sort(np.random.default_rng(0).choice(cells, MOST_CELLS, replace=False))
        if len(cells) < 20 or len(np.unique(labels[cells])) < 2:
            continue
        unsure = "" if len(np.unique(types[cells])) > 1 else ", though unknown types may be the reason"
        index, deviations = batch_index(data.X[cells], labels[cells], types[cells])
        if index > BATCH_INDEX and deviations > BATCH_DEVIATIONS:
            similar[name] = f"batch index {index:.2f} of 1, {deviations:.0f} SD above chance{unsure}"
        shares = _explained(data.Y[cells].astype(np.float64), labels[cells], types[cells])
        shares = pd.Series(shares, data.feature_names)
        high = shares[shares > SHARE_OF_BATCH].sort_values(ascending=False)
        if len(high):
            explained[name] = some([f"{output} {share:.0%}" for output, share in high.items()], 3) + unsure
    for found, begin, end in (
        (similar, "cells of the same", "are more similar than their types explain: shared variation counts as "
         "prediction if folds split them"),
        (explained, "most of the variance of some outputs within types is explained by", "and genes may predict the "
         "batch instead of the cell"),
    ):  # fmt: skip
        if found:
            options = "".join(f", `--groups {name}`" for name in found if name != "groups")
            advice = f"hold out whole groups (grouped_folds{options}) to measure R2 on new ones."
            yield f"{begin} {', '.join(f'{name!r} ({how})' for name, how in found.items())} {end}; {advice}"


def _explained(Y, batches, types):
    """Adjusted R2 of batch means for the outputs minus their type means, shape (q,)."""
    freedom = len(Y) - len(np.unique(types))
    left = freedom - len(np.unique(batches)) + 1
    if left < 10:
        return np.full(Y.shape[1], np.nan)
    Y = pd.DataFrame(Y)
    residual = Y - Y.groupby(types).transform("mean")
    total = np.square(residual).sum(axis=0).to_numpy()
    rest = np.square(residual - residual.groupby(batches).transform("mean")).sum(axis=0).to_numpy()
    return 1 - np.divide(rest, total, out=np.ones_like(total), where=total > 0) * freedom / left
