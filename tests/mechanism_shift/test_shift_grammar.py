"""The model follows the grammar of scikit-learn, whose checks give it numbers that are made counts here."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from short_recipes import TINY
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.mechanism_shift import SparseShiftVAE


def as_counts(X):
    """Whole positive numbers in the order of these; what is no table of finite numbers is left as it is."""
    values = X.data if sparse.issparse(X) else np.asarray(X)
    if (
        values.dtype.kind not in "fiu"
        or not np.isfinite(values).all()
        or np.ndim(values) != 2 - sparse.issparse(X)
    ):
        return X
    counts = np.rint(np.abs(values) * 10) + 1
    if sparse.issparse(X):
        X = X.astype(float)
        X.data = counts
        return X
    return counts if not isinstance(X, pd.DataFrame) else pd.DataFrame(counts, columns=X.columns)


class CountedVAE(SparseShiftVAE):
    def fit(self, X, y=None, control=None):
        return super().fit(as_counts(X), y, control)

    def transform(self, X):
        return super().transform(as_counts(X))


NOT_COUNTS = (
    "counts are checked by ourselves, and the message speaks of counts, cells and perturbations"
)
SILENT = "cells without any count are refused, and this check draws some"
OURS = "complex_data dtype_object estimators_empty_data_messages fit2d_1sample fit2d_1feature fit2d_predict1d"
EXEMPT = {f"check_{name}": NOT_COUNTS for name in f"{OURS} requires_y_none".split()}
EXEMPT |= {f"check_estimator_sparse_{kind}": SILENT for kind in ("tag", "array", "matrix")}
EXEMPT["check_positive_only_tag_during_fit"] = "negative numbers were made counts before"


@parametrize_with_checks(
    [CountedVAE(2, recipe=TINY, random_state=0)], expected_failed_checks=lambda _: EXEMPT
)
@pytest.mark.filterwarnings("ignore")
def test_grammar(estimator, check):
    check(estimator)
