"""What a test R2 is worth: beside permuted outputs, beside ridge, and beside another model on the same folds."""

import math
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from scipy.stats import t as student
from sklearn.preprocessing import StandardScaler

from sbnn.data.paired import as_paired
from sbnn.evaluation.folds import split_fold
from sbnn.results import Record

LEVEL = 0.05
LEVEL_WITH = 0.05  # a difference of R2 whose whole interval is smaller is none to speak of
N_PERMUTATIONS = 199
N_PERMUTATIONS_OF_OUTPUTS = 999, 4999  # more, since p is corrected for the number of outputs


class PairedDifference(NamedTuple):
    """Mean difference over the same folds, its interval, corrected standard error, two-sided p and their number."""

    mean: float
    low: float
    high: float
    se: float
    p: float
    n: int

    def __str__(self):
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


class Verdict(NamedTuple):
    """What a cross-validation says; p is NaN where chance cannot be estimated, which the sentence explains."""

    test_r2: float
    sd: float
    permuted_r2: float
    p: float
    difference: PairedDifference | None
    sentence: str

    def __str__(self):
        return self.sentence

    @property
    def better_than_chance(self):
        """Whether held-out cells are predicted better than by chance; None where that is unknown."""
        return None if np.isnan(self.p) else bool(self.p <= LEVEL and self.test_r2 > 0)


def chance_table(record, data, n_permutations=N_PERMUTATIONS, seed=0, points=None):
    """Test R2 of every grid point, and what is left of it when the outputs of the test cells change places.

    The predictions stay, and the outputs of the test cells of each fold are permuted.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`, with its predictions.
    data : AnnData, MuData, tuple (X, Y) or Record
        What was cross-validated, or a fit of it (`sbnn.fit_full`), which holds its outputs.
    n_permutations, seed : int
    points : sequence of int, optional
        Only these positions in the grid.

    Returns
    -------
    DataFrame
        By position in the grid, of the points with predictions: ``test_r2``, ``permuted_r2`` (means over folds) and
        ``p``, the share of permutations that are at least as good, the measured one among them.
    """
    Y, _ = _outputs_of(record, data)
    points = [g for g in _predicted_points(record) if points is None or g in points]
    r2 = _permuted_r2(record, Y, points, n_permutations, seed, pooled=True)[:, :, 0]
    return _beside_permuted(r2, pd.Index(points))


def outputs_table(record, data, ridge=None, point=0, n_permutations=None, seed=0):
    """Which outputs are predicted better than by chance (Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289, 1995).

    NaN of an output that is constant in the test cells of a fold. There are 999 permutations, and more for more than
    24 outputs: p of one output has to be small enough for all.
    """
    Y, names = _outputs_of(record, data)
    if point not in _predicted_points(record):
        raise ValueError(f"point: the record holds no predictions of grid point {point}; cross-validate it anew")
    if n_permutations is None:
        n_permutations = int(np.clip(40 * Y.shape[1], *N_PERMUTATIONS_OF_OUTPUTS))
    if least_p(record, n_permutations) > LEVEL:
        raise ValueError("record: the folds test too few cells, or n_permutations is too small, to tell chance")
    r2 = _permuted_r2(record, Y, [point], n_permutations, seed, pooled=False)[:, 0]
    table = _beside_permuted(r2, pd.Index(names, name="output"))
    known = table.p.notna()
    table["adjusted_p"] = np.nan
    if known.any():
        table.loc[known, "adjusted_p"] = false_discovery_control(table.p[known])
    if ridge is not None:
        table["ridge_r2"] = ridge.test_feature_r2[:, 0].mean(0)
    table["better_than_chance"] = (table.adjusted_p <= LEVEL) & (table.test_r2 > 0)
    return table


def _permuted_r2(record, Y, points, n_permutations, seed, pooled):
    """Mean test R2 over the folds as measured and with permuted outputs, (1 + permutations, points, 1 or q)."""
    r2 = np.zeros((1 + n_permutations, len(points), 1 if pooled else Y.shape[1]))
    for f, fold in enumerate(record.folds if points else ()):
        outputs, middle = _held_out_outputs(Y, fold, record.settings.get("scaling", "fold"))
        total = np.square(outputs).sum(None if pooled else 0)
        total = np.where(total > 0, total, np.nan)
        random = np.random.default_rng((seed, f))  # the same places for all grid points
        orders = [slice(None), *(random.permutation(len(outputs)) for _ in range(n_permutations))]
        for i, g in enumerate(points):
            predicted = np.asarray(record.test_predictions[g][f], dtype=np.float64).reshape(outputs.shape) - middle
            size = np.square(predicted).sum(None if pooled else 0)
            for k, order in enumerate(orders):
                shared = np.vdot(predicted, outputs[order]) if pooled else (predicted * outputs[order]).sum(0)
                r2[k, i] += (2 * shared - size) / total / len(record.folds)
    return r2


def _beside_permuted(r2, index):
    """Measured R2, the mean with permuted outputs and p, the share of permutations that are at least as good."""
    p = (r2 >= r2[0] - 1e-12).mean(0)  # the measured one is among them
    columns = {"test_r2": r2[0], "permuted_r2": r2[1:].mean(0), "p": np.where(np.isfinite(r2[0]), p, np.nan)}
    return pd.DataFrame(columns, index)


