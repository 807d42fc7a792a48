"""Scores of weights against linear algebra by numpy, masks, and the published schedule."""

import numpy as np
import pytest
import torch

from sbnn.dynamics import pruning as scores
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.pruning import INFLUENCE, Pruner
from sbnn.dynamics.training import Schedule


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def shares(size):
    return size / size.sum()


def test_sizes_are_shares(generator):
    network = Phoenix(3, 2, generator)
    with torch.no_grad():
        network.multiplier.copy_(torch.tensor([0, 1, 2.0]))
    w = {name: getattr(network, name).detach().double().numpy() for name in network.LAYERS}
    found = Pruner(network, INFLUENCE["imp"]).next_scores()
    np.testing.assert_allclose(found["sum_in"], shares(np.abs(w["sum_in"])))
    np.testing.assert_allclose(found["product_in"], shares(np.exp(w["product_in"])))
    for name in ("sum_out", "product_out"):
        np.testing.assert_allclose(found[name], shares(np.abs(w[name]) * np.array([0, 1, 2])[:, None]))


def test_partners_share_targets():
    prior = torch.tensor([[0, 1.0, -1], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(scores.partners(prior), np.array([[2, 1, 0], [1, 1, 0], [0, 0, 0]]) / 5)


def test_scores_of_the_prior_are_least_squares(generator):
    s = torch.rand((3, 6), generator=generator, dtype=torch.float64)
    prior = torch.randint(-1, 2, (6, 6), generator=generator).double()
    together = scores.partners(prior)
    pseudo = np.linalg.inv(s.numpy() @ s.numpy().T)
    np.testing.assert_allclose(
        scores.prior_of_inputs(s, together), np.abs(pseudo @ s.numpy() @ together.numpy()), rtol=1e-8
    )
    # A = (S T)' (S S')^-1 makes A S the best approximation of T', regulators by their units.
    best = np.linalg.lstsq(s.numpy().T, np.abs(prior.numpy()), rcond=None)[0].T
    np.testing.assert_allclose(scores.prior_of_outputs(s, prior), np.abs(best), rtol=1e-8)


def test_the_published_schedule():
    shares = Schedule().prunings(0.955)
    assert list(shares) == [3, *range(10, 191, 10)]
    np.testing.assert_allclose(list(shares.values()), np.maximum(0.3 * 0.9 ** np.arange(20), 0.045))
    assert Schedule().prunings(0.5) == {3: 0.5} and list(Schedule(5, 0.7, 4).prunings(0.75)) == [5, 8, 12]


@pytest.mark.parametrize("options", [{"every": 0}, {"share": 0}, {"share": -1}, {"first_epoch": 0}, {"first_share": 2}])
def test_schedules_that_never_end_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Schedule(**options)


def test_scores_of_the_prior_without_an_inverse_are_the_shortest_ones():
    s = torch.zeros((3, 6), dtype=torch.float64)
    s[:, 0] = torch.tensor([1.0, 2, 3])
    prior = torch.zeros((6, 6))
    prior[0, 4] = -1
    expected = np.linalg.pinv(s.numpy().T) @ prior.abs().double().numpy()
    np.testing.assert_allclose(scores.prior_of_outputs(s, prior), expected.T, atol=1e-12)
    np.testing.assert_allclose(scores.prior_of_inputs(s, prior.abs().double()), expected, atol=1e-12)


def test_pruning_by_size_keeps_the_largest_of_each_layer(generator):
    network = Phoenix(20, 5, generator)
    with torch.no_grad():
        for name in network.LAYERS:
            getattr(network, name).normal_(generator=generator)
        network.multiplier.fill_(1)
    before = {name: getattr(network, name).detach().clone() for name in network.LAYERS}
    pruner = Pruner(network, INFLUENCE["imp"])
    pruner.prune(0.3)
    for name, old in before.items():
        new = getattr(network, name).detach()
        size = old if name == "product_in" else old.abs()
        assert (new != 0).sum() == 30 and size[new != 0].min() > size[new == 0].max()
        np.testing.assert_array_equal(new[new != 0], old[new != 0])
    assert network.sparsity() == pytest.approx(0.7)


def test_what_is_pruned_never_returns(generator):
    network = Phoenix(20, 5, generator)
    prior = torch.randint(-1, 2, (20, 20), generator=generator)
    pruner = Pruner(network, (0.5, 0.05), prior, generator=generator)
    pruner.prune(0.5)
    first = {name: mask.clone() for name, mask in pruner.masks.items()}
    with torch.no_grad():
        for name in network.LAYERS:
            getattr(network, name).fill_(9)
    pruner.prune(0.2)
    for name, mask in pruner.masks.items():
        assert not (mask & ~first[name]).any() and mask.sum() == 20
        assert (getattr(network, name)[~mask] == 0).all()


def test_biological_pruning_follows_the_prior_whatever_the_weights(generator):
    prior = torch.randint(-1, 2, (20, 20), generator=generator)
    masks = []
    for seed in (1, 2):
        network = Phoenix(20, 5, torch.Generator().manual_seed(seed))
        pruner = Pruner(network, INFLUENCE["biological"], prior, generator=torch.Generator().manual_seed(5))
        pruner.prune(0.2)
        masks.append(pruner.masks)
    for name in network.LAYERS:
        np.testing.assert_array_equal(masks[0][name], masks[1][name])


def test_scores_are_carried_on_from_one_pruning_to_the_next(generator):
    network = Phoenix(20, 5, generator)
    prior = torch.randint(-1, 2, (20, 20), generator=generator)
    pruner = Pruner(network, (0.5, 0.05), prior, generator=generator)
    at_first = [s.clone() for s in pruner.scores]
    size = [shares(network.sum_in.double().abs()), shares(network.product_in.double().exp())]
    pruner.prune(0.9)
    for old, weights, new in zip(at_first, size, pruner.scores, strict=True):
        expected = 0.5 * scores.prior_of_inputs(old, scores.partners(prior)) + 0.5 * weights
        torch.testing.assert_close(new, expected.detach())


def test_output_weights_are_scored_by_prior_and_size_together(generator):
    network = Phoenix(20, 5, generator)
    prior = torch.randint(-1, 2, (20, 20), generator=generator)
    pruner = Pruner(network, (0.5, 0.05), prior, generator=generator)
    found = pruner.next_scores()
    for name, into in zip(("sum_out", "product_out"), pruner.scores, strict=True):
        size = shares(getattr(network, name).double().abs() * network.decay().double()[:, None])
        expected = 0.05 * scores.prior_of_outputs(into, prior) + 0.95 * size
        torch.testing.assert_close(found[name], expected)
