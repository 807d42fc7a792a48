"""Tables of a user's own: `EphysFeatures.from_table`."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sbnn.data.ephys_features import EphysFeatures
from sbnn.data.simulate_ephys import simulate_ephys_types


@pytest.fixture
def simulated():
    return simulate_ephys_types(60)


def quietly(*args, **options):
    """Nothing to tell of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return EphysFeatures.from_table(*args, **options)


def test_tables_come_back_from_files_joined_by_name(simulated, tmp_path):
    simulated.table.to_csv(tmp_path / "features.csv")
    simulated.labels.iloc[::-1].to_csv(tmp_path / "labels.tsv", sep="\t")
    data = quietly(tmp_path / "features.csv", tmp_path / "labels.tsv")
    np.testing.assert_allclose(data.X, simulated.X, rtol=1e-9)
    assert data.y.tolist() == simulated.y.tolist() and data.cell_names.tolist() == simulated.cell_names.tolist()
    assert data.families == simulated.families and data.units == simulated.units, "as their published names say"
    assert data.source == "the user's tables: features.csv, labels.tsv" and not data.dropped


def test_features_in_rows_are_turned_and_a_series_holds_types(simulated):
    data = quietly(simulated.table.T, simulated.labels["type"])
    np.testing.assert_array_equal(data.X, simulated.X)
    assert data.y.tolist() == simulated.y.tolist() and "donor" not in data.labels


def test_labels_may_stand_among_the_features(simulated):
    both = simulated.table.join(simulated.labels[["type", "donor", "condition"]])
    data = quietly(both)
    assert data.n_features == simulated.n_features
    assert data.labels.equals(simulated.labels[["type", "donor", "condition"]])
    assert quietly(simulated.table).y.tolist() == ["unknown"] * 60


def test_other_spellings_are_known_classes_and_others_stay(simulated):
    labels = simulated.labels.replace({"type": {"SST": "Sst", "VIP": "vip ", "LAMP5": " Basket"}})
    with pytest.warns(UserWarning, match=r"usual spelling: ' Basket' as 'Basket', 'Sst' as 'SST', 'vip ' as 'VIP'$"):
        data = EphysFeatures.from_table(simulated.table, labels)
    assert data.y.tolist() == simulated.labels["type"].replace({"LAMP5": "Basket"}).tolist()
    with pytest.warns(UserWarning, match="'PVALB' as 'Pvalb'$"):
        own = EphysFeatures.from_table(simulated.table, simulated.labels, classes=("Pvalb",))
    assert set(own.y) == {"Pvalb", "SST", "VIP", "LAMP5"}


def test_synonyms_are_known_classes(simulated):
    labels = simulated.labels.replace({"type": {"SST": "SOM", "VIP": "V.I.P.", "PVALB": "PV+"}})
    labels.iloc[0, 0] = simulated.y[0]
    with pytest.warns(UserWarning, match="usual spelling: 'PV.' as 'PVALB', 'SOM' as 'SST', 'V.I.P.' as 'VIP'$"):
        data = EphysFeatures.from_table(simulated.table, labels)
    assert data.y.tolist() == simulated.y.tolist()


def test_own_types_that_differ_in_case_alone_are_told(simulated):
    labels = simulated.labels.replace({"type": {"SST": "Basket", "VIP": "basket"}})
    with pytest.warns(UserWarning, match="kept apart: 'Basket' and 'basket'; give them one name"):
        data = EphysFeatures.from_table(simulated.table, labels)
    assert {"Basket", "basket"} < set(data.y)


