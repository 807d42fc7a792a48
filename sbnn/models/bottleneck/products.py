"""Matrix products of the networks, computed by the fastest library for their shape.

On a CPU, torch uses MKL, which reaches only half the possible speed on AMD processors. oneDNN
reaches full speed, but requires AVX-512 and has more overhead per call. Except on Intel processors,
oneDNN is used for large products with short sums. Both libraries add up the terms of short sums in
the same order, so results do not depend on the library.
"""

from functools import cache

import torch

# Numbers of multiplications above which oneDNN is faster, measured on an EPYC 9005: for the output
# of a layer, and for the gradient of its weights, which requires transposing the inputs first.
LEAST_OF_LAYER, LEAST_OF_GRADIENT = 1_000_000, 4_000_000
LONGEST_SUM = 128  # maximum number of terms; each library splits longer sums in its own way


@cache
def has_onednn():
    """Whether large products are computed by oneDNN on this machine."""
    wide = (
        torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )
    return wide and "Intel" not in torch.cpu.get_capabilities().get("cpu_name", "")


def affine(bias, x, weight):
    """Compute ``bias + x @ weight`` for one network, or for several networks stacked along a leading axis."""
    if weight.dim() == 3:
        return torch.baddbmm(bias, x, weight)
    if _is_for_onednn(x, weight, LEAST_OF_LAYER):
        return torch.ops.mkldnn._linear_pointwise(x, weight.t(), bias, "none", [], "")
    return torch.addmm(bias, x, weight)


def product(a, b):
    """Product of `a` of shape (n, p) and `b` of shape (p, q), or of several such pairs stacked along a leading axis."""
    if a.dim() == 3:
        return torch.bmm(a, b)
    if _is_for_onednn(a, b, LEAST_OF_LAYER):
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return torch.mm(a, b)


def write_gradient(x, delta, out):
    """Write the gradient of the weights of a layer, x' @ delta, to `out`."""
    if x.dim() == 3:
        torch.bmm(x.mT, delta, out=out)
    elif _is_for_onednn(x.t(), delta, LEAST_OF_GRADIENT):
        out.copy_(torch.ops.mkldnn._linear_pointwise(x.t(), delta.t(), None, "none", [], ""))
    else:
        torch.mm(x.t(), delta, out=out)


def _is_for_onednn(a, b, least):
    large = a.numel() * b.shape[1] >= least and a.shape[1] <= LONGEST_SUM
    # Autograd does not support products computed by oneDNN.
    needs_grad = torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)
    return (
        large
        and a.dtype == torch.float32
        and a.device.type == "cpu"
        and has_onednn()
        and not needs_grad
    )
