"""The mix of size and prior, and what is kept by it: weights of PHOENIX and genes of the bottleneck network alike."""

import numpy as np
import torch

from sbnn.models import pruning_scores as scores


def test_shares_sum_to_one_and_nothing_stays_nothing():
    np.testing.assert_allclose(scores.shared(torch.tensor([1.0, 3, 0])), [0.25, 0.75, 0])
    assert scores.shared(torch.zeros(2)).tolist() == [0, 0]


def test_the_influence_mixes():
    one, other = torch.tensor([4.0, 0]), torch.tensor([0, 2.0])
    np.testing.assert_allclose(scores.mixed(one, other, 0.25), [1, 1.5])
    assert scores.mixed(None, other, 0) is other
    np.testing.assert_allclose(scores.mixed(one, other, 1), one)


def test_the_largest_are_kept_of_those_that_are_left():
    given = torch.tensor([[5.0, 1, 3], [4, 2, 6]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    kept = scores.keep_largest(given, mask, 3)
    assert kept.tolist() == [[True, False, True], [True, False, False]]
    assert scores.keep_largest(given, mask, 9).tolist() == mask.tolist()
    assert scores.keep_largest(torch.zeros(2, 3), mask, 2).tolist() == [[True, True, False], [False, False, False]]


def test_between_equal_scores_the_size_decides():
    given, size = torch.tensor([1.0, 0, 1, 1, 2]), torch.tensor([1.0, 9, 3, 2, 0])
    everything = torch.ones(5, dtype=torch.bool)
    assert scores.keep_largest(given, everything, 2, size).tolist() == [False, False, True, False, True]
    assert scores.keep_largest(given, everything, 3, size).tolist() == [False, False, True, True, True]
