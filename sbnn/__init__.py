"""Sparse bottleneck neural networks and their peers, for two kinds of measurement of the same cells."""

import importlib

__version__ = "1.0.0"

# Public name -> the module it lives in.
_HOME = {
    "DistilledSettings": "models.bottleneck.settings",
    "ExpressionStream": "data.streams",
    "LeaveOneOutRidge": "models.linear",
    "PerFeatureElasticNet": "models.sparse_linear",
    "ReducedRankRegression": "models.linear",
    "SparseBottleneckRegressor": "models.bottleneck.estimator",
    "SparseReducedRankRegression": "models.linear",
    "annotate": "evaluation.annotation",
    "cross_validate": "evaluation.crossval",
    "default_dataset": "data.datasets",
    "epoch_curves": "evaluation.crossval",
    "explore": "explorer.explore",
    "fit_full": "evaluation.fits",
    "genes_curve": "evaluation.fits",
    "genes_table": "evaluation.stability",
    "grouped_folds": "evaluation.folds",
    "interpret": "evaluation.interpretation",
    "later_fold": "evaluation.folds",
    "load_dataset": "data.datasets",
    "map_trust": "evaluation.maps",
    "neighbour_accuracy": "evaluation.neighbours",
    "paper_folds": "evaluation.folds",
    "paired": "data.paired",
    "read_ephys_table": "data.ephys_tables",
    "read_tables": "data.readers.tables",
    "selection_table": "evaluation.stability",
    "simulate_patchseq": "data.simulate",
    "simulate_tables": "data.simulate",
    "stability_selection": "evaluation.fits",
    "to_shared_features": "data.ephys_features",
    "typed_cells": "data.typed_cells",
    "verdict": "evaluation.verdict",
}
# Public modules, by the name under which `from sbnn import ...` finds them.
_MODULES = {
    "metrics": "metrics",
    "plotting": "plotting",
    "preprocessing": "data.preprocessing",
    "results": "results",
}

__all__ = [*_HOME, *_MODULES]


def __getattr__(name):
    # On first use, so that reading a record or a table does not wait for torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"sbnn.{_MODULES[name]}")
    raise AttributeError(f"module 'sbnn' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
