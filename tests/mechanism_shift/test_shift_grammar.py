"""The model follows the grammar of scikit-learn; numbers of its checks are made counts here."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.mechanism_shift import SparseShiftVAE


def as_counts(X):
    """Whole positive numbers in the order of these; all but tables of numbers is unchanged."""
    values = np.asarray(X)
    if values.dtype.kind not in "fiu" or values.ndim != 2 or not np.isfinite(values).all():
        return X
    counts = np.rint(np.abs(values) * 10) + 1
    return pd.DataFrame(counts, columns=X.columns) if isinstance(X, pd.DataFrame) else counts


class CountedVAE(SparseShiftVAE):
    def fit(self, X, y=None, control=None):
        return super().fit(as_counts(X), y, control)

    def transform(self, X):
        return super().transform(as_counts(X))


NOT_COUNTS = (
    "counts are checked by ourselves, and the message speaks of counts, cells and perturbations"
)
OURS = (
    "complex_data dtype_object estimators_empty_data_messages fit2d_1sample fit2d_1feature "
    "fit2d_predict1d requires_y_none "
    "estimator_sparse_tag estimator_sparse_array estimator_sparse_matrix"
)
EXEMPT = {f"check_{name}": NOT_COUNTS for name in OURS.split()}
EXEMPT["check_positive_only_tag_during_fit"] = "negative numbers were made counts before"


@parametrize_with_checks(
    [CountedVAE(2, hidden=8, epochs=2, random_state=0)],
    expected_failed_checks=lambda _: EXEMPT,
)
@pytest.mark.filterwarnings("ignore")
def test_grammar(estimator, check):
    check(estimator)
