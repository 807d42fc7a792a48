"""The models that are compared: what each is, what it is called, and how it is made for a quick run."""

from dataclasses import dataclass

from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.ephys_types.attention_bilstm import AttentionBiLSTMClassifier as BiLSTM
from sbnn.ephys_types.base import FeatureScaling, lightgbm
from sbnn.ephys_types.classifier import EphysTypeClassifier
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.ephys_types.sparse_pca_forest import SparsePCAForest

REFERENCE = "lightgbm"  # what the others are compared with
#: Variants of another model, and cells up to which they are told apart.
VARIANTS, MOST_CELLS = ("sparse_pca_forest_published", "bilstm_no_attention", "bilstm_smote", "bilstm_arcface"), 2000
#: Of which models the families are asked for: two with attention, and trees.
INTERPRETED = ("bilstm", "family_attention", "lightgbm")
KINDS = {"types": "type", "types5": "type5"}  # beginning of the names of the records -> column of the labels
# Names of the other records.
CELLS, FAMILIES, ZERO_SHOT, CURVES = "types_cells", "types_families", "transfer_zero_shot", "transfer_curves"


@dataclass(frozen=True)
class Model:
    """A row of the tables: label, classifier without a seed, what decides its colour, parameters for a quick run."""

    label: str
    estimator: BaseEstimator
    kind: str  # "baseline", "trees", "sequence" or "ours"
    quick: dict


FEW_TREES, FEW_EPOCHS = {"n_estimators": 20}, {"max_epochs": 2}

# Class-balanced, with gaps filled by the median of the training cells.
LOGISTIC = make_pipeline(
    FeatureScaling(), SimpleImputer(strategy="median"), StandardScaler(),
    LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000),
)  # fmt: skip
FOREST = make_pipeline(SimpleImputer(strategy="median"), RandomForestClassifier(300, class_weight="balanced_subsample"))
PUBLISHED_FOREST = SparsePCAForest(published=True)
# Name, which is that of the record too -> model.
MODELS = {
    "majority": Model("majority", DummyClassifier(strategy="most_frequent"), "baseline", {}),
    "logistic": Model("logistic regression", LOGISTIC, "baseline", {}),
    "forest": Model("balanced forest", FOREST, "trees", {}),
    "lightgbm": Model("LightGBM", lightgbm(), "trees", {}),
    "sparse_pca_forest_published": Model("sparse PCA + forest, published", PUBLISHED_FOREST, "trees", FEW_TREES),
    "sparse_pca_forest": Model("sparse PCA + forest", SparsePCAForest(), "trees", FEW_TREES),
    "bilstm_published": Model("BiLSTM + attention, published", BiLSTM(published=True), "sequence", FEW_EPOCHS),
    "bilstm_no_attention": Model("BiLSTM without attention", BiLSTM(attention=False), "sequence", FEW_EPOCHS),
    "bilstm": Model("BiLSTM + attention", BiLSTM(), "sequence", FEW_EPOCHS),
    "bilstm_smote": Model("BiLSTM + attention, SMOTE", BiLSTM(smote=True), "sequence", FEW_EPOCHS),
    "bilstm_arcface": Model("BiLSTM + attention, ArcFace", BiLSTM(loss="arcface"), "sequence", FEW_EPOCHS),
    "family_attention": Model("attention over families", FamilyAttentionClassifier(), "ours", {"n_steps": 10}),
    "ephys_type": Model("EphysTypeClassifier", EphysTypeClassifier(), "ours", {"n_steps": 10}),
}


def of_kind(records, kind):
    """Cross-validations of one kind of types by model, in the order of `MODELS`."""
    return {name: records[f"{kind}_{name}"] for name in MODELS if f"{kind}_{name}" in records}


def estimator(model, fast=False):
    """The classifier of a `Model`; for a quick run with few trees or steps."""
    return clone(model.estimator).set_params(**model.quick) if fast else clone(model.estimator)
