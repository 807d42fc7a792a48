"""Comparison of test R2 with permuted outputs, with ridge and with another model on the same folds."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sbnn.data.paired import as_paired
from sbnn.errors import check_number, naming
from sbnn.evaluation.crossval import LEVEL, N_PERMUTATIONS, chance_table, least_p
from sbnn.evaluation.folds import group_codes
from sbnn.evaluation.stability import genes_table
from sbnn.metrics import corrected_error, share_tested
from sbnn.results import Record, require

# two models are equally good if the interval for their difference lies within +- this value
LEVEL_WITH = 0.05
# Minimum and maximum; more permutations than usual are needed, as p is adjusted for the number of
# outputs.
N_PERMUTATIONS_OF_OUTPUTS = 999, 4999


class PairedDifference(NamedTuple):
    """Mean of paired differences over folds, its interval and corrected standard error, p-value and number of folds."""

    mean: float
    low: float
    high: float
    se: float
    p: float
    n: int

    def __str__(self):
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


class Verdict(NamedTuple):
    """Result of a cross-validation; p is NaN if chance cannot be estimated, and the sentence then gives the reason."""

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
        """Whether held-out cells are predicted better than by chance; None if unknown."""
        return None if np.isnan(self.p) else bool(self.p <= LEVEL and self.test_r2 > 0)


def outputs_table(record, data, ridge=None, point=0):
    """Table that shows which outputs are predicted better than by chance.

    p-values are adjusted for the number of outputs (Benjamini and Hochberg, J. R. Stat. Soc. B 57,
    289, 1995). Outputs that are constant in the test cells of a fold get NaN. With more than 24
    outputs, more permutations are used.
    """
    Y, names = outputs_of(record, data)
    n_permutations = int(np.clip(40 * Y.shape[1], *N_PERMUTATIONS_OF_OUTPUTS))
    table = chance_table(record, Y, n_permutations, points=[point], pooled=False)
    if table.empty or least_p(record, n_permutations) > LEVEL:
        raise ValueError(
            f"record: to estimate chance, grid point {point} needs saved predictions of more test cells"
        )
    table.index = pd.Index(names, name="output")
    p = table.p.dropna()
    table["adjusted_p"] = pd.Series(stats.false_discovery_control(p), p.index)
    if ridge is not None:
        table["ridge_r2"] = ridge.test_feature_r2[:, 0].mean(0)
    table["better_than_chance"] = (table.adjusted_p <= LEVEL) & (table.test_r2 > 0)
    return table


def outputs_of(record, data):
    """Outputs that a record predicts, and their names; `data` must be the data of the record or a fit to these data."""
    fitted = isinstance(data, Record)
    data = data if fitted else as_paired(data)
    name = data.dataset if fitted else data.name
    if (record.dataset, record.sha256) != (name, data.sha256) or (
        fitted and record.settings["scaling"] == "none"
    ):
        raise ValueError(
            f"record: expected a cross-validation of {name!r}, with the outputs z-scored as for a fit"
        )
    return (data.outputs if fitted else data.Y), np.asarray(data.feature_names).astype(str)


def corrected_difference(differences, test_share):
    """Mean of the differences in the folds, with a corrected 95 % interval.

    `test_share` is the number of test cells divided by the number of training cells. Since folds
    share training cells, the standard error is computed by `sbnn.metrics.corrected_error`. The
    interval is based on Student's t distribution with n - 1 degrees of freedom (Nadeau and Bengio
    2003; for repeated cross-validation, Bouckaert and Frank, PAKDD 2004).
    """
    differences = np.asarray(differences, dtype=np.float64).ravel()
    n = len(differences)
    mean = float(differences.mean())
    se = float(corrected_error(differences, test_share))
    half = float(stats.t.ppf(0.975, n - 1)) * se
    p = float(2 * stats.t.sf(abs(mean) / se, n - 1)) if se else float(mean == 0)
    return PairedDifference(mean, mean - half, mean + half, se, p, n)


def paired_difference(a, b, metric="macro_f1", points=(0, 0)):
    """Difference in `metric` between grid points of the records `a` and `b` on the same folds."""
    require_same_folds(a, b)
    return corrected_difference(
        a.values[metric][:, points[0]] - b.values[metric][:, points[1]], share_tested(a.folds)
    )


def require_same_folds(a, b):
    """Reject two records whose folds cannot be paired."""
    differing = [part for part in ("dataset", "sha256") if getattr(a, part) != getattr(b, part)]
    if "true" in a.values and not np.array_equal(a.values["true"], b.values.get("true")):
        differing.append("labels")
    if differing or not have_same_folds(a, b):
        what = ", ".join(differing) or "folds"
        raise ValueError(
            f"record, ridge: expected the same folds, got different {what} ({a.dataset!r}, {b.dataset!r})"
        )


def have_same_folds(a, b):
    """Whether two records have the same training and test cells in every fold."""
    cells, others = (sum(map(list, record.folds), []) for record in (a, b))
    return len(cells) == len(others) and all(map(np.array_equal, cells, others))


def verdict(
    record,
    data=None,
    ridge=None,
    point=0,
    groups=None,
    curve=None,
    *,
    n_permutations=N_PERMUTATIONS,
    seed=0,
):
    """Compare the test R2 of a grid point with chance and with ridge, and summarise the result in a
    sentence.

    Parameters
    ----------
    record : Record
        Record returned by `sbnn.cross_validate`.
    data : AnnData, MuData, tuple (X, Y) or Record, optional
        The cross-validated data, or the record of a fit to these data (see `sbnn.fit_full`).
        Without data, chance cannot be estimated.
    ridge : Record, optional
        Cross-validation of ridge with one grid point on the same folds.
    point : int
        Index of the grid point in the record.
    groups : array-like of shape (n,), optional
        Donor, batch or date of each cell. The sentence contains a warning if folds split groups,
        since R2 then also reflects the similarity between cells of a donor. The comparison with
        permuted outputs does not account for this similarity.
    curve : Record, optional
        Record returned by `sbnn.genes_curve` for the same data; the sentence then states whether
        more genes help. Without a curve, more genes are suggested if ridge on all genes is better.
    n_permutations, seed : int
        Number of permutations of the outputs (at least 19), and the seed of the permutations.

    Returns
    -------
    Verdict
        ``test_r2`` and ``sd``, the mean and SD of test R2 over the folds; ``permuted_r2``, the mean
        R2 with permuted outputs; ``p``; ``difference``, the difference from ridge with its
        corrected interval (None without `ridge` or for a single fold); ``sentence``; and
        ``better_than_chance``.
    """
    require(record, "record", ["test_r2"])
    check_number("seed", seed, int, 0)
    check_number("n_permutations", n_permutations, int, 1 / LEVEL - 1, 1e6)

    def chance(record, point):  # R2 with permuted outputs, p, and the reason if both are NaN
        if data is None:
            return np.nan, np.nan, "the outputs are not available"
        if least_p(record, n_permutations) > LEVEL:
            return np.nan, np.nan, "the folds test too few cells to permute"
        table = chance_table(record, outputs_of(record, data)[0], n_permutations, seed, [point])
        if table.empty:
            return np.nan, np.nan, "the record holds no predictions of single cells"
        return table.permuted_r2.item(), table.p.item(), ""

    with naming("point: expected the position of a grid point"):
        r2 = record.test_r2[:, point]
    mean, several = float(r2.mean()), len(r2) > 1
    sd = float(r2.std(ddof=1)) if several else np.nan
    permuted, p, unknown = chance(record, point)
    found = Verdict(mean, sd, permuted, p, None, "")
    sentence = (
        f"Test R2 {mean:.3f} {f'± {sd:.3f} ({len(r2)} folds)' if several else '(one fold)'}, "
    )
    numbers = f"({permuted:.3f} with permuted outputs, p = {p:.3f})"
    if unknown:
        sentence += f"but whether it is better than chance is unknown: {unknown}"
    elif found.better_than_chance:
        sentence += f"better than chance {numbers}"
    elif p <= LEVEL:  # but R2 is not above 0
        sentence += f"no better than the mean of the training cells, though better than with permuted outputs {numbers}"
    else:
        sentence += f"not distinguishable from chance {numbers}"
    if ridge is not None:
        require(ridge, "ridge", ["test_r2"])
        require_same_folds(record, ridge)
        if several:
            difference = corrected_difference(r2 - ridge.test_r2[:, 0], share_tested(record.folds))
            found = found._replace(difference=difference)
        its_p = np.nan if unknown else chance(ridge, 0)[1]
        sentence += f"; {_beside_ridge(found, float(ridge.test_r2[:, 0].mean()), its_p)}"
    sentence += f".{_more_genes(record, point, curve, found.difference)}"
    groups = (
        None if groups is None else group_codes(groups, "groups", record.values.get("cell_names"))
    )
    if groups is not None and (split := split_groups(record, groups)):
        sentence += f" {len(split)} of {len(np.unique(groups))} groups have cells in both training and test, "
        sentence += "so R2 may be too high, since cells of a group resemble each other; "
        sentence += "hold out whole groups (see grouped_folds)."
    return found._replace(sentence=sentence)


def _beside_ridge(found, its_r2, its_p):
    """Clause that compares the model with ridge; if both are at chance level, they are not ranked."""
    if found.better_than_chance is False and (its_p > LEVEL or its_r2 <= 0):
        return f"ridge ({its_r2:.3f}) is no better than chance either"
    side = (
        f"{abs(found.test_r2 - its_r2):.3f} {'above' if found.test_r2 >= its_r2 else 'below'} ridge"
    )
    if found.difference is None:
        return f"{side} (one fold: no interval)"
    mean, low, high = found.difference[:3]
    if low > 0:
        standing = "better than ridge"
    elif high < 0:
        standing = "worse than ridge"
    elif max(-low, high) <= LEVEL_WITH:
        standing = "as good as ridge"
    else:
        standing = (
            "not distinguishable from ridge on these folds" if mean > 0 else "no better than ridge"
        )
    at_chance = "; ridge itself is not distinguishable from chance" if its_p > LEVEL else ""
    return f"{side} [{low:+.3f}, {high:+.3f}]: {standing}{at_chance}"


def _more_genes(record, point, curve, difference):
    """Sentence that recommends more genes, based on the curve if there is one; empty if more genes do not help."""
    if curve is None:
        behind = (
            difference is not None
            and difference.high < 0
            and not np.all(record.values.get("selected", True))
        )
        return " More genes may help; see genes_curve." * behind
    require(curve, "curve", [], record)
    table = genes_table(curve)
    [enough] = table.index[table.suffices]
    nested = [
        f", a number chosen inside the training cells {r2:.3f}"
        for r2 in table.test_r2.get(["auto"], [])
    ]
    found = f" More genes help: {enough} have a test R2 of {table.test_r2[enough]:.3f}{''.join(nested)}."
    return found * bool(enough > record.n_selected[:, point].mean())


def split_groups(record, groups):
    """Groups that have both training and test cells in at least one fold."""
    return {
        group
        for train, test in record.folds
        for group in np.intersect1d(groups[train], groups[test])
    }
