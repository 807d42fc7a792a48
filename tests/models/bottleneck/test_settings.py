"""Settings of the distilled protocol: checked, kept with a model, and what they stand for is what is done."""

import ast
import json
import re
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from sklearn.base import clone

from sbnn import DistilledSettings, LeaveOneOutRidge, ReducedRankRegression, SparseBottleneckRegressor
from sbnn import SparseReducedRankRegression as SparseRRR
from sbnn.evaluation.identity import version_of

SHORT = DistilledSettings(n_trees=5, n_augmented=300, steps_of_teachers=5, steps_of_student=20, few_cells=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trees": 0}, "n_trees: expected whole numbers >= 1, got 0"),
        ({"n_trees": 2.5}, "n_trees: expected whole numbers >= 1, got 2.5"),
        ({"n_trees": True}, "n_trees: .* got True"),
        ({"n_trees": "5"}, "n_trees: .* got '5'"),
        ({"n_teachers": 1}, "n_teachers: expected whole numbers >= 2, got 1"),
        ({"share_kept": 1}, "share_kept: expected finite numbers > 0 and < 1, got 1"),
        ({"share_kept": 0}, "share_kept: .* got 0"),
        ({"swapped": 1.1}, "swapped: expected finite numbers >= 0 and <= 1, got 1.1"),
        ({"rate_of_student": float("nan")}, "rate_of_student: .* got nan"),
        ({"rate_of_student": float("inf")}, "rate_of_student: .* got inf"),
        ({"rate_of_student": None}, "rate_of_student: .* got None"),
        ({"process_noise_floor": 0}, "process_noise_floor: expected finite numbers > 0, got 0"),
        ({"process_steps": (12, 4, 1)}, r"process_steps: expected a tuple of 2 numbers, got \(12, 4, 1\)"),
        ({"process_steps": 12}, "process_steps: expected a tuple of 2 numbers, got 12"),
        ({"process_start": (0.5, -0.1, 0.5)}, r"process_start: .* > 0, got \(0.5, -0.1, 0.5\)"),
        ({"noises": ()}, r"noises: expected one or more rising numbers, got \(\)"),
        ({"noises": (0.8, 0.5)}, r"noises: expected one or more rising numbers, got \(0.8, 0.5\)"),
        ({"noises": (0.8, 0.8)}, "noises: expected one or more rising"),
        ({"noises": 0.8}, "noises: expected a tuple of any numbers, got 0.8"),
        ({"few_cells_noises": ()}, r"few_cells_noises: expected one or more numbers, got \(\)"),
        ({"few_cells_noises": (0.5, -0.1)}, r"few_cells_noises: expected finite numbers >= 0, got \(0.5, -0.1\)"),
        ({"few_cells_limit": 0}, "few_cells_limit: expected finite numbers > 0, got 0"),
        ({"usual_noise": 0.7}, r"usual_noise: expected one of the noises \(0.5, 0.8, 1.2, 2.0\), got 0.7"),
    ],
)
def test_what_is_out_of_range_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        DistilledSettings(**settings)


def test_settings_are_plain_numbers_and_stay():
    settings = DistilledSettings(noises=[np.float32(0.5), 1], usual_noise=1, n_trees=np.int64(7), prior_cells=50)
    assert settings == DistilledSettings(noises=(0.5, 1.0), usual_noise=1.0, n_trees=7, prior_cells=50.0)
    assert type(settings.n_trees) is int and type(settings.prior_cells) is float
    assert hash(settings) == hash(DistilledSettings.from_dict(json.loads(json.dumps(settings.to_dict()))))
    assert repr(settings) == "DistilledSettings(noises=(0.5, 1.0), usual_noise=1.0, n_trees=7, prior_cells=50.0)"
    with pytest.raises(FrozenInstanceError):
        settings.n_trees = 3


