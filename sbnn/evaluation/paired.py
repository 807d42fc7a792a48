"""Which of two models is better, and by how much: differences on the same folds, with an interval that is honest.

Training sets of different folds share most of their cells, and the folds of one repeat are not independent of those of
the next, so that the usual interval of a mean over folds is too narrow. The corrected resampled t-test allows for it.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student


class PairedDifference(NamedTuple):
    """Mean difference of two models over the same folds.

    Attributes
    ----------
    mean : float
    low, high : float
        Ends of the confidence interval.
    se : float
        Corrected standard error.
    p : float
        Two-sided.
    n : int
        Differences.
    """

    mean: float
    low: float
    high: float
    se: float
    p: float
    n: int

    def __str__(self):
        """Tell the difference and its interval in signed numbers of three digits."""
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def corrected_difference(differences, test_share, confidence=0.95):
    """Mean of differences over the folds of one or several cross-validations, with its corrected interval.

    Parameters
    ----------
    differences : array-like, shape (n,)
        One for each fold of each repeat; at least two.
    test_share : float
        Test cells per training cell of a fold: 1/4 for five folds; 0 where differences are independent, as of samples
        that are simulated anew.
    confidence : float

    Returns
    -------
    PairedDifference
        The variance of the mean is ``(1 / n + test_share) * s**2`` in place of ``s**2 / n``, with Student's t of
        n - 1 degrees of freedom. Differences that are all the same have an interval without width.

    Raises
    ------
    ValueError
        Fewer than two differences, one that is not finite, a share or a confidence out of range.

    References
    ----------
    Nadeau and Bengio, Inference for the generalization error, Machine Learning 52, 239 (2003), section 3.2; for
    repeated cross-validation Bouckaert and Frank, PAKDD 2004.
    """
    differences = np.asarray(differences, dtype=np.float64).ravel()
    n = len(differences)
    if n < 2 or not np.isfinite(differences).all():
        raise ValueError(f"differences: expected at least two finite numbers, got {differences}")
    if not test_share >= 0:
        raise ValueError(f"test_share: expected test cells per training cell, 0 or more, got {test_share!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence!r}")
    mean = float(differences.mean())
    se = float(np.sqrt((1 / n + test_share) * differences.var(ddof=1)))
    half = float(student.ppf((1 + confidence) / 2, n - 1)) * se
    p = float(2 * student.sf(abs(mean) / se, n - 1)) if se else float(mean == 0)
    return PairedDifference(mean, mean - half, mean + half, se, p, n)


def paired_difference(a, b, metric="macro_f1", *, confidence=0.95):
    """By how much one cross-validated model is better than another on the same folds.

    Parameters
    ----------
    a, b : Record
        Cross-validations of one grid point each, as from `cross_validate_classifier`.
    metric : str
        A value over (folds, grid points).
    confidence : float

    Returns
    -------
    PairedDifference
        Of `a` minus `b`; see `corrected_difference`.

    Raises
    ------
    ValueError
        If the records are of other data, labels or folds, or of several grid points.
    """
    require_same_folds(a, b)
    for name, record in (("a", a), ("b", b)):
        if len(record.params) != 1:
            raise ValueError(f"{name}: expected a record of one grid point, got one of {len(record.params)}")
        if metric not in record.values:
            raise ValueError(f"metric: {metric!r} is not in {name}, which holds {', '.join(sorted(record.values))}")
    test_share = np.mean([len(test) / len(train) for train, test in a.folds])
    return corrected_difference(a.values[metric][:, 0] - b.values[metric][:, 0], test_share, confidence)


def require_same_folds(a, b):
    """Refuse two records whose folds cannot be paired; a ValueError says why."""
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
