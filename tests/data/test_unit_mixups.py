import numpy as np
import pandas as pd
import pytest

from sbnn import to_shared_features
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.unit_mixups import check_units, told


def changed(table, feature, cells, how):
    """A copy of the table in which some cells of a feature are another number."""
    table = table.copy()
    table.loc[cells, feature] = how(table.loc[cells, feature])
    return table


def test_published_cells_are_no_mix_up(typed_cells):
    """Neither all of them, nor those of a type, nor the few of a donor, nor what both species share."""
    both = typed_cells.name != "simulated_ephys"
    whole = [typed_cells, to_shared_features(typed_cells)] if both else [typed_cells]
    for cells in whole:
        assert not len(check_units(cells))
        parts = [*cells.labels.groupby("type").groups.values(), *cells.labels.groupby("donor").groups.values()]
        for part in parts[:80]:
            assert not len(check_units(cells.table.loc[part], cells.units)), part


@pytest.mark.parametrize(
    ("feature", "factor", "looks_like"),
    [("tau", 1e3, "ms"), ("v_baseline", 1e-3, "V"), ("rheobase_i", 1e-12, "A"), ("input_resistance", 1e6, "Ohm"),
     ("peak_deltav_ramp", 1e-3, "V"), ("sag", 100, "percent")],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.05, 0.6])
def test_a_mix_up_in_some_cells_is_found_and_these_cells_are_named(feature, factor, looks_like, share):
    table = simulate_ephys_types(300).table
    table["sag"] = table["sag"].clip(upper=1)  # noise made one a little larger
    cells = table.index[table[feature].notna()]
    cells = cells[: round(share * len(cells))]
    suspects = check_units(changed(table, feature, cells, lambda x: x * factor))
    assert list(suspects.index) == [feature]
    about = suspects.loc[feature]
    assert about["looks_like"] == looks_like and about["factor"] == pytest.approx(1 / factor)
    assert about["cells"] == tuple(cells) and about["n_cells"] == len(cells)
    assert about["n_measured"] == table[feature].notna().sum()
    said = told(suspects)
    assert said.startswith(f"{feature}: the median of {len(cells)} of {about['n_measured']} cells is ")
    assert said.endswith(f"multiply by {1 / factor:g} ({', '.join(cells[:3])} and {len(cells) - 3} more)")


def test_one_cell_a_thousand_times_too_large_is_found():
    """Too small a cell is not: spikes may have their peak at nearly zero."""
    table = simulate_ephys_types(60).table
    cell = table.index[[3]]
    assert check_units(changed(table, "tau", cell, lambda x: x * 1000)).loc["tau", "cells"] == tuple(cell)
    assert not len(check_units(changed(table, "peak_deltav_ramp", cell, lambda x: x / 1000)))


def test_long_tails_and_values_near_zero_are_no_mix_up():
    table = simulate_ephys_types(200).table
    many = table.index[:60]
    tail = changed(table, "tau", many, lambda x: 0.02 * np.logspace(0, 4, len(x)))
    assert not len(check_units(tail)), "spread over four decades, as no unit does"
    zero = changed(table, "peak_deltav_ramp", many, lambda x: np.linspace(0.01, 60, len(x)))
    assert not len(check_units(zero))


def test_what_should_be_a_ratio_is_told_from_its_complement_and_from_no_ratio():
    table = simulate_ephys_types(60).table
    suspects = check_units(table.assign(sag=1 - table["sag"]))
    assert suspects.loc["sag", "looks_like"] == "1 - ratio" and np.isnan(suspects.loc["sag", "factor"])
    assert told(suspects).endswith("expected 0.005 to 0.65, looks like 1 - ratio")
    assert check_units(table.assign(sag=table["sag"] * 1000)).loc["sag", "looks_like"] == "no ratio"
    assert not len(check_units(table.assign(sag=table["sag"] * 100), {"sag": "percent"}))
    noisy = changed(table, "sag", table.index[:3], lambda x: [1.01, 1.5, 1.9])
    assert not len(check_units(noisy)), "a little above 1 by noise"


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
