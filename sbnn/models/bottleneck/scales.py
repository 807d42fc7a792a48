"""Scaling of genes and outputs for the network, based on the training cells."""

import copy
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from sbnn.data.checks import some
from sbnn.data.inputs import library_of
from sbnn.determinism import reproducible
from sbnn.models.bottleneck.protocols import PROTOCOLS

CELLS_AT_ONCE = 65_536  # number of cells passed through the network at once, which limits memory
# number of values scaled at once, so that copies in double precision stay small
SCALED_AT_ONCE = 2**22


def learn_scales(model, X, Y, cells="the training cells"):
    """Set the means and SDs of genes and outputs, and the limits of genes, from the training cells of a model."""
    model.x_min_, model.x_max_ = PROTOCOLS[model.protocol].input_limits(model, X)
    as_measured = X
    if (model.x_min_ > X.min(0)).any() or (model.x_max_ < X.max(0)).any():
        X = np.clip(X, model.x_min_, model.x_max_)
    model.x_mean_, model.y_mean_ = X.mean(0, dtype=np.float64), Y.mean(0)
    x_scale, y_scale = _sds(X), Y.std(0)
    # Because the mean is rounded, a constant float32 column may have a tiny SD instead of zero.
    constant = (X == X[0]).all(0)
    if constant.any():
        names = getattr(model, "feature_names_in_", np.array([f"x{i}" for i in range(X.shape[1])]))[
            constant
        ]
        text = f"genes that are constant over {cells} cannot predict anything: {some(names)}"
        warnings.warn(text, stacklevel=3)
    x_scale[constant] = 1
    y_scale[(Y == Y[0]).all(0)] = 1
    if not model.standardize:
        # Clipping reduces the SD of genes; clipped genes are rescaled to the original SD, which is
        # the unit of the input noise.
        x_scale = (
            np.ones_like(x_scale)
            if X is as_measured
            else x_scale / np.where(constant, 1, _sds(as_measured))
        )
    model.x_scale_ = x_scale
    model.y_scale_ = y_scale if model.standardize else np.ones_like(y_scale)


def scaled_inputs(model, X, device):
    """Expression as a float32 tensor of shape (n, p), clipped and scaled as for the training cells."""
    scaled = np.empty(X.shape, dtype=np.float32)
    for rows in _slices(len(X), max(1, SCALED_AT_ONCE // X.shape[1])):
        scaled[rows] = (
            np.clip(X[rows], model.x_min_, model.x_max_) - model.x_mean_
        ) / model.x_scale_
    return torch.as_tensor(scaled).to(device)


def scaled_outputs(model, Y, device):
    """Outputs as a float32 tensor of shape (n, q), scaled as for the training cells."""
    return torch.as_tensor(((Y - model.y_mean_) / model.y_scale_).astype(np.float32)).to(device)


@torch.no_grad()
def through_network(model, network, function, X):
    """Apply ``function(network, cells)`` in double precision to X, the kept genes; return an array (n, ...)."""
    # In single precision, the prediction for a cell would depend on the number of cells, which
    # affects the order in which terms are added.
    kept = np.flatnonzero(model.support_)
    network = copy.deepcopy(network).double()
    results = []
    with reproducible(model.n_threads):
        for rows in _slices(len(X), CELLS_AT_ONCE):
            limited = np.clip(X[rows], model.x_min_[kept], model.x_max_[kept])
            scaled = (limited - model.x_mean_[kept]) / model.x_scale_[kept]
            results.append(
                function(network, torch.as_tensor(scaled).to(network.flat.device)).cpu().numpy()
            )
    return np.concatenate(results)


def _sds(X):
    # The SDs are computed for a few genes at a time, since NumPy stores all deviations in double
    # precision.
    some = np.array_split(X, max(1, X.shape[1] // 64), axis=1)
    return np.concatenate([part.std(0, dtype=np.float64) for part in some])


def _slices(n, size):
    return (slice(start, start + size) for start in range(0, n, size))


def model_in_units(model, data, genes):
    """Convert a model fitted to z-scores of `genes` so that it takes all genes of `data` in their original units."""
    columns = pd.Index(data.gene_names).get_indexer(genes)
    x, y = (
        StandardScaler().fit(values.astype(np.float64)) for values in (data.X[:, columns], data.Y)
    )
    n_genes = len(data.gene_names)

    def among_all(values, others):
        spread = np.full(n_genes, others, dtype=np.asarray(values).dtype)
        spread[columns] = values
        return spread

    turned = clone(model).set_params(standardize=True)
    vars(turned).update(
        {name: value for name, value in vars(model).items() if name not in model.get_params()}
    )
    turned.support_ = among_all(model.support_, False)
    turned.gene_norms_ = among_all(model.gene_norms_, 0)
    turned.x_mean_ = among_all(x.mean_ + x.scale_ * model.x_mean_, 0)
    # 0 marks genes without a scale, as in fits to streams
    turned.x_scale_ = among_all(x.scale_ * model.x_scale_, 0)
    turned.x_min_ = among_all(x.mean_ + x.scale_ * model.x_min_, -np.inf)
    turned.x_max_ = among_all(x.mean_ + x.scale_ * model.x_max_, np.inf)
    turned.y_mean_ = y.mean_ + y.scale_ * model.y_mean_
    turned.y_scale_ = y.scale_ * model.y_scale_
    turned.n_features_in_ = n_genes
    turned.feature_names_in_ = np.asarray(data.gene_names, dtype=object)
    turned.output_names_ = np.asarray(data.feature_names, dtype=object)
    turned.library_size_, turned.count_share_ = library_of(data.X, data.counts)
    return turned