def least_p(record, n_permutations=N_PERMUTATIONS):
    """Smallest p that permutations of the test cells can give: 1 where every fold tests a single cell."""
    orders = sum(math.lgamma(1 + len(test)) for _, test in record.folds)  # logarithm of how many there are
    return max(1 / (1 + n_permutations), math.exp(-orders))


def warn_of_chance(record, data):
    """Warn if grid points of a cross-validation predict held-out cells no better than permuted outputs would be."""
    table = chance_table(record, data)
    chance = table[table.p > LEVEL]
    if len(chance) and least_p(record) <= LEVEL:
        best = chance.loc[chance.test_r2.idxmax()]
        some = "" if len(record.params) == 1 else f"{len(chance)} of {len(record.params)} grid points: "
        warnings.warn(
            f"{some}held-out cells of {record.dataset!r} are not predicted better than by chance (test R2 "
            f"{best.test_r2:.3f}, with permuted outputs {best.permuted_r2:.3f}, p = {best.p:.2f})",
            stacklevel=3,
        )


def _outputs_of(record, data):
    """Outputs that a record predicts and their names, from the data or a fit; an error if it is of other data."""
    fitted = isinstance(data, Record)
    data = data if fitted else as_paired(data)
    name = data.dataset if fitted else data.name
    if (record.dataset, record.sha256) != (name, data.sha256):
        raise ValueError(f"record: it is of other data than the {name!r} that is given")
    if fitted and record.settings.get("scaling") == "none":
        raise ValueError("data: a fit holds z-scored outputs, and the record is of outputs as they are; give the data")
    return (data.outputs if fitted else data.Y), np.asarray(data.feature_names).astype(str)


def _predicted_points(record):
    """Positions of the grid points whose predictions a record holds."""
    kept = record.values.get("test_predictions", [])
    return [g for g, predicted in enumerate(kept) if all(one is not None for one in predicted)]


def _held_out_outputs(Y, fold, scaling):
    """Scaled outputs of the test cells of a fold, about the means of its training cells; and these means."""
    if scaling == "all":
        Y = StandardScaler().fit_transform(Y.astype(np.float64)).astype(np.float32)
    no_genes = np.zeros((len(Y), 1), np.float32)
    _, Y_train, _, Y_test = split_fold((no_genes, Y, None), fold, scaling)
    middle = Y_train.mean(axis=0, dtype=np.float64)
    return Y_test - middle, middle


def corrected_difference(differences, test_share, confidence=0.95):
    """Mean of differences over the folds of one or several cross-validations, with its corrected interval.

    Training sets of different folds share most of their cells, and the folds of one repeat are not independent of those
    of the next: the variance of the mean is ``(1 / n + test_share) * s**2`` in place of ``s**2 / n``, where
    `test_share` is test cells per training cell (1/4 for five folds; 0 for independent differences), with Student's t
    of n - 1 degrees of freedom. Nadeau and Bengio, Machine Learning 52, 239 (2003), section 3.2; for repeated
    cross-validation Bouckaert and Frank, PAKDD 2004.
    """
    differences = np.asarray(differences, dtype=np.float64).ravel()
    n = len(differences)
    if n < 2 or not np.isfinite(differences).all():
        raise ValueError(f"differences: expected at least two finite numbers, got {differences}")
    mean = float(differences.mean())
    se = float(np.sqrt((1 / n + test_share) * differences.var(ddof=1)))
    half = float(student.ppf((1 + confidence) / 2, n - 1)) * se
    p = float(2 * student.sf(abs(mean) / se, n - 1)) if se else float(mean == 0)
    return PairedDifference(mean, mean - half, mean + half, se, p, n)


def paired_difference(a, b, metric="macro_f1", points=(0, 0)):
    """By how much `metric` of a grid point of record `a` is larger than that of `b` on the same folds."""
    require_same_folds(a, b)
    test_share = np.mean([len(test) / len(train) for train, test in a.folds])
    return corrected_difference(a.values[metric][:, points[0]] - b.values[metric][:, points[1]], test_share)


def require_same_folds(a, b):
    """Refuse two records whose folds cannot be paired."""
    for part in ("dataset", "sha256"):
        if getattr(a, part) != getattr(b, part):
            raise ValueError(
                f"a and b are of different data: {part} {getattr(a, part)[:20]!r}, {getattr(b, part)[:20]!r}"
            )
    if "true" in a.values and not np.array_equal(a.values["true"], b.values.get("true")):
        raise ValueError("a and b predict different labels")
    if not have_same_folds(a, b):
        raise ValueError(f"a and b have different folds ({len(a.folds)} and {len(b.folds)})")


def have_same_folds(a, b):
    """Whether two records train on and test the same cells, fold by fold."""
    return len(a.folds) == len(b.folds) and all(
        np.array_equal(one, other)
        for fold, its in zip(a.folds, b.folds, strict=True)
        for one, other in zip(fold, its, strict=True)
    )


