"""From electrophysiology to transcriptomic type: classifiers over families of features, and transfer across species."""

import importlib

# Public name -> the module it lives in.
_HOME = {
    "AttentionBiLSTMClassifier": "ephys_types.attention_bilstm",
    "EphysTypeClassifier": "ephys_types.classifier",
    "FamilyAttentionClassifier": "ephys_types.family_attention",
    "SourcePriorClassifier": "ephys_types.transfer",
    "SparsePCAForest": "ephys_types.sparse_pca_forest",
    "TransferAttentionClassifier": "ephys_types.family_attention",
    "ZeroShotClassifier": "ephys_types.transfer",
    "cross_validate_classifier": "evaluation.classification",
    "family_importance": "evaluation.classification",
}

__all__ = list(_HOME)


def __getattr__(name):
    # On first use, so that reading a record or a table does not wait for torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sbnn.ephys_types' has no attribute {name!r}")
