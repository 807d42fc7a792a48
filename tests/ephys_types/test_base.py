"""Scales of features."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import norm, rankdata

from sbnn.ephys_types.base import FeatureScaling


def test_normal_scores_follow_ranks_and_are_clipped(rng):
    constant = np.full((90, 1), 100000.1)
    assert_allclose(FeatureScaling().fit_transform(constant), 0, atol=1e-9)
    x = rng.lognormal(size=90)
    scaling = FeatureScaling().fit(x[:, None])
    scores = norm.ppf((rankdata(x) - 1) / 89).clip(-2.5, 2.5)
    expected = (scores - scores.mean()) / scores.std()
    assert_allclose(scaling.transform(x[:, None])[:, 0], expected, atol=1e-6)
    beyond = scaling.transform([[1e9], [-1e9], [np.nan]])[:, 0]
    assert_allclose(beyond, [expected.max(), expected.min(), np.nan])
