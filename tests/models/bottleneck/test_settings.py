"""Settings of the distilled network: checked, kept with a model, and what they stand for is what is done."""

import json
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    LeaveOneOutRidge,
    ReducedRankRegression,
    SparseBottleneckRegressor,
)
from sbnn.evaluation.identity import version_of

SHORT = DistilledSettings(
    n_trees=5, n_augmented=300, steps_of_teachers=5, steps_of_student=20, few_cells=0
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_trees", 0),
        ("n_trees", 2.5),
        ("n_trees", True),
        ("n_teachers", 1),
        ("most_cells", 1),
        ("few_cells", -1),
        ("share_kept", 1),
        ("swapped", 1.1),
        ("few_cells_swapped", 1.1),
        ("rate_of_student", float("nan")),
        ("rate_of_student", 1e30),
        ("process_steps", 12),
        ("process_start", (0.5, -0.1, 0.5)),
        ("noises", ()),
        ("noises", (0.8, 0.5)),
        ("noises", (0.8, 0.8)),
        ("usual_noise", 0.7),
        ("augmentation_noise", 1e30),
        ("few_cells_noises", (0.5, -0.1)),
    ],
)
def test_what_is_out_of_range_is_named(name, value):
    with pytest.raises((ValueError, TypeError), match=f"{name}|noises|not iterable"):
        DistilledSettings(**{name: value})


def test_settings_are_plain_numbers_and_stay():
    settings = DistilledSettings(
        noises=[np.float32(0.5), 1], usual_noise=1, n_trees=np.int64(7), prior_cells=50
    )
    changed = "noises=(0.5, 1.0), usual_noise=1.0, n_trees=7, prior_cells=50.0"
    assert repr(settings) == f"DistilledSettings({changed})"
    stored = json.loads(json.dumps(asdict(settings)))
    assert hash(settings) == hash(DistilledSettings(**stored))
    with pytest.raises(FrozenInstanceError):
        settings.n_trees = 3


def test_an_estimator_hands_its_settings_on(data, tmp_path):
    model = DistilledBottleneckRegressor(n_genes=5, random_state=0, distillation=SHORT)
    model.fit(data.X, data.Y)
    assert len(model.history_) == 1, "20 steps, one row"
    again = DistilledBottleneckRegressor.load(model.save(tmp_path / "m.safetensors"))
    assert again.distillation == SHORT


@pytest.mark.parametrize(
    ("model", "version"),
    [
        (LeaveOneOutRidge(), 1),
        (ReducedRankRegression(), 1),
        (DistilledBottleneckRegressor(), 5),
        (SparseBottleneckRegressor(), 1),
        (SparseBottleneckRegressor(pretraining=False), 2),
    ],
)
def test_versions_of_the_algorithms(model, version):
    """They stand for what was computed: raise one together with the numbers, and say so in the protocol."""
    assert version_of(model, 1000) == version_of(model, 250) == version