def test_every_setting_is_documented_and_survives_a_file():
    for one in fields(DistilledSettings):
        [default] = re.findall(rf"^    {one.name} : .*, default=(.*)$", DistilledSettings.__doc__, re.M)
        assert ast.literal_eval(default) == one.default
    settings = DistilledSettings(noises=(0.1, 0.2), usual_noise=0.1, swapped=0.3)
    assert DistilledSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert DistilledSettings.from_dict({"swapped": 0.3}) == DistilledSettings(swapped=0.3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_tree": 3, "x": 1}, "no settings of the distilled protocol: n_tree, x"),
        ({"n_trees": -3}, "n_trees: .* got -3"),
        ([1, 2], r"expected a dict of settings, got \[1, 2\]"),
    ],
)
def test_what_is_no_settings(values, message):
    with pytest.raises(ValueError, match=message):
        DistilledSettings.from_dict(values)


def test_an_estimator_hands_its_settings_on(data, tmp_path):
    model = SparseBottleneckRegressor(n_genes=5, random_state=0, distillation=SHORT)
    assert clone(model).distillation == SHORT == model.get_params()["distillation"]
    assert clone(model).set_params(distillation=None).get_params()["distillation"] is None
    model.fit(data.X, data.Y)
    assert len(model.history_) == 1, "20 steps, one row"
    again = SparseBottleneckRegressor.load(model.save(tmp_path / "m.safetensors"))
    assert again.distillation == SHORT and again.get_params() == model.get_params()
    assert "distillation" in repr(model)


def test_the_defaults_are_those_of_none(data):
    models = [SparseBottleneckRegressor(n_genes=5, random_state=0, distillation=d) for d in (None, DistilledSettings())]
    one, two = (model.fit(data.X[:40], data.Y[:40]).predict(data.X) for model in models)
    np.testing.assert_array_equal(one, two)


def test_anything_else_is_refused(data):
    with pytest.raises(TypeError, match=r"distillation: expected None or sbnn.DistilledSettings, got \{'n_trees': 5\}"):
        SparseBottleneckRegressor(n_genes=5, distillation={"n_trees": 5}).fit(data.X, data.Y)
    paper = SparseBottleneckRegressor(
        protocol="paper", n_genes=5, hidden_layers=(8, 4), epochs=(1, 1, 1, 1), distillation=SHORT
    )
    with pytest.warns(UserWarning, match="the protocol 'paper' does not use distillation"):
        paper.fit(data.X, data.Y)


@pytest.mark.parametrize("noises", [(0.5,), (0.5, 1.0)])
@pytest.mark.parametrize("n", [6, 40])
@pytest.mark.parametrize("few_cells", [0, 40])
def test_extreme_settings_train(noises, n, few_cells, data):
    settings = DistilledSettings(
        noises=noises, usual_noise=0.5, n_teachers=2, n_trees=1, n_augmented=1, steps_of_teachers=1, steps_of_student=1,
        screened_genes=1, fewest_relevant=1, most_cells=30, process_steps=(1, 1), share_kept=0.01, watched_cells=3,
        recorded_every=7, few_cells=few_cells, fewest_cells_of_a_gene=0, most_cells_of_trees=4, weight_of_measured=0,
    )  # fmt: skip
    model = SparseBottleneckRegressor(n_genes=3, random_state=0, distillation=settings).fit(data.X[:n], data.Y[:n])
    assert np.isfinite(model.predict(data.X)).all() and model.get_support().sum() == 3


def test_versions_of_the_algorithms():
    """They stand for what was computed: raise one together with the numbers, and say so in the protocol."""
    models = {
        "default": SparseBottleneckRegressor(),
        "default that ignores the variant": SparseBottleneckRegressor(pretraining=False),
        "paper": SparseBottleneckRegressor(protocol="paper"),
        "straight": SparseBottleneckRegressor(protocol="paper", pretraining=False),
        **{one.__name__: one() for one in (LeaveOneOutRidge, ReducedRankRegression, SparseRRR)},
    }
    versions = {name: (version_of(model, 1000), version_of(model, 250)) for name, model in models.items()}
    changed = {name: version for name, version in versions.items() if version != (1, 1)}
    assert changed == {"default": (5, 5), "default that ignores the variant": (5, 5), "straight": (2, 2)}
    with pytest.raises(ValueError, match="protocol: 'papre' is unknown, expected one of"):
        version_of(SparseBottleneckRegressor(protocol="papre"), 1000)
