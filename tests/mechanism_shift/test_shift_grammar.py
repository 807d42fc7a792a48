"""Models of screens follow the grammar of scikit-learn, whose checks give them numbers that are made counts here."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from short_recipes import TINY
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.mechanism_shift import Recipe, SparseShiftVAE
from sbnn.mechanism_shift.baselines import LinearShift

RECIPE = Recipe(**TINY)


def as_counts(X):
    """Whole positive numbers in the order of these; what is no table of finite numbers is left as it is."""
    values = X.data if sparse.issparse(X) else np.asarray(X)
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        return X
    if not sparse.issparse(X) and values.ndim != 2:
        return X
    counts = np.rint(np.abs(values) * 10) + 1
    if not sparse.issparse(X):
        return counts if not isinstance(X, pd.DataFrame) else pd.DataFrame(counts, columns=X.columns)
    X = X.astype(float)
    X.data = counts.astype(float)
    return X


class CountedLinearShift(LinearShift):
    def fit(self, X, y=None, control=None):
        return super().fit(as_counts(X), y, control)

    def transform(self, X):
        return super().transform(as_counts(X))


class CountedVAE(SparseShiftVAE):
    def fit(self, X, y=None, control=None):
        return super().fit(as_counts(X), y, control)

    def transform(self, X):
        return super().transform(as_counts(X))


NOT_COUNTS = "counts are checked by ourselves, and the message speaks of counts, cells and perturbations"
SILENT = "cells without any count are refused, and this check draws some"
EXEMPT = {
    "check_complex_data": NOT_COUNTS,
    "check_dtype_object": NOT_COUNTS,
    "check_estimators_empty_data_messages": NOT_COUNTS,
    "check_fit2d_1sample": NOT_COUNTS,
    "check_fit2d_1feature": NOT_COUNTS,
    "check_fit2d_predict1d": NOT_COUNTS,
    "check_requires_y_none": NOT_COUNTS,
    "check_positive_only_tag_during_fit": "negative numbers were made counts before",
    "check_estimator_sparse_tag": SILENT,
    "check_estimator_sparse_array": SILENT,
    "check_estimator_sparse_matrix": SILENT,
}


@parametrize_with_checks(
    [CountedLinearShift(2, random_state=0), CountedVAE(2, recipe=RECIPE, random_state=0)],
    expected_failed_checks=lambda estimator: EXEMPT,
)
@pytest.mark.filterwarnings("ignore")
def test_grammar(estimator, check):
    check(estimator)
