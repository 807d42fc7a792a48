"""Published features: shared by both species, measured from the threshold, in usual units."""

import numpy as np
import pandas as pd
import pytest

from sbnn.data import ephys_features
from sbnn.data.ephys_features import (
    release_features,
    to_shared_features,
)
from sbnn.data.typed_cells import typed_cells


@pytest.fixture
def mouse(rng):
    """Twelve cells with all columns of the mouse release, around its medians."""
    about = release_features("gouwens_2020")
    X = about["median"].to_numpy() * (1 + 0.05 * rng.standard_normal((12, len(about))))
    labels = pd.DataFrame({"type": "SST", "donor": "1"}, index=[f"{i}" for i in range(12)])
    return typed_cells(
        pd.DataFrame(X, labels.index, about.index), labels, about["family"], about["unit"].to_dict()
    )


def human_kind(raw):
    """What the human pipeline calls these features, from the mouse columns, written out."""
    same = {
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
    found = {human: raw[mouse] for human, mouse in same.items()}
    found |= {"tau": raw["tau"] / 1000, "mean_isi_hero": raw["avg_isi"] / 1000}
    found["latency_rheo"] = raw["threshold_t_long_square"] - 0.5
    found["trough_slowdeltav_rheo"] = raw["trough_v_long_square"] - raw["fast_trough_v_long_square"]
    for kind, called in (
        ("long_square", "rheo"),
        ("ramp", "ramp"),
        ("short_square", "short_square"),
    ):
        found[f"upstroke_downstroke_ratio_{called}"] = raw[f"upstroke_downstroke_ratio_{kind}"]
        found[f"threshold_v_{called}"] = raw[f"threshold_v_{kind}"]
        for part in ("peak", "fast_trough", *(["trough"] if kind != "short_square" else [])):
            found[f"{part}_deltav_{called}"] = raw[f"{part}_v_{kind}"] - raw[f"threshold_v_{kind}"]
    return pd.DataFrame(found)


def test_mouse_columns_become_the_human_features(mouse):
    shared = to_shared_features(mouse)
    expected = human_kind(mouse.to_df())
    human = release_features("lee_2023")
    assert set(shared.var_names) == set(expected)
    np.testing.assert_allclose(shared.X, expected[shared.var_names], rtol=1e-12, atol=1e-12)
    for column in ("family", "unit"):
        assert shared.var[column].tolist() == human.loc[shared.var_names, column].tolist()
    assert shared.obs.equals(mouse.obs)
    assert shared.uns["sbnn"]["name"] == "custom_shared"
    assert shared.uns["sbnn"]["sha256"] != mouse.uns["sbnn"]["sha256"]
    mouse.X[3, list(mouse.var_names).index("threshold_v_ramp")] = np.nan
    gaps = np.isnan(to_shared_features(mouse).X)
    assert gaps.sum() == 4, "threshold, peak, fast trough and trough of the ramp"


def test_parts_of_spikes_are_measured_from_their_threshold(mouse):
    raw = mouse.to_df()
    found = ephys_features.relative_to_threshold(mouse).to_df()
    for old, new in (("v", "deltav"), ("t", "lag")):
        expected = raw[f"peak_{old}_ramp"] - raw[f"threshold_{old}_ramp"]
        np.testing.assert_allclose(found[f"peak_{new}_ramp"], expected, rtol=1e-12)


def test_missing_columns_are_named(mouse):
    with pytest.raises(ValueError, match="data: .*ri, fast_trough_v_ramp"):
        to_shared_features(mouse[:, ~mouse.var_names.isin(["ri", "fast_trough_v_ramp"])].copy())
