"""Predict transcriptomic types from families of electrophysiological features, within and across species."""

import importlib

# Public names by module.
_NAMES = {
    "ephys_types.attention_bilstm": ("AttentionBiLSTMClassifier",),
    "ephys_types.classification": ("cross_validate_classifier", "family_importance"),
    "ephys_types.classifier": ("EphysTypeClassifier",),
    "ephys_types.family_attention": ("FamilyAttentionClassifier", "TransferAttentionClassifier"),
    "ephys_types.sparse_pca_forest": ("SparsePCAForest",),
    "ephys_types.transfer": ("ZeroShotClassifier",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = list(_HOME)


def __getattr__(name):
    # Names are imported on first use, so that reading a record or a table does not have to load
    # torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sbnn.ephys_types' has no attribute {name!r}")
