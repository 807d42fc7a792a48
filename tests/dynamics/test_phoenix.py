import numpy as np
import pytest
import torch

from sbnn.dynamics.network import Phoenix


@pytest.fixture
def network():
    return Phoenix(50, 8, torch.Generator().manual_seed(0))


def test_targets_are_those_of_the_paper(network):
    with torch.no_grad():
        network.sum_bias.normal_(generator=torch.Generator().manual_seed(1))
        network.product_bias.normal_(generator=torch.Generator().manual_seed(2))
    weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    x = np.random.default_rng(0).uniform(-1, 2, (3, 50))
    u = (x - 0.5) / (1 + np.abs(x - 0.5))
    sums = u @ weights["sum_in"].T + weights["sum_bias"]
    products = np.prod((1 + u[:, None]) ** weights["product_in"], axis=2) * np.exp(weights["product_bias"])
    expected = sums @ weights["sum_out"].T + products @ weights["product_out"].T
    x = torch.from_numpy(x).float()
    np.testing.assert_allclose(network.targets(x).detach(), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        network.multiplier[:25] *= -1
    rates = network(x).detach()
    assert not rates[:, :25].any()
    np.testing.assert_allclose(
        rates[:, 25:], (weights["multiplier"] * (expected - x.numpy()))[:, 25:], rtol=1e-4, atol=1e-5
    )


def test_the_start_is_sparse_orthogonal_and_uniform():
    network = Phoenix(400, 40, torch.Generator().manual_seed(0))
    for layer in (network.sum_in.detach(), network.product_in.detach()):
        assert (layer == 0).float().mean() == pytest.approx(0.95, abs=0.005)
        assert layer[layer != 0].std() == pytest.approx(0.05, rel=0.1)
    for layer in (network.sum_out, network.product_out):
        np.testing.assert_allclose((layer.T @ layer).detach(), np.eye(40), atol=1e-5)
    m = network.multiplier.detach()
    assert m.min() >= 0 and m.max() <= 1 and m.mean() == pytest.approx(0.5, abs=0.05)


def test_edges_are_paths_of_weights_from_regulator_to_target(network):
    with torch.no_grad():
        for name in network.LAYERS:
            getattr(network, name).zero_()
        network.sum_in[0, 3], network.sum_out[7, 0] = 2, -0.5
        network.product_in[1, 4], network.product_out[8, 1] = 3, 1
        network.product_in[2, 5], network.product_out[9, 2] = 1, 1
        network.multiplier[[7, 8, 9]] = torch.tensor([0.5, 0.25, -1])
    edges = network.edges()
    assert edges[3, 7] == -0.5 and edges[4, 8] == 0.75
    assert edges.count_nonzero() == 2, "no path to a gene that does not change"


def test_an_edge_is_what_a_target_depends_on(network):
    """The sign of a derivative, where products are at work alone too."""
    with torch.no_grad():
        network.product_out.abs_()
        network.sum_out.zero_()
        network.product_in.clamp_(min=0)
    x = torch.full((50,), 0.4).requires_grad_()
    slopes = torch.autograd.functional.jacobian(lambda v: network.decay() * network.targets(v), x).T
    edges = network.edges()
    np.testing.assert_array_equal(slopes.sign(), edges.sign())


def test_sparsity_counts_weights_of_genes_that_do_not_change_as_zeros(network):
    with torch.no_grad():
        for name in network.LAYERS:
            getattr(network, name).fill_(1)
        network.sum_in[0, :10] = 0
        network.multiplier.fill_(1)
        network.multiplier[:5] = -1
    assert network.sparsity() == pytest.approx((10 + 2 * 5 * 8) / (4 * 8 * 50))
