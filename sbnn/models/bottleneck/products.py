"""Matrix products of the networks, computed by the fastest library for their shape.

On AMD processors, MKL reaches half the speed of oneDNN, which has more overhead per call and
computes only large products with short sums, which both add up in the same order.
"""

from functools import cache

import torch

# multiplications above which oneDNN is faster, measured on an EPYC 9005; gradients need a transpose
LEAST_OF_LAYER = 1_000_000
LEAST_OF_GRADIENT = 4_000_000
LONGEST_SUM = 128  # each library splits longer sums in its own way


@cache
def has_onednn():
    """Whether oneDNN computes large products on this machine."""
    if not torch.backends.mkldnn.is_available():
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # from torch 2.10 on
    name = capabilities.get("cpu_name", "")
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and "Intel" not in name


def affine(bias, x, weight):
    """``bias + x @ weight``, (n, q), or (m, n, q) for m networks."""
    if weight.dim() == 3:
        return torch.baddbmm(bias, x, weight)
    if _is_for_onednn(x, weight, LEAST_OF_LAYER):
        return _onednn(x, weight, bias[0])
    return torch.addmm(bias, x, weight)


def product(a, b):
    """Product of `a`, (n, p), and `b`, (p, q), or of the matrices of m networks."""
    if a.dim() == 3:
        return torch.bmm(a, b)
    if _is_for_onednn(a, b, LEAST_OF_LAYER):
        return _onednn(a, b)
    return torch.mm(a, b)


def write_gradient(x, delta, out):
    """Write the gradient of the weights of a layer, x' @ delta, to `out`."""
    if x.dim() == 3:
        torch.bmm(x.mT, delta, out=out)
    elif _is_for_onednn(x.t(), delta, LEAST_OF_GRADIENT):
        out.copy_(_onednn(x.t(), delta))
    else:
        torch.mm(x.t(), delta, out=out)


def _onednn(a, b, bias=None):
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")


def _is_for_onednn(a, b, least):
    if a.numel() * b.shape[1] < least or a.shape[1] > LONGEST_SUM:
        return False
    if a.dtype != torch.float32 or a.device.type != "cpu":
        return False
    # Autograd does not support products computed by oneDNN.
    needs_grad = torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)
    return has_onednn() and not needs_grad
