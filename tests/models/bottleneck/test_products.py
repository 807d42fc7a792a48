"""Products of matrices of every shape, whichever library computes them."""

import pytest
import torch
from torch.testing import assert_close

from sbnn.models.bottleneck import products

HAS_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"


def tensors(n, p, q):
    """Cells (n, p), weights (p, q), bias (1, q) and gradients of the outputs (n, q)."""
    generator = torch.Generator().manual_seed(0)
    shapes = (n, p), (p, q), (1, q), (n, q)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def computed(x, weight, bias, delta):
    """Output of a layer, gradient of its inputs, and gradient of its weights."""
    out = torch.full_like(weight, torch.nan)
    products.write_gradient(x, delta, out)
    return products.affine(bias, x, weight), products.product(delta, weight.mT), out


@pytest.mark.parametrize("shape", [(32, 1000, 512), (5, 7, 3), (512, 128, 200), (100, 128, 512)])
def test_products_are_right_and_do_not_depend_on_the_library(shape, monkeypatch):
    given = x, weight, bias, delta = tensors(*shape)
    monkeypatch.setattr(products, "has_onednn", lambda: False)
    by_mkl = computed(*given)
    monkeypatch.setattr(products, "has_onednn", lambda: HAS_AVX512)
    by_either = computed(*given)
    expected = x @ weight + bias, delta @ weight.mT, x.mT @ delta
    together = computed(*(torch.stack([2 * one, one]) for one in given))
    for one, other, right, stacked in zip(by_mkl, by_either, expected, together, strict=True):
        assert_close(one, right, atol=1e-4, rtol=1e-5)
        assert torch.equal(one, other)
        assert_close(stacked[1], right, atol=1e-4, rtol=1e-5)


def test_autograd_works_for_large_products(monkeypatch):
    monkeypatch.setattr(products, "has_onednn", lambda: HAS_AVX512)
    x, weight, bias, _ = tensors(512, 128, 200)
    weight.requires_grad_()
    products.affine(bias, x, weight).sum().backward()
    expected = x.sum(0)[:, None].expand(weight.shape)
    assert_close(weight.grad, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("n", "p", "q", "is_for_it"),
    [(384, 64, 64, True), (128, 64, 64, False), (32, 1000, 512, False), (64, 128, 512, True)],
)
def test_large_products_of_short_sums_are_those_of_onednn(n, p, q, is_for_it, monkeypatch):
    """Anything else would be slower, or change the numbers."""
    monkeypatch.setattr(products, "has_onednn", lambda: True)
    x, weight, _, _ = tensors(n, p, q)
    assert products._is_for_onednn(x, weight, products.LEAST_OF_LAYER) is is_for_it
    assert not products._is_for_onednn(x.double(), weight.double(), products.LEAST_OF_LAYER)
