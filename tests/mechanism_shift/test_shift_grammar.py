"""The model follows the grammar of scikit-learn; numbers of its checks are made counts here."""

import numpy as np
import pytest
from sklearn.utils import check_array
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.data.screens import check_screen_counts
from sbnn.mechanism_shift import SparseShiftVAE, model


def as_counts(X):
    """Whole positive numbers in the order of these."""
    return check_screen_counts(np.rint(np.abs(check_array(X, dtype=float)) * 10) + 1)


NOT_COUNTS = (
    "counts are checked by ourselves, and the message speaks of counts, cells and perturbations"
)
EXEMPT = {
    "check_fit2d_1sample": NOT_COUNTS,
    "check_requires_y_none": NOT_COUNTS,
    "check_transformer_data_not_an_array": NOT_COUNTS,
    "check_estimator_sparse_tag": NOT_COUNTS,
    "check_fit_score_takes_y": "targets are perturbations, and named so",
    "check_positive_only_tag_during_fit": "negative numbers were made counts before",
}


@parametrize_with_checks(
    [SparseShiftVAE(1, hidden=8, epochs=2, random_state=0)],
    expected_failed_checks=lambda _: EXEMPT,
)
@pytest.mark.filterwarnings("ignore")
def test_grammar(estimator, check, monkeypatch):
    monkeypatch.setattr(model, "check_screen_counts", as_counts)
    check(estimator)
