"""Sparse bottleneck neural networks and linear baselines for paired measurements of cells."""

import importlib

__version__ = "1.1.0"

_NAMES = {
    "data.count_normalizer": ("CountNormalizer",),
    "data.datasets": ("default_dataset", "load_dataset"),
    "data.diagnose": ("diagnose",),
    "data.ephys_tables": ("read_ephys_table",),
    "data.paired": ("paired",),
    "data.readers.tables": ("read_tables",),
    "data.simulate": ("simulate_patchseq",),
    "data.streams": ("ExpressionStream",),
    "data.typed_cells": ("typed_cells",),
    "evaluation.annotation": ("annotate",),
    "evaluation.crossval": ("cross_validate", "epoch_curves"),
    "evaluation.fits": ("fit_full", "genes_curve", "stability_selection"),
    "evaluation.folds": ("grouped_folds", "later_fold", "paper_folds"),
    "evaluation.interpretation": ("interpret",),
    "evaluation.maps": ("map_trust",),
    "evaluation.stability": ("genes_table", "selection_table"),
    "evaluation.verdict": ("verdict",),
    "explorer.explore": ("explore",),
    "models.bottleneck.distilled": ("DistilledBottleneckRegressor",),
    "models.bottleneck.settings": ("DistilledSettings",),
    "models.bottleneck.sparse": ("SparseBottleneckRegressor",),
    "models.linear": ("LeaveOneOutRidge", "ReducedRankRegression"),
    "models.sparse_linear": ("SparseReducedRankRegression",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
# name in `from sbnn import ...` -> public module
_MODULES = {
    "metrics": "metrics",
    "plotting": "plotting",
    "preprocessing": "data.preprocessing",
    "results": "results",
}

__all__ = [*_HOME, *_MODULES]


def __getattr__(name):
    # Imported on first use, so that reading a record or a table does not wait for torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"sbnn.{_MODULES[name]}")
    raise AttributeError(f"module 'sbnn' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
