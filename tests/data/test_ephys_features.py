from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from sbnn.data.ephys_features import EphysFeatures
from sbnn.data.families import FeatureFamilies

CELLS = ["c1", "c2", "c3", "c4"]
TABLE = pd.DataFrame({"vrest": [-70.0, -60, np.nan, -65], "sag": [0.1, np.nan, np.nan, 0.3], "tau": 1}, index=CELLS)
LABELS = pd.DataFrame(
    {"type": ["VIP", None, "SST", "SST"], "donor": [1, 2, 1, 1], "depth": [0.1, 0.2, 0.3, 0.4]},
    index=["c4", "c3", "c2", "c1"],
)
FAMILIES = {"passive": ["vrest", "tau"], "sag": ["sag"]}


@pytest.fixture
def cells():
    return EphysFeatures(TABLE, families=FAMILIES, units={"vrest": "mV"}, labels=LABELS, name="mine")


def test_labels_follow_the_cells_whatever_their_order(cells):
    assert cells.cell_names.tolist() == CELLS == list(cells.labels.index)
    assert cells.y.tolist() == ["SST", "SST", "unknown", "VIP"]
    assert cells.labels["donor"].tolist() == ["1", "1", "2", "1"] and cells.labels["depth"].tolist()[3] == 0.1
    assert LABELS["type"].isna().any(), "the table of the caller is left as it was"


def test_what_was_given_is_there(cells):
    assert (cells.n_cells, cells.n_features) == (4, 3) and cells.X.dtype == np.float64
    assert cells.families == FeatureFamilies(["vrest", "sag", "tau"], ["passive", "sag", "passive"])
    assert cells.units == {"vrest": "mV", "sag": "", "tau": ""}
    pd.testing.assert_frame_equal(cells.table, TABLE.astype(float), check_names=False)
    assert cells.summary().startswith(
        "mine: 4 cells x 3 features in 2 families, 25.0 % missing; types: SST 2, unknown 1, VIP 1; 2 donors\n"
    )
    assert "4 cells x 3 features in 2 families" in repr(cells)
    with pytest.raises(FrozenInstanceError):
        cells.X = None


def test_arrays_need_no_names():
    bare = EphysFeatures(np.eye(2))
    assert bare.cell_names.tolist() == ["cell_0", "cell_1"] and bare.feature_names.tolist() == [
        "feature_0",
        "feature_1",
    ]
    assert bare.y.tolist() == ["unknown"] * 2 and bare.families.names == ("all",)
    named = EphysFeatures(np.eye(2), families=FeatureFamilies(["a", "b"], ["x", "y"]))
    assert named.feature_names.tolist() == ["a", "b"]


def test_parts_keep_what_belongs_to_them(cells):
    part = cells.subset(["c4", "c1"])
    assert part.cell_names.tolist() == ["c4", "c1"] and part.y.tolist() == ["VIP", "SST"]
    np.testing.assert_array_equal(part.X[:, 0], [-65, -70])
    few = cells.with_features(["tau", "vrest"])
    assert few.families.family_of == ("passive", "passive") and few.units == {"tau": "", "vrest": "mV"}
    np.testing.assert_array_equal(few.X[:, 1], cells.X[:, 0])
    assert cells.with_classes(["VIP", "SST"]).cell_names.tolist() == ["c1", "c2", "c4"]
    with pytest.raises(ValueError, match=r"types of the data, SST, VIP, unknown; got \['Sst'\]"):
        cells.with_classes(["Sst"])
    with pytest.raises(KeyError, match="ri"):
        cells.with_features(["ri"])


def test_another_column_of_the_labels_may_be_the_types(cells):
    other = cells.with_types_of("donor")
    assert other.y.tolist() == ["1", "1", "2", "1"] and other.sha256 != cells.sha256
    assert cells.with_types_of("type") is cells
    with pytest.raises(ValueError, match="one of the labels, type, donor, depth; got 'layer'"):
        cells.with_types_of("layer")


def test_one_type_in_two_spellings_is_told_and_kept_apart(cells):
    spelled = LABELS.assign(type=["PV", "Pvalb", "SST", "Sst "])
    with pytest.warns(UserWarning, match=r"kept apart: 'PV' and 'Pvalb', 'SST' and 'Sst '; give them one name") as told:
        data = EphysFeatures(TABLE, labels=spelled)
    assert data.y.tolist() == ["Sst ", "SST", "Pvalb", "PV"]
    assert told[0].filename == __file__


def test_fingerprint_names_the_content(cells):
    again = EphysFeatures(TABLE, families=FAMILIES, units={"vrest": "mV"}, labels=LABELS)
    assert again.sha256 == cells.sha256 == cells.subset().sha256 == cells.with_features(list(TABLE)).sha256
    changed = LABELS.assign(type="SST")
    shas = [cells.sha256, replace(cells, labels=changed).sha256, replace(cells, X=TABLE.fillna(0)).sha256]
    shas += [cells.subset(["c1"]).sha256, cells.with_features(["sag"]).sha256]
    assert len(set(shas)) == 5
    given = EphysFeatures(TABLE, sha256="of the files")
    assert given.sha256 == replace(given, name="x").sha256 == "of the files"
    assert replace(given, X=TABLE.fillna(0)).sha256 != "of the files", "which it does not hold"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"X": TABLE.replace(1, np.inf)}, ValueError, "4 infinite value.* 'c1', feature 'tau'"),
        ({"X": np.zeros((0, 3))}, ValueError, "at least one cell"),
        ({"X": TABLE.assign(tau="fast")}, TypeError, "X must hold numbers"),
        ({"labels": LABELS.iloc[1:]}, ValueError, "1 names are only in one of the two: c4"),
        ({"labels": {"type": []}}, TypeError, "labels must be a pandas DataFrame, got dict"),
        ({"units": {"ri": "MOhm"}}, ValueError, "units names features that are not in the data: ri"),
        ({"families": {"passive": ["vrest"]}}, ValueError, "in no family: sag, tau"),
        ({"cell_names": ["a", "a", "b", "c"]}, ValueError, "duplicate cell names"),
    ],
)
def test_what_does_not_fit_is_named(changes, error, message):
    with pytest.raises(error, match=message):
        EphysFeatures(**{"X": TABLE, "labels": LABELS} | changes)
