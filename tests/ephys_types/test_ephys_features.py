"""Published features: shared by both species, measured from the threshold, in usual units."""

import numpy as np
import pandas as pd
import pytest

from sbnn.ephys_types.data import typed_cells
from sbnn.ephys_types.features import (
    HUMAN_RELEASE,
    MOUSE_RELEASE,
    relative_to_threshold,
    release_features,
    to_shared_features,
)

CELLS = [f"{i}" for i in range(12)]
#: Human features that are called otherwise in the mouse release.
SAME_FEATURES = {
    "v_baseline": "vrest",
    "input_resistance": "ri",
    "sag": "sag",
    "vm_for_sag": "vm_for_sag",
    "rheobase_i": "threshold_i_long_square",
    "fi_fit_slope": "f_i_curve_slope",
    "latency_hero": "latency",
    "adapt_hero": "adaptation",
    "threshold_i_ramp": "threshold_i_ramp",
}
#: Protocols in the mouse and in the human release, and the parts of their spikes.
PROTOCOLS = [
    ("long_square", "rheo", ["peak", "fast_trough", "trough"]),
    ("ramp", "ramp", ["peak", "fast_trough", "trough"]),
    ("short_square", "short_square", ["peak", "fast_trough"]),
]


@pytest.fixture
def mouse(rng):
    """Twelve cells with all columns of the mouse release, around its medians."""
    features = release_features(MOUSE_RELEASE)
    noise = 1 + 0.05 * rng.standard_normal((len(CELLS), len(features)))
    X = pd.DataFrame(features["median"].to_numpy() * noise, CELLS, features.index)
    labels = pd.DataFrame({"type": "SST", "donor": "1"}, CELLS)
    return typed_cells(X, labels, families=features["family"], units=features["unit"].to_dict())


@pytest.fixture
def expected(mouse):
    """The human features, from the mouse columns, written out."""
    raw = mouse.to_df()
    human = pd.DataFrame(index=raw.index)
    for name, column in SAME_FEATURES.items():
        human[name] = raw[column]
    human["tau"] = raw["tau"] / 1000
    human["mean_isi_hero"] = raw["avg_isi"] / 1000
    human["latency_rheo"] = raw["threshold_t_long_square"] - 0.5
    fast_trough = raw["fast_trough_v_long_square"]
    human["trough_slowdeltav_rheo"] = raw["trough_v_long_square"] - fast_trough
    for protocol, name, parts in PROTOCOLS:
        ratio = raw[f"upstroke_downstroke_ratio_{protocol}"]
        threshold = raw[f"threshold_v_{protocol}"]
        human[f"upstroke_downstroke_ratio_{name}"] = ratio
        human[f"threshold_v_{name}"] = threshold
        for part in parts:
            voltage = raw[f"{part}_v_{protocol}"]
            human[f"{part}_deltav_{name}"] = voltage - threshold
    return human


@pytest.fixture
def shared(mouse):
    return to_shared_features(mouse)


def test_mouse_columns_become_the_human_features(shared, expected):
    assert set(shared.var_names) == set(expected)
    np.testing.assert_allclose(shared.X, expected[shared.var_names], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("column", ["family", "unit"])
def test_shared_features_are_described_as_human_ones(shared, column):
    human = release_features(HUMAN_RELEASE)
    expected = human.loc[shared.var_names, column]
    assert shared.var[column].tolist() == expected.tolist()


def test_labels_are_kept(mouse, shared):
    assert shared.obs.equals(mouse.obs)


def test_shared_features_are_other_data(mouse, shared):
    assert shared.uns["sbnn"]["name"] == "custom_shared"
    assert shared.uns["sbnn"]["sha256"] != mouse.uns["sbnn"]["sha256"]


def test_without_a_threshold_its_parts_are_missing(mouse):
    threshold = mouse.var_names.get_loc("threshold_v_ramp")
    mouse.X[3, threshold] = np.nan
    missing = to_shared_features(mouse).to_df().isna()
    assert missing.to_numpy().sum() == 4
    assert set(missing.columns[missing.loc["3"]]) == {
        "threshold_v_ramp",
        "peak_deltav_ramp",
        "fast_trough_deltav_ramp",
        "trough_deltav_ramp",
    }


def test_shared_features_stay_as_they_are(shared):
    assert to_shared_features(shared) is shared


@pytest.mark.parametrize(("quantity", "relative"), [("v", "deltav"), ("t", "lag")])
def test_parts_of_spikes_are_measured_from_threshold(mouse, quantity, relative):
    raw = mouse.to_df()
    values = relative_to_threshold(mouse).to_df()
    expected = raw[f"peak_{quantity}_ramp"] - raw[f"threshold_{quantity}_ramp"]
    np.testing.assert_allclose(values[f"peak_{relative}_ramp"], expected, rtol=1e-12)


def test_missing_columns_are_named(mouse):
    is_missing = mouse.var_names.isin(["ri", "fast_trough_v_ramp"])
    with pytest.raises(ValueError, match="data: .*ri, fast_trough_v_ramp"):
        to_shared_features(mouse[:, ~is_missing].copy())
