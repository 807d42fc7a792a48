"""Families of features as tokens: from a matrix of features to what the network reads."""

import numpy as np
import torch

from sbnn.ephys_types.network import Tokens
from sbnn.ephys_types.scaling import FeatureScaling, measured

MISSING = ("masked", "zeros_as_data")


class TokenReader:
    """Reads cells as tokens, on the scale of the training cells.

    Parameters
    ----------
    families : dict of family to ndarray of int
    scaling : {"normal_scores", "standard"}
    missing : {"masked", "zeros_as_data"}
        ``"zeros_as_data"`` puts zeros in place of missing values before scaling.

    Attributes
    ----------
    measured : ndarray of bool, shape (p,)
        Features with a value in some training cell; the others are not read.
    columns : ndarray of int, shape (families, width)
        Of the features that are read, see `token_columns`.
    """

    def __init__(self, families, names, scaling, missing):
        self.families, self.names, self.missing = families, names, missing
        self.scaler = FeatureScaling(scaling)

    def fit(self, X):
        """Learn from the features of the training cells, ndarray of shape (n, p)."""
        self.measured = measured(X, self.names)
        self.columns = token_columns(self.families, self.measured)
        self.scaler.fit(self._read(X))
        return self

    def scaled(self, X):
        """Features that are read, scaled; NaN where one is missing and not taken for a zero."""
        return self.scaler.transform(self._read(X))

    def tokens(self, scaled):
        """Tokens of scaled features."""
        return make_tokens(scaled, self.columns)

    def _read(self, X):
        X = X[:, self.measured]
        return np.nan_to_num(X) if self.missing == "zeros_as_data" else X


def token_columns(families, measured):
    """Columns of the features of each family among those measured, padded to the widest.

    Parameters
    ----------
    families : dict of family to ndarray of int
    measured : ndarray of bool, shape (p,)
        Features that are read; the others are left out.

    Returns
    -------
    ndarray of int, shape (families, width)
        -1 for padding. A family without a measured feature is nothing but padding.
    """
    place = np.cumsum(measured) - 1
    kept = [place[columns[measured[columns]]] for columns in families.values()]
    places = np.full((len(kept), max(map(len, kept))), -1)
    for row, columns in zip(places, kept, strict=True):
        row[: len(columns)] = columns
    return places


def make_tokens(X, columns):
    """Tokens of cells.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Scaled features, NaN where one is missing.
    columns : ndarray of int, shape (families, width)
        From `token_columns`.

    Returns
    -------
    Tokens
        With 0 wherever there is no value: the mean of the training cells.
    """
    values = np.where(columns >= 0, X[:, columns], np.nan)
    missing = np.isnan(values)
    return Tokens(
        torch.from_numpy(np.where(missing, 0, values).astype(np.float32)),
        torch.from_numpy(missing),
        torch.from_numpy(~missing.all(axis=2)),
    )