def test_what_is_left_out_is_told_and_kept_in_mind(simulated):
    table = simulated.table.assign(empty=np.nan, constant=7.0)
    table.iloc[3] = np.nan
    labels = simulated.labels.drop(index="human_01").rename(index={"human_02": "stranger"})
    labels.loc["human_03", "type"] = None
    labels.loc["human_05", "type"] = "unknown"
    with pytest.warns(UserWarning) as told:
        data = EphysFeatures.from_table(table, labels)
    dropped = {
        "cells without labels": ["human_01", "human_02"],
        "labels of cells without features": ["stranger"],
        "cells without a type": ["human_03", "human_05"],
        "cells without a single value": ["human_04"],
        "features without a value": ["empty"],
        "features with one value in all cells": ["constant"],
    }
    assert data.dropped == dropped and data.n_cells == 55 and data.n_features == simulated.n_features
    assert [str(warning.message).split(" (")[1].split(")")[0] for warning in told] == list(dropped)
    assert str(told[0].message) == "2 of 60 cells are left out (cells without labels): human_01, human_02"
    assert all(warning.filename == __file__ for warning in told), "where it was called"


def test_cells_without_a_type_may_be_kept(simulated):
    labels = simulated.labels.iloc[2:].copy()
    labels.iloc[0, 0] = None
    data = quietly(simulated.table, labels, unlabelled="keep")
    assert data.y[:4].tolist() == ["unknown"] * 3 + [simulated.y[3]]


def test_families_and_units_of_ones_own(simulated):
    table = simulated.table[["tau", "sag", "v_baseline"]].assign(depth=np.arange(60.0), flat=1.0)
    known = EphysFeatures.from_table(table.drop(columns="flat"), simulated.labels)
    assert known.families.family_of == ("passive", "sag", "passive", "other")
    families = {"a": ["depth", "sag"], "b": ["flat", "tau", "v_baseline"]}
    with pytest.warns(UserWarning, match="flat"):
        own = EphysFeatures.from_table(table, simulated.labels, families, {"depth": "um"})
    assert own.families.family_of == ("b", "a", "b", "a")
    assert own.units == {"tau": "s", "sag": "", "v_baseline": "mV", "depth": "um"}
    plain = table[["depth"]].assign(other=-table["depth"])
    assert quietly(plain, simulated.labels).families.names == ("all",)


def test_a_unit_mixed_up_is_told(simulated):
    table = simulated.table.assign(tau=simulated.table["tau"] * 1000)
    with pytest.warns(UserWarning, match="1 feature.* tau: the median is .* looks like ms, multiply by 0.001") as told:
        EphysFeatures.from_table(table, simulated.labels)
    assert told[0].filename == __file__
    assert quietly(table, simulated.labels, units={"tau": "ms"}).units["tau"] == "ms"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": pd.Series("SST", index=["a", "b"])}, "share no cell name: features has the rows human_01"),
        ({"units": {"ri": "MOhm"}}, "units names features that are not in the table: ri"),
        ({"units": {"tau": "mV"}}, "units: tau is usually in s: 'mV' cannot be converted"),
        ({"families": {"a": ["tau"]}}, "in no family"),
        ({"unlabelled": "guess"}, "unlabelled must be 'drop' or 'keep', got 'guess'"),
    ],
)
def test_what_does_not_fit_is_named(simulated, changes, message):
    with pytest.raises(ValueError, match=message):
        EphysFeatures.from_table(**{"features": simulated.table, "labels": simulated.labels} | changes)


def test_text_is_no_feature(simulated):
    table = simulated.table.astype(object)
    table.iloc[2, 4] = "n.a. (lost)"
    with pytest.raises(ValueError, match="column 'vm_for_sag' holds 1 value.*'n.a. \\(lost\\)' for cell 'human_03'"):
        EphysFeatures.from_table(table, simulated.labels)


@pytest.mark.filterwarnings("ignore:.*left out")
def test_nothing_left_is_an_error(simulated):
    with pytest.raises(ValueError, match="no cell is left that has a type"):
        EphysFeatures.from_table(simulated.table, simulated.labels.assign(type=None))
    with pytest.raises(ValueError, match="no cell is left that has a value"):
        EphysFeatures.from_table(simulated.table * np.nan, simulated.labels)
    with pytest.raises(ValueError, match="none is left"):
        EphysFeatures.from_table(simulated.table * 0 + 1, simulated.labels)
