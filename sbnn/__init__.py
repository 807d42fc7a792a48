"""Sparse bottleneck neural networks and their peers, for two kinds of measurement of the same cells."""

import importlib

_HOME = {
    "ExpressionStream": "streams",
    "LeaveOneOutRidge": "linear",
    "PairedData": "paired",
    "Record": "results",
    "ReducedRankRegression": "linear",
    "SparseBottleneckRegressor": "estimators",
    "SparseReducedRankRegression": "linear",
    "cross_validate": "crossval",
    "default_dataset": "datasets",
    "epoch_curves": "crossval",
    "fit_full": "fullfit",
    "gene_counts": "stability",
    "interpret": "interpretation",
    "load_dataset": "datasets",
    "neighbour_accuracy": "neighbours",
    "paper_folds": "folds",
    "repeat_fits": "repeats",
    "selection_table": "stability",
    "simulate_patchseq": "simulate",
    "stability_selection": "repeats",
}
_MODULES = ("datasets", "experiments", "linear", "metrics", "plotting", "preprocessing", "results", "scala")

__all__ = [*_HOME, *_MODULES]


def __getattr__(name):
    # On first use, so that reading a record or a table does not wait for torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"sbnn.{name}")
    raise AttributeError(f"module 'sbnn' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
