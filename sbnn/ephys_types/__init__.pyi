"""The public names, for type checkers, which see nothing of `__getattr__`."""

from sbnn.ephys_types.attention_bilstm import AttentionBiLSTMClassifier as AttentionBiLSTMClassifier
from sbnn.ephys_types.classification import cross_validate_classifier as cross_validate_classifier
from sbnn.ephys_types.classification import family_importance as family_importance
from sbnn.ephys_types.classifier import EphysTypeClassifier as EphysTypeClassifier
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier as FamilyAttentionClassifier
from sbnn.ephys_types.family_attention import (
    TransferAttentionClassifier as TransferAttentionClassifier,
)
from sbnn.ephys_types.sparse_pca_forest import SparsePCAForest as SparsePCAForest
from sbnn.ephys_types.transfer import ZeroShotClassifier as ZeroShotClassifier
