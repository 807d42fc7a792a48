"""The public names, for type checkers, which see nothing of `__getattr__`."""

from .attention_bilstm import AttentionBiLSTMClassifier as AttentionBiLSTMClassifier
from .classification import cross_validate_classifier as cross_validate_classifier
from .classification import family_importance as family_importance
from .family_attention import EphysTypeClassifier as EphysTypeClassifier
from .family_attention import FamilyAttentionClassifier as FamilyAttentionClassifier
from .sparse_pca_forest import SparsePCAForest as SparsePCAForest
