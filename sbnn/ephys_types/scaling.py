"""Features on one scale, learned from the training cells; what is missing stays missing."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.checks import some
from sbnn.ephys_types.inputs import check_known

SCALINGS = ("normal_scores", "standard")
N_QUANTILES = 100
LOST = "features without a value"  # a warning begins so
FARTHEST = 2.5  # SD to which normal scores are clipped: beyond, they tell the few outermost cells apart by chance


class FeatureScaling(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Z-scores of features, or of their normal scores; NaN is left out of all sums and stays NaN.

    Parameters
    ----------
    how : {"normal_scores", "standard"}, default="normal_scores"
        ``"normal_scores"`` maps each feature to a normal distribution by its quantiles first, so that a skew feature
        and one with outliers have their say; ``"standard"`` only z-scores.

    Attributes
    ----------
    mean_, scale_ : ndarray, shape (p,)
        Of the (normal scores of the) features over the training cells; 1 in place of a scale of 0.
    """

    def __init__(self, how="normal_scores"):
        self.how = how

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X, y=None):
        """Learn the scale.

        Parameters
        ----------
        X : array-like, shape (n, p)
            NaN where a feature is missing.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            An unknown `how`, infinite values.
        """
        check_scaling(self.how)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        self.quantiles_ = None
        if self.how == "normal_scores":
            self.quantiles_ = QuantileTransformer(
                n_quantiles=min(N_QUANTILES, len(X)), output_distribution="normal", subsample=None
            )
            self.quantiles_.fit(X)
        scores = self._scores(X)
        with warnings.catch_warnings():  # a feature without a value has neither mean nor scale, and is given NaN
            warnings.simplefilter("ignore", RuntimeWarning)
            self.mean_, scale = np.nanmean(scores, axis=0), np.nanstd(scores, axis=0)
        # Rounding leaves a constant feature a scale that is not quite zero.
        constant = scale <= 1e-12 * np.maximum(1, np.abs(self.mean_))
        self.scale_ = np.where(constant, 1.0, scale)
        return self

    def transform(self, X):
        """Put cells on the scale of the training cells.

        Parameters
        ----------
        X : array-like, shape (n, p)

        Returns
        -------
        ndarray of float64, shape (n, p)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return (self._scores(X) - self.mean_) / self.scale_

    def _scores(self, X):
        return X if self.quantiles_ is None else np.clip(self.quantiles_.transform(X), -FARTHEST, FARTHEST)


def check_scaling(how):
    """Refuse an unknown name of a scaling."""
    check_known("scaling", how, SCALINGS)


def measured(X, feature_names):
    """Tell which features have a value in some training cell, and warn of those that have none.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    feature_names : sequence of str, length p

    Returns
    -------
    ndarray of bool, shape (p,)

    Raises
    ------
    ValueError
        If no feature has a value.

    Warns
    -----
    UserWarning
        Names of the features without one.
    """
    seen = np.isfinite(X).any(axis=0)
    if not seen.any():
        raise ValueError("X has no value in any cell, all are NaN")
    _warn_of(without(seen, feature_names), "in any training cell")
    return seen


def measured_in_both(target, source, feature_names, told=()):
    """Tell which features both species have a value of in some cell, and warn of the others.

    Parameters
    ----------
    target : ndarray, shape (n, p)
    source : ndarray, shape (m, p)
    feature_names : sequence of str, length p
    told : collection of str
        Features that were warned of already.

    Returns
    -------
    ndarray of bool, shape (p,)

    Raises
    ------
    ValueError
        If there is none.

    Warns
    -----
    UserWarning
        Names of the features that one species lacks.
    """
    seen = np.isfinite(target).any(axis=0) & np.isfinite(source).any(axis=0)
    if not seen.any():
        raise ValueError("source: has no feature that was measured in the target too")
    _warn_of([name for name in without(seen, feature_names) if name not in told], "in the source or in the target")
    return seen


def without(seen, feature_names):
    """Names of the features that were not seen; list of str."""
    return [feature_names[j] for j in np.flatnonzero(~seen)]


def _warn_of(names, where):
    if names:  # the fourth from here is who called the `fit` that asked
        warnings.warn(f"{LOST} {where} are left out: {some(names)}", stacklevel=4)
