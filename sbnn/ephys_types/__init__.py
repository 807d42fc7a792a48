"""From electrophysiology to transcriptomic type: classifiers over families of features, and transfer across species."""

import importlib

# Public name -> the module it lives in.
_HOME = {
    "AttentionBiLSTMClassifier": "attention_bilstm",
    "EphysTypeClassifier": "classifier",
    "FamilyAttentionClassifier": "family_attention",
    "SourcePriorClassifier": "transfer",
    "SparsePCAForest": "sparse_pca_forest",
    "TransferAttentionClassifier": "family_attention",
    "ZeroShotClassifier": "transfer",
}

__all__ = list(_HOME)


def __getattr__(name):
    # On first use, so that reading a record or a table does not wait for torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.ephys_types.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sbnn.ephys_types' has no attribute {name!r}")
