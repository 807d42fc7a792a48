"""The mix of size and prior, and what is kept by it: weights of PHOENIX and genes of the bottleneck network alike."""

import torch

from sbnn.models import pruning_scores as scores


def test_the_largest_are_kept_of_those_that_are_left():
    given = torch.tensor([[5.0, 1, 3], [4, 2, 6]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    kept = scores.keep_largest(given, mask, 3)
    assert kept.tolist() == [[True, False, True], [True, False, False]]
    assert scores.keep_largest(given, mask, 9).tolist() == mask.tolist()
    assert scores.keep_largest(torch.zeros(2, 3), mask, 2).tolist() == [[True, True, False], [False, False, False]]
