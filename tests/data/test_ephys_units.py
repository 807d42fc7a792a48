import numpy as np
import pandas as pd
import pytest

from sbnn.data.ephys_units import check_units, feature_table, known_features, told, unit_factor
from sbnn.data.simulate_ephys import simulate_ephys_types


@pytest.mark.parametrize(
    ("unit", "to", "factor"),
    [
        ("ms", "ms", 1),
        ("s", "ms", 1e3),
        ("A", "pA", 1e12),
        ("GΩ", "MOhm", 1e3),
        ("Hz/nA", "Hz/pA", 1e-3),
        ("V/s", "mV/ms", 1),
        ("mV*s", "mV s", 1),
        ("%", "", 0.01),
    ],
)
def test_units_convert(unit, to, factor):
    assert unit_factor(unit, to) == factor


def test_units_of_other_quantities_do_not():
    with pytest.raises(ValueError, match="'mV' cannot be converted to 'pA'"):
        unit_factor("mV", "pA")
    with pytest.raises(ValueError, match="'furlong' is not known"):
        unit_factor("furlong", "mV")


def test_every_published_feature_has_a_family_and_its_own_median_is_usual():
    for release, size, n_families in (("gouwens_2020", 45, 7), ("lee_2023", 93, 11)):
        table = feature_table(release)
        assert table.shape[0] == size and table["family"].nunique() == n_families and table.index.is_unique
        ranged = table[table["low"].notna()]
        assert ((ranged["low"] < ranged["median"]) & (ranged["median"] < ranged["high"])).all()
        # narrow enough that a thousand times as much is never usual as well, and of one sign
        assert (ranged["low"] * ranged["high"] > 0).all()
        assert (ranged[["low", "high"]].abs().max(axis=1) < 1000 * ranged[["low", "high"]].abs().min(axis=1)).all()
        assert (table["unit"].isin(["mV", "pA", "MOhm", "GOhm"]) <= table["low"].notna()).all()
        for unit in set(table["unit"]) - {""}:
            assert unit_factor(unit, f" {unit}") == 1, "it can be read"
    with pytest.raises(ValueError, match="release must be 'gouwens_2020' or 'lee_2023', got 'mouse'"):
        feature_table("mouse")


def test_a_name_of_both_releases_is_read_by_the_company_it_keeps():
    assert known_features(["tau", "vrest", "ri"]).loc["tau", "unit"] == "ms"
    assert known_features(["tau", "v_baseline"]).loc["tau", "unit"] == "s" == known_features(["tau"]).loc["tau", "unit"]
    assert not len(known_features(["depth"]))


@pytest.mark.parametrize(
    ("feature", "factor", "looks_like"),
    [("tau", 1e3, "ms"), ("v_baseline", 1e-3, "V"), ("rheobase_i", 1e-12, "A"), ("input_resistance", 1e-3, "GOhm"),
     ("input_resistance", 1e6, "Ohm"), ("fi_fit_slope", 1e3, "Hz/nA"), ("sag", 100, "percent"),
     ("peak_deltav_ramp", 1e3, "uV"), ("latency_rheo", 1e6, "us")],
)  # fmt: skip
def test_another_unit_is_found_and_named(feature, factor, looks_like):
    data = simulate_ephys_types(60)
    assert not len(check_units(data))
    table = data.table
    table[feature] *= factor
    suspects = check_units(table)
    assert list(suspects.index) == [feature]
    assert suspects.loc[feature, "looks_like"] == looks_like
    assert suspects.loc[feature, "factor"] == pytest.approx(1 / factor)
    assert f"{feature}: the median is" in told(suspects) and f"looks like {looks_like}, multiply by" in told(suspects)


def test_a_stated_unit_is_no_mix_up():
    table = simulate_ephys_types(60).table.assign(tau=lambda x: x["tau"] * 1000)
    assert not len(check_units(table, {"tau": "ms"}))
    assert check_units(table, {"tau": "s"}).loc["tau", "looks_like"] == "ms"
    assert not len(check_units(table, {"tau": "samples"})), "of which nothing is known"


def test_z_scores_are_told_from_units():
    table = simulate_ephys_types(60).table
    suspects = check_units((table - table.mean()) / table.std())
    assert set(suspects["looks_like"]) == {"z-scores"} and suspects["factor"].isna().all() and len(suspects) > 20
    assert f"and {len(suspects) - 5} more" in told(suspects)


def test_unusual_is_not_wrong():
    table = pd.DataFrame({"tau": [2.0, 3.0], "sag": [np.nan, np.nan], "depth": [1e9, 1e9], "vrest": [-170.0, -170]})
    assert not len(check_units(table, {"tau": "ms"}))
