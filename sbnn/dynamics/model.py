"""What estimators of regulatory networks have in common."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.trajectories import as_trajectories, prior_matrix
from sbnn.determinism import reproducible
from sbnn.errors import warn

COUNT = [Interval(Integral, 1, None, closed="left")]


class DynamicsRegressor(BaseEstimator):
    """Base class, with `predict`."""

    def predict(self, x0: ArrayLike | pd.DataFrame, times: ArrayLike) -> np.ndarray:
        """Predict trajectories from their first values.

        Parameters
        ----------
        x0 : array-like or DataFrame, shape (samples, genes)
            Values at the first time; columns of a DataFrame are matched by gene name.
        times : array-like, shape (times,) or (samples, times)
            Increasing, in the unit of training.

        Returns
        -------
        ndarray of float64, shape (samples, times, genes)

        Raises
        ------
        ValueError
            The genes differ from those in training, a value is NaN, or the times do not increase.
        DivergenceError
            The predictions diverge.

        Warns
        -----
        UserWarning
            Held-out data do not show that the network helps.
        """
        check_is_fitted(self)
        if not self.explains_:
            warn(self.verdict_)
        if isinstance(x0, pd.DataFrame):
            x0 = x0[self.gene_names_].to_numpy()
        start = validate_data(self, x0, reset=False, dtype=np.float64, copy=True)
        times = np.array(np.broadcast_to(times, (len(start), np.shape(times)[-1])), dtype=float)
        if not (np.diff(times, axis=1) > 0).all():
            raise ValueError(f"times: expected increasing numbers, got {times[0]}")
        with reproducible():
            return self._path(start, times)

    def _checked(self, trajectories, prior):
        """`Samples`, and known edges, ndarray [regulator, target]."""
        samples = as_trajectories(trajectories)
        self.gene_names_ = samples.gene_names
        self.n_features_in_ = len(samples.gene_names)
        if prior is None:
            prior = pd.DataFrame()
        return samples, prior_matrix(prior, self.gene_names_)
