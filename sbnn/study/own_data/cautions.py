"""Cautions about the data behind a result: few cells, batches, rare types, uninformative outputs.

Each is one sentence with the measured number and advice. The thresholds were chosen such that clean
simulated data cause no cautions, and mouse M1 only the one about rare types.
"""

import re

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import scale

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.counts import size_of_library
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
#: Names of labels of cells that were measured together.
BATCHES = re.compile(
    "(?<![a-z])(animal|batch|brain|channel|chip|date|day|donor|experiment|experimenter|individual|"
    "lab|lane|library|mouse|operator|patient|plate|pool|rig|run|session|site|slice|specimen|"
    "subject|user)(?![a-z])"
)
# It is at most 0.04 in mouse M1, where holding out whole mice does not lower R2. In 300 simulated
# cells of six batches, it is 0.02 or 0.12 if random folds overestimate R2 by 0.05 or 0.15.
BATCH_INDEX = 0.06
BATCH_DEVIATIONS = 4.0
# share of the variance of an output within types; in M1, mice explain 0.17
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

    Batches are `groups`, of shape (n,), and labels with names such as "mouse". With a `record`,
    only those that its folds split are considered.
    """
    data = as_paired(data)
    batches = _labels_of_batches(data, groups)
    if record is not None:
        outputs_of(record, data)
        batches = {name: of for name, of in batches.items() if split_groups(record, of)}
    found = []
    if data.n_cells < FEW_CELLS:
        found.append(f"{data.n_cells} cells are few: {WORTH_OF_CELLS}")
    return [*found, *_types(data), *_outputs(data), *_counts(data), *_batches(data, batches)]


def _labels_of_batches(data, groups):
    batches = {}
    for name in data.labels:
        if BATCHES.search(str(name).lower()):
            labels = data.labels[name].astype(object)
            batches[name] = labels.where(labels.notna(), UNKNOWN).to_numpy(str)
    if groups is not None:
        groups = np.asarray(groups).astype(str)
        if not any(np.array_equal(groups, labels) for labels in batches.values()):
            batches["groups"] = groups
    return batches


def batch_index(X, batches, types):
    """Excess over chance, within types, of nearest neighbours of the same batch.

    Returns the share of its maximum, and the excess in SDs of chance.
    """
    n = len(X)
    batches, _ = pd.factorize(batches)
    k = min(NEIGHBOURS, n - 1)
    components = PCA(min(N_COMPONENTS, n - 1, X.shape[1]), random_state=0)
    places = components.fit_transform(scale(X.astype(np.float64)))
    nearest = NearestNeighbors(n_neighbors=k).fit(places).kneighbors(return_distance=False)

    def shared(labels):
        return (labels[nearest] == labels[:, np.newaxis]).mean()

    random = np.random.default_rng(0)
    by_type = np.argsort(types, kind="stable")
    permuted = np.zeros(N_PERMUTATIONS)
    for i in range(N_PERMUTATIONS):
        labels = np.empty_like(batches)
        labels[by_type] = batches[np.lexsort((random.random(n), types))]
        permuted[i] = shared(labels)
    others = np.bincount(batches)[batches] - 1  # other cells of the batch of each cell
    most = np.minimum(others, k).mean() / k
    excess = shared(batches) - permuted.mean()
    with np.errstate(invalid="ignore"):  # 0 / 0 if all permutations are the same
        return excess / (most - permuted.mean()), excess / permuted.std()


def _types(data):
    known = {}
    for kind in ("type", "family"):
        known[kind] = data.labels[kind][data.labels[kind] != UNKNOWN]
        shares = known[kind].value_counts(normalize=True)
        if len(shares) > 1 and shares.iloc[0] > MOST_OF_ONE_TYPE:
            yield (
                f"{shares.iloc[0]:.0%} of the cells are of one {kind}, {shares.index[0]!r}: R2 and "
                f"genes mostly reflect this {kind}; analyse it separately from the others "
                "(adata[cells])."
            )
            break  # the family of a large type is large too
    sizes = known["type"].value_counts()
    rare = sizes.index[sizes < FEW_CELLS_OF_TYPE]
    if len(sizes) > 1 and len(rare):
        yield (
            f"types with fewer than {FEW_CELLS_OF_TYPE} cells: {len(rare)} of {len(sizes)} "
            f"({some(rare, 3)}); these are too few for conclusions about single types; use the "
            "families, or merge types."
        )


def _outputs(data):
    Y = pd.DataFrame(data.Y.astype(np.float64), data.cell_names, data.feature_names)
    few = Y.nunique() <= FEW_VALUES
    most_frequent = Y.apply(lambda values: values.value_counts().max())
    constant = (most_frequent > NEARLY_ALL * len(Y)) & ~few
    copies = np.argwhere(np.triu(np.abs(Y.corr()), 1) > SAME)
    squares = np.square(Y - Y.mean())
    distance = np.abs(Y - Y.median())
    dominant = squares > OF_ONE_CELL * squares.sum()
    dominant &= distance > FAR * 1.4826 * distance.median()
    found = (
        (
            f"with at most {FEW_VALUES} different values",
            Y.columns[few],
            "R2 is a poor measure for these outputs; pass them as labels if they are categories",
        ),
        (
            f"with the same value in more than {NEARLY_ALL:.0%} of the cells",
            Y.columns[constant],
            "the few other cells dominate their R2; check these cells, or leave out such outputs",
        ),
        (
            f"that are copies of each other (|r| > {SAME})",
            [f"{Y.columns[i]} and {Y.columns[j]}" for i, j in copies],
            "they count twice in R2; leave out one of each pair",
        ),
        (
            f"of which one cell has more than {OF_ONE_CELL:.0%} of the variance",
            [f"{output} ({cell})" for output, cell in _places(dominant)],
            "check these values, or leave out the cell",
        ),
    )
    for what, outputs, advice in found:
        if len(outputs):
            yield f"outputs {what}: {some(outputs, 3)}; {advice}."


def _places(marked):
    marked = marked.T.stack()
    return marked.index[marked]


def _counts(data):
    if data.counts is None:
        return
    library = np.asarray(data.counts.sum(axis=1), dtype=np.float64).ravel()
    if np.median(library) < FEW_COUNTS:
        yield (
            f"the median cell has {np.median(library):.0f} counts in these genes: counting noise "
            "dominates; use genes with more counts, or sequence more deeply."
        )
    size = scale(np.log(library + 1))
    correlation = scale(data.X.astype(np.float64)).T @ size / len(size)
    share = (np.abs(correlation) > FOLLOWS).mean()
    if share > MANY_GENES:
        advice = "normalise X (normalize_library_size)"
        if size_of_library(data.X, data.counts) is not None:
            # In simulations, no gene does so within types. With 20 % ambient counts, 63 % of the
            # genes do, and 9 % if half of the cells are left out.
            advice = (
                "X is normalised already, so types differ in depth, or cells with few counts are "
                "contaminated; analyse single types, or leave out the cells with the fewest counts"
            )
        yield (
            f"{share:.0%} of the genes correlate with the library size of the cells (|r| > "
            f"{FOLLOWS}): they reflect sequencing depth; {advice}."
        )


def _batches(data, batches):
    kind = "type" if data.labels["type"].nunique() > 1 else "family"
    all_types = data.labels[kind].to_numpy(dtype=str)
    for name, labels in batches.items():
        cells = np.flatnonzero(~np.isin(labels, [UNKNOWN, ""]))
        if len(cells) > MOST_CELLS:
            cells = np.sort(np.random.default_rng(0).choice(cells, MOST_CELLS, replace=False))
        labels = labels[cells]
        types = all_types[cells]
        if len(cells) < LEAST_CELLS or len(np.unique(labels)) < 2:
            continue
        unsure = ""
        if len(np.unique(types)) == 1:
            unsure = ", although unknown types may be the reason"
        advice = (
            f"{unsure}; hold out whole groups (grouped_folds, --groups) to measure R2 on new ones."
        )
        index, deviations = batch_index(data.X[cells], labels, types)
        if index > BATCH_INDEX and deviations > BATCH_DEVIATIONS:
            yield (
                f"cells of the same {name!r} are more similar than their types explain (batch "
                f"index {index:.2f} of 1, {deviations:.0f} SD above chance), which inflates R2 if "
                f"folds split these cells{advice}"
            )
        Y = pd.DataFrame(data.Y[cells].astype(np.float64), columns=data.feature_names)
        shares = _explained(Y, labels, types)
        high = shares[shares > SHARE_OF_BATCH].sort_values(ascending=False)
        if len(high):
            outputs = [f"{output} {share:.0%}" for output, share in high.items()]
            yield (
                f"most of the variance of some outputs within types is explained by {name!r} "
                f"({some(outputs, 3)}), and genes may predict it instead of the cell{advice}"
            )


def _explained(Y, batches, types):
    """Adjusted R2 of batch means as predictions of outputs minus type means."""
    freedom = len(Y) - len(np.unique(types))
    left = freedom - len(np.unique(batches)) + 1
    residual = Y - Y.groupby(types).transform("mean")
    rest = residual - residual.groupby(batches).transform("mean")
    share = np.square(rest).sum() / np.square(residual).sum()
    return 1 - share * freedom / left if left >= 10 else share * np.nan
