"""Predict transcriptomic types from electrophysiology, within and across species."""

import importlib

# Module of each public name.
_HOME = {
    "AttentionBiLSTMClassifier": "attention_bilstm",
    "cross_validate_classifier": "classification",
    "family_importance": "classification",
    "EphysTypeClassifier": "classifier",
    "FamilyAttentionClassifier": "family_attention",
    "TransferAttentionClassifier": "family_attention",
    "SparsePCAForest": "sparse_pca_forest",
    "ZeroShotClassifier": "transfer",
}

__all__ = list(_HOME)


def __getattr__(name):
    # imported on first use, so that reading a record does not load torch
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    return getattr(module, name)
