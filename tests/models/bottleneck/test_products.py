"""Products of matrices of every shape, whichever library makes them."""

import pytest
import torch

from sbnn.models.bottleneck import products


def tensors(n, p, q):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator) for shape in ((n, p), (p, q), (q,), (n, q)))


@pytest.mark.parametrize("shape", [(32, 1000, 512), (5, 7, 3), (512, 128, 200), (100, 128, 512)])
def test_products_are_right(shape, monkeypatch):
    """To the same bits whichever library makes them."""
    tolerance, results = {"atol": 1e-4, "rtol": 1e-5}, []
    for onednn in {False, torch.backends.cpu.get_cpu_capability() == "AVX512"}:
        monkeypatch.setattr(products, "has_onednn", lambda onednn=onednn: onednn)
        for dtype in (torch.float64, torch.float32):
            x, weight, bias, delta = (t.to(dtype) for t in tensors(*shape))
            out = torch.full_like(weight, torch.nan)
            products.write_gradient(x, delta, out)
            results.append(
                (products.affine(bias, x, weight), products.product(delta, weight.mT), out)
            )
            expected = (x @ weight + bias, delta @ weight.mT, x.mT @ delta)
            torch.testing.assert_close(results[-1], expected, **tolerance)
    assert all(torch.equal(one, other) for one, other in zip(results[1], results[-1], strict=True))
    weight.requires_grad_()
    products.affine(bias, x, weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0)[:, None].expand(weight.shape), **tolerance)


def test_many_networks_at_once_give_what_each_gives():
    x, weight, bias, delta = (t.expand(3, *t.shape).clone() for t in tensors(8, 6, 4))
    x[1] *= 2
    for i in range(3):
        one = products.affine(bias[:, None], x, weight)[i]
        torch.testing.assert_close(one, x[i] @ weight[i] + bias[i])
        torch.testing.assert_close(products.product(delta, weight.mT)[i], delta[i] @ weight[i].mT)


def test_large_products_of_short_sums_are_those_of_onednn(monkeypatch):
    """Anything else would be slower, or change the numbers."""
    monkeypatch.setattr(products, "has_onednn", lambda: True)
    shapes = {
        (384, 64, 64): True,
        (128, 64, 64): False,
        (32, 1000, 512): False,
        (64, 128, 512): True,
    }
    for (n, p, q), wanted in shapes.items():
        assert (
            products._is_for_onednn(torch.empty(n, p), torch.empty(p, q), products.LEAST_OF_LAYER)
            is wanted
        )
    doubles = torch.empty(64, 128, dtype=torch.float64), torch.empty(128, 512, dtype=torch.float64)
    assert not products._is_for_onednn(*doubles, products.LEAST_OF_LAYER)
