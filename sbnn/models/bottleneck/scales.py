"""Scaling of genes and outputs by the training cells."""

import copy
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler

from sbnn.data.inputs import blocks, read
from sbnn.determinism import reproducible

# most cells, and values, that pass through the network at once
CELLS_AT_ONCE = 65_536
VALUES_AT_ONCE = 2**26


class Moments(NamedTuple):
    """Range, mean and SD of each gene over all cells, arrays of shape (p,)."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def moments_of(X):
    """Moments of expression, (n, p); all cells are read twice."""
    n, p = X.shape
    least = np.full(p, np.inf, dtype=np.float32)
    most = -least
    total = np.zeros(p)
    for rows in blocks(X):
        block = read(X, rows).astype(np.float32, copy=False)
        total = _add_rows(block.astype(np.float64), total)
        least = np.minimum(least, block.min(axis=0))
        most = np.maximum(most, block.max(axis=0))
    if not np.isfinite(total).all():
        raise ValueError("X: values are too large for single precision")
    mean = total / n
    squares = np.zeros(p)
    for rows in blocks(X):
        block = read(X, rows).astype(np.float32, copy=False)
        squares = _add_rows((block - mean) ** 2, squares)
    return Moments(least, most, mean, np.sqrt(squares / n))


def _add_rows(block, total):
    """Add rows to the total before; overwrites the block."""
    # NumPy adds row after row, so sums over blocks equal sums over all rows bit for bit
    block[0] += total
    return block.sum(axis=0)


def learn_scales(model, cells, Y):
    """Set means, SDs and limits of a model, for outputs Y, (n, q)."""
    measured = moments_of(cells)
    reach = np.float32(0 if model._clips else np.inf)
    model.x_min_ = measured.low - reach
    model.x_max_ = measured.high + reach
    model.x_mean_ = measured.mean
    model.y_mean_ = Y.mean(axis=0)
    model.x_scale_ = np.ones_like(measured.sd)
    model.y_scale_ = np.ones(Y.shape[1])
    if model.standardize:
        # a constant column may have a tiny SD, as its mean is rounded
        model.x_scale_ = np.where(measured.low == measured.high, 1, measured.sd)
        model.y_scale_ = np.where((Y == Y[0]).all(axis=0), 1, Y.std(axis=0))


class ScaledCells:
    """Scaled expression, (n, p); an index of cells, and maybe of genes, gives float32 tensors."""

    def __init__(self, model, X, device):
        self.model = model
        self.X = X
        self.device = device
        self.shape = X.shape

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        cells, genes = key if isinstance(key, tuple) else (key, slice(None))
        if not isinstance(cells, slice):
            return self._tensor(self._scaled(cells, genes))
        n_genes = len(np.arange(self.shape[1])[genes])
        scaled = np.empty((len(self), n_genes), dtype=np.float32)
        for rows in blocks(self.X):
            scaled[rows] = self._scaled(rows, genes)
        return self._tensor(scaled)

    def _scaled(self, cells, genes):
        block = read(self.X, cells, genes).astype(np.float32, copy=False)
        return _scaled(self.model, block, genes).astype(np.float32)

    def _tensor(self, values):
        return torch.as_tensor(values).to(self.device)


def _scaled(model, X, genes):
    limited = np.clip(X, model.x_min_[genes], model.x_max_[genes])
    return (limited - model.x_mean_[genes]) / model.x_scale_[genes]


def scaled_outputs(model, Y, device):
    """Outputs as a scaled float32 tensor, (n, q)."""
    Y = (Y - model.y_mean_) / model.y_scale_
    return torch.as_tensor(Y.astype(np.float32)).to(device)


def outputs_in_units(model, output):
    """Raw outputs of the network, (n, q), in the units of the outputs."""
    return output * model.y_scale_ + model.y_mean_


@torch.no_grad()
def through_network(model, network, last, X):
    """Apply layers of a network to the kept genes, (n, k), in double precision."""
    # in single precision, the prediction for a cell would depend on the number of cells
    kept = np.flatnonzero(model.support_)
    network = copy.deepcopy(network).double()
    size = min(CELLS_AT_ONCE, max(1, VALUES_AT_ONCE // len(kept)))
    results = []
    with reproducible():
        for start in range(0, len(X), size):
            block = X[start : start + size].astype(np.float64, copy=False)
            scaled = _scaled(model, block, kept)
            inputs = torch.as_tensor(np.asfortranarray(scaled)).to(network.flat.device)
            results.append(network(inputs, last=last).cpu().numpy())
    return np.concatenate(results)


def model_in_units(model, data, genes):
    """From a model of z-scores of `genes`, one of all genes of `data` in their units."""
    columns = pd.Index(data.gene_names).get_indexer(genes)
    x = StandardScaler().fit(data.X[:, columns].astype(np.float64))
    y = StandardScaler().fit(data.Y.astype(np.float64))
    n_genes = len(data.gene_names)

    def among_all(values, others):
        spread = np.full(n_genes, others, dtype=np.asarray(values).dtype)
        spread[columns] = values
        return spread

    turned = copy.copy(model).set_params(standardize=True)
    turned.support_ = among_all(model.support_, False)
    turned.gene_norms_ = among_all(model.gene_norms_, 0)
    turned.x_mean_ = among_all(x.mean_ + x.scale_ * model.x_mean_, 0)
    # 0 marks genes without a scale
    turned.x_scale_ = among_all(x.scale_ * model.x_scale_, 0)
    turned.x_min_ = among_all(x.mean_ + x.scale_ * model.x_min_, -np.inf)
    turned.x_max_ = among_all(x.mean_ + x.scale_ * model.x_max_, np.inf)
    turned.y_mean_ = y.mean_ + y.scale_ * model.y_mean_
    turned.y_scale_ = y.scale_ * model.y_scale_
    turned.n_features_in_ = n_genes
    turned.feature_names_in_ = np.asarray(data.gene_names, dtype=object)
    turned.output_names_ = np.asarray(data.feature_names, dtype=object)
    return turned
