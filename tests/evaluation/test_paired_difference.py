"""Differences of models on the same folds have an interval that allows for the cells the folds share."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import t as student
from sklearn.tree import DecisionTreeClassifier

from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.evaluation.classification import cross_validate_classifier
from sbnn.evaluation.folds import repeated_donor_folds
from sbnn.evaluation.verdict import corrected_difference, paired_difference


def test_the_interval_is_that_of_nadeau_and_bengio():
    d = np.array([0.01, 0.03, -0.02, 0.05, 0.04])
    found = corrected_difference(d, 0.25)
    se = np.sqrt(d.var(ddof=1) * (1 / 5 + 0.25))
    assert found.mean == pytest.approx(0.022) and found.n == 5
    assert found.high - found.mean == pytest.approx(2.7764451 * se, rel=1e-6)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert found.p == pytest.approx(2 * student.sf(0.022 / se, 4))
    assert str(found) == f"+0.022 [{found.low:+.3f}, {found.high:+.3f}]"
    assert corrected_difference(d, 0.25, 0.9).low > found.low


def test_independent_differences_have_the_usual_interval_of_their_mean():
    differences = np.random.default_rng(0).normal(0.2, 1.0, 7)
    expected = stats.ttest_1samp(differences, 0)
    found = corrected_difference(differences, 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.p == pytest.approx(expected.pvalue)


def test_equal_differences_and_bad_ones():
    assert corrected_difference([0, 0, 0], 0.25)[:5] == (0, 0, 0, 0, 1)
    assert corrected_difference([0.5, 0.5], 0.25).p == 0


def test_records_are_paired_fold_by_fold():
    data = simulate_ephys_types(120, random_state=0)
    folds = repeated_donor_folds(data, 3, (0, 1))
    deep, flat = (
        cross_validate_classifier(DecisionTreeClassifier(max_depth=depth), data, folds, verbose=False)
        for depth in (4, 1)
    )
    found = paired_difference(deep, flat)
    share = np.mean([len(test) / len(train) for train, test in deep.folds])
    assert found == corrected_difference((deep.macro_f1 - flat.macro_f1)[:, 0], share)
    assert found.mean > 0 and paired_difference(flat, deep).mean == -found.mean
    assert paired_difference(deep, flat, "log_loss").mean != found.mean
    other = cross_validate_classifier(
        DecisionTreeClassifier(), data, repeated_donor_folds(data, 3, (0, 2)), verbose=False
    )
    with pytest.raises(ValueError, match="different folds"):
        paired_difference(deep, other)
    with pytest.raises(ValueError, match="different folds"):
        paired_difference(deep, cross_validate_classifier(DecisionTreeClassifier(), data, folds[0], verbose=False))
    again = simulate_ephys_types(120, random_state=1)
    with pytest.raises(ValueError, match="different sha256"):
        paired_difference(deep, cross_validate_classifier(DecisionTreeClassifier(), again, folds, verbose=False))
    coarse = cross_validate_classifier(DecisionTreeClassifier(), data, folds, target="condition", verbose=False)
    with pytest.raises(ValueError, match="different labels"):
        paired_difference(deep, coarse)
