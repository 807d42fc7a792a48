"""What the parameters of the estimator may be, and which of them a protocol uses."""

import inspect
import warnings
from numbers import Integral, Real

from sbnn.models.base import check_number
from sbnn.models.bottleneck.gene_prior import spelled_out
from sbnn.models.bottleneck.protocols import PROTOCOLS
from sbnn.models.bottleneck.protocols.settings import DistilledSettings

RECONSTRUCTION = ("epochs", "learning_rate", "batch_size", "weight_decay")  # parameters that train its head
MOST_COMPONENTS = 10_000  # of the bottleneck, and units of a layer: more is a slip, and takes the memory of the machine


def protocol_of(model):
    """Module of the protocol that a model asks for; a ValueError where there is none of that name."""
    if model.protocol not in PROTOCOLS:
        raise ValueError(f"protocol: {model.protocol!r} is unknown, expected one of {sorted(PROTOCOLS)}")
    return PROTOCOLS[model.protocol]


def check_params(model, X):
    """Refuse parameters of a `SparseBottleneckRegressor` that are out of range, and warn of those that do nothing."""
    p = X.shape[1]
    protocol_of(model)
    if not (model.distillation is None or isinstance(model.distillation, DistilledSettings)):
        raise TypeError(f"distillation: expected None or sbnn.DistilledSettings, got {model.distillation!r}")
    _warn_of_unused(model)
    if model.n_genes is not None:
        check_number("n_genes", model.n_genes, Integral)
        if not 1 <= model.n_genes <= p:
            raise ValueError(f"n_genes: expected 1 to {p} (the number of genes in X), got {model.n_genes}")
    check_number("prior_influence", model.prior_influence, Real, 0, 1)
    if model.gene_prior is not None:
        spelled_out(model.gene_prior)
    for name in ("batch_size", "n_clusters", "n_threads"):
        check_number(name, getattr(model, name), Integral, 1)
    check_number("n_components", model.n_components, Integral, 1, MOST_COMPONENTS)
    for width in () if model.hidden_layers is None else model.hidden_layers:
        check_number("hidden_layers", width, Integral, 1, MOST_COMPONENTS)
    for name in ("group_lasso", "learning_rate", "weight_decay"):
        if not getattr(model, name) >= 0:
            raise ValueError(f"{name}: expected a number >= 0, got {getattr(model, name)}")
    if model.hidden_layers is not None and (len(model.hidden_layers) < 2 or min(model.hidden_layers) < 1):
        raise ValueError(f"hidden_layers: expected at least two widths >= 1, got {model.hidden_layers}")
    if len(model.epochs) != 4 or min(model.epochs) < 0:
        raise ValueError(
            f"epochs: expected four numbers >= 0 (pretraining, frozen, unfrozen, fine-tuning), got {model.epochs}"
        )


def _warn_of_unused(model):
    """A penalty that is set and does nothing would be taken for one that makes no difference."""
    used = {*PROTOCOLS[model.protocol].PARAMETERS, *(RECONSTRUCTION if model.reconstruct else ())}
    defaults = {name: p.default for name, p in inspect.signature(type(model)).parameters.items()}
    others = {name for protocol in PROTOCOLS.values() for name in protocol.PARAMETERS} - used
    changed = sorted(name for name in others if getattr(model, name) != defaults[name])
    if model.gene_prior is not None and model.n_genes is None:
        warnings.warn("gene_prior does nothing with n_genes=None, which keeps all genes", stacklevel=4)
    if changed:
        warnings.warn(f"the protocol {model.protocol!r} does not use {', '.join(changed)}", stacklevel=4)
