"""Parameters out of range or of the wrong type are refused before anything is trained, and named."""

import re
import warnings

import numpy as np
import pytest

from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    KernelLogistic,
    SourcePriorClassifier,
    SparsePCAForest,
    TransferAttentionClassifier,
    ZeroShotClassifier,
)

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.repeat(["a", "b"], 20)

ATTENTION = {
    "n_members": [0, 1.5, None], "width": [0], "hidden": [-1], "noise": [-0.1, "much", None, np.nan],
    "dropout": [1.0, -0.1, None], "feature_dropout": [1, "auto"], "n_steps": [0, 2.5, None, "many"],
    "batch_size": [0, None], "learning_rate": [0, -1, None, np.inf], "weight_decay": [-1, "auto"],
}  # fmt: skip
REFUSED = {
    FamilyAttentionClassifier: ATTENTION,
    TransferAttentionClassifier: ATTENTION | {"way": ["both", None], "source_weight": [0, None]},
    EphysTypeClassifier: {"members": [(), ("forest",), ("trees", "trees"), "trees", None], "n_steps": [0, None, "few"]},
    KernelLogistic: {"C": [0, None, np.nan], "gamma": [-1, 0, "scale"], "n_landmarks": [0, 2.5, None]},
    AttentionBiLSTMClassifier: {
        "hidden": [0], "dropout": [2], "loss": ["hinge"], "class_weight": ["even"], "prior": ["even"],
        "missing": ["zeros"], "scaling": ["none"], "hide": [-1], "noise": [-1, "auto"], "learning_rate": [0, None],
        "schedule": ["cosine"], "weight_decay": [-1], "batch_size": [0], "max_epochs": [0, None], "patience": [0],
        "validation_share": [1], "stop_on": ["f1"],
    },
    SparsePCAForest: {
        "n_components": [0, "all"], "alpha": [-1], "least_variance": [2], "scaling": [None], "forest": ["oak"],
        "n_estimators": [0, None],
    },
    SourcePriorClassifier: {"weight": [-1, None, np.nan]},
    ZeroShotClassifier: {"alignment": ["none"]},
}  # fmt: skip
CASES = [(kind, name, bad) for kind, params in REFUSED.items() for name, values in params.items() for bad in values]


@pytest.mark.parametrize(("kind", "name", "bad"), CASES)
def test_what_is_out_of_range_is_named(kind, name, bad):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}\b.*{re.escape(repr(bad))}") as raised:
        kind(**{name: bad}).fit(X, Y)
    if name in ("n_steps", "batch_size", "noise", "dropout") and bad is None:
        assert raised.type is ValueError and "or 'auto'" in str(raised.value)


def test_every_parameter_that_is_a_number_has_a_case():
    """None is forgotten when one is added."""
    elsewhere = {"random_state", "n_jobs", "estimator", "prior", "classifier"}  # other packages check them
    switches = {"attention", "smote", "keep_features", "balanced"}
    for kind, params in REFUSED.items():
        assert set(kind().get_params(deep=False)) - elsewhere - switches <= set(params), kind


def test_a_lost_feature_is_told_once():
    lost = X.copy()
    lost[:, 1] = np.nan
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        EphysTypeClassifier(n_steps=2).fit(lost, Y)
    told = [warning for warning in said if "without a value" in str(warning.message)]
    assert len(told) == 1 and "feature_1" in str(told[0].message) and told[0].filename == __file__