def verdict(record, data=None, ridge=None, point=0, groups=None, *, n_permutations=N_PERMUTATIONS, seed=0):
    """Say in one sentence what the test R2 of a grid point is worth.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`.
    data : AnnData, MuData, tuple (X, Y) or Record, optional
        What was cross-validated, or a fit of it (`sbnn.fit_full`). Without it chance is unknown.
    ridge : Record, optional
        Cross-validation of ridge, one grid point, on the same folds.
    point : int
        Position in the grid.
    groups : array-like of shape (n,), optional
        Donor, batch or date of each cell. The sentence says so if folds split them: what cells of one donor share
        beside their genes then looks like prediction, which permuting does not show.
    n_permutations, seed : int
        As for `chance_table`.

    Returns
    -------
    Verdict
        ``test_r2`` and ``sd`` over the folds, ``permuted_r2``, ``p``, ``difference`` to ridge with the corrected
        interval (None with a single fold), ``sentence`` and ``better_than_chance``.
    """
    if n_permutations < 1 / LEVEL - 1:
        raise ValueError(f"n_permutations: {n_permutations} cannot tell p <= {LEVEL}, expected at least 19")
    r2 = record.test_r2[:, point]
    mean, sd = float(r2.mean()), float(r2.std(ddof=1)) if len(r2) > 1 else np.nan
    permuted, p, unknown = _chance(record, data, point, n_permutations, seed)
    if ridge is not None:
        require_same_folds(record, ridge)
    several = ridge is not None and len(r2) > 1
    difference = paired_difference(record, ridge, "test_r2", (point, 0)) if several else None
    found = Verdict(mean, sd, permuted, p, difference, "")

    folds = f"± {sd:.3f} ({len(r2)} folds)" if len(r2) > 1 else "(one fold)"
    parts = [f"Test R2 {mean:.3f} {folds}, {_beside_chance(found, unknown)}"]
    if ridge is not None:
        parts += [_beside_ridge(found, ridge, data, n_permutations, seed)]
    return found._replace(sentence="; ".join(parts) + "." + _split_groups(record, groups))


def _chance(record, data, point, n_permutations, seed):
    """R2 of permuted outputs and p, or NaN and why they are unknown."""
    if data is None:
        return np.nan, np.nan, "the outputs are not at hand"
    if least_p(record, n_permutations) > LEVEL:
        return np.nan, np.nan, "the folds test too few cells to permute"
    table = chance_table(record, data, n_permutations, seed, [point])
    if table.empty:
        return np.nan, np.nan, "the record holds no predictions of single cells"
    return float(table.permuted_r2[point]), float(table.p[point]), ""


def _beside_chance(found, unknown):
    """How the model stands to permuted outputs."""
    if unknown:
        return f"whether better than chance is unknown: {unknown}"
    numbers = f"({found.permuted_r2:.3f} with permuted outputs, p = {found.p:.3f})"
    if found.better_than_chance:
        return f"better than chance {numbers}"
    if found.p <= LEVEL:  # and R2 is not above 0
        return f"no better than the mean of the training cells, though better than with other outputs {numbers}"
    return f"not distinguishable from chance {numbers}"


def _beside_ridge(found, ridge, data, n_permutations, seed):
    """How the model stands to ridge; of two models at chance it is no use to say which is better."""
    its_p = _chance(ridge, data, 0, n_permutations, seed)[1] if found.better_than_chance is not None else np.nan
    its_r2 = float(ridge.test_r2[:, 0].mean())
    if found.better_than_chance is False and (its_p > LEVEL or its_r2 <= 0):
        return f"ridge ({its_r2:.3f}) is no better than chance either"
    side = f"{abs(found.test_r2 - its_r2):.3f} {'above' if found.test_r2 >= its_r2 else 'below'} ridge"
    if found.difference is None:
        return f"{side} (one fold: no interval)"
    mean, low, high = found.difference[:3]
    if low > 0:
        standing = "better than ridge"
    elif high < 0:
        standing = "worse than ridge"
    elif max(-low, high) <= LEVEL_WITH:
        standing = "level with ridge"
    else:
        standing = "not told apart from ridge by these folds" if mean > 0 else "no better than ridge"
    at_chance = "; ridge itself is not distinguishable from chance" if its_p > LEVEL else ""
    return f"{side} [{low:+.3f}, {high:+.3f}]: {standing}{at_chance}"


def _split_groups(record, groups):
    """A warning if folds train on some cells of a group and test others; else nothing."""
    if groups is None:
        return ""
    groups = np.asarray(groups).astype(str)
    n = max(int(np.max(cells)) for fold in record.folds for cells in fold) + 1
    if groups.ndim != 1 or len(groups) < n:
        raise ValueError(f"groups: expected one for each of at least {n} cells, got an array of shape {groups.shape}")
    split = {group for train, test in record.folds for group in np.intersect1d(groups[train], groups[test])}
    if not split:
        return ""
    return (
        f" {len(split)} of {len(np.unique(groups))} groups have cells in training and in test at once: what cells of a "
        "group share counts as prediction here, and the numbers may be too high; hold groups apart (grouped_folds)."
    )
