"""Typed neurons are checked once, and every fact stays with its cell or feature."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sbnn.ephys_types.data import as_typed, family_columns, feature_families, typed_cells

pytestmark = pytest.mark.filterwarnings("ignore:1 of 4 cells have no type")

CELLS = ["c1", "c2", "c3", "c4"]
TABLE = pd.DataFrame(
    {"vrest": [-70.0, -60, np.nan, -65], "sag": [0.1, np.nan, np.nan, 0.3], "tau": 1}, index=CELLS
)
LABELS = pd.DataFrame(
    {"type": ["VIP", None, "SST", "SST"], "donor": [1, 2, 1, 1], "depth": [0.1, 0.2, 0.3, 0.4]},
    index=["c4", "c3", "c2", "c1"],
)
FAMILIES = {"sag": "sag", "passive": ["vrest", "tau"]}


@pytest.fixture
def adata():
    return typed_cells(TABLE, LABELS, FAMILIES, {"vrest": "mV"}, name="mine")


@pytest.fixture
def cells(adata):
    return as_typed(adata)


def test_labels_follow_their_cells(cells):
    assert cells.cell_names.tolist() == CELLS
    assert cells.y.tolist() == ["SST", "SST", "unknown", "VIP"]
    assert cells.labels["donor"].tolist() == ["1", "1", "2", "1"]
    assert cells.labels["depth"].tolist() == [0.4, 0.3, 0.2, 0.1]


def test_families_and_units_follow_their_features(adata, cells):
    assert cells.feature_names.tolist() == ["vrest", "sag", "tau"]
    assert cells.families.tolist() == ["passive", "sag", "passive"]
    assert adata.var["unit"].tolist() == ["mV", "", ""]


def test_values_and_name_are_kept(cells):
    np.testing.assert_array_equal(cells.X, TABLE)
    assert cells.name == "mine"


def test_arrays_stay_as_they_are(cells):
    assert as_typed(cells) is cells


def test_names_labels_and_families_have_defaults():
    cells = as_typed(typed_cells(np.eye(2)))
    assert cells.cell_names.tolist() == ["cell_0", "cell_1"]
    assert cells.feature_names.tolist() == ["feature_0", "feature_1"]
    assert cells.y.tolist() == ["unknown"] * 2
    assert cells.families.tolist() == ["all"] * 2


def test_missing_values_of_every_kind_are_nan():
    nullable = typed_cells(TABLE.convert_dtypes(), LABELS)
    np.testing.assert_array_equal(nullable.X, TABLE)


@pytest.mark.parametrize(
    ("families", "names", "expected"),
    [
        (["a", 2, "a"], "xyz", ["a", "2", "a"]),
        (pd.Series(["a", "b"], ["y", "x"]), "xy", ["b", "a"]),
        ({"a": [0, 2], "b": 1}, range(3), ["a", "b", "a"]),
    ],
    ids=["by column", "by name", "names of each family"],
)
def test_families_are_given_in_three_ways(families, names, expected):
    assert feature_families(families, names).tolist() == expected


def test_families_have_their_columns_in_order():
    columns = family_columns(np.array(["b", "a", "b"]))
    assert list(columns) == ["b", "a"]
    assert columns["b"].tolist() == [0, 2]
    assert columns["a"].tolist() == [1]


def test_labels_of_other_cells_are_ignored():
    others = LABELS.set_axis(["d1", "d2", "d3", "d4"])
    with_others = typed_cells(TABLE, pd.concat([LABELS, others]))
    assert with_others.obs.equals(typed_cells(TABLE, LABELS).obs)


@pytest.mark.parametrize(
    ("X", "labels", "message"),
    [
        (TABLE, LABELS[["donor"]], "labels: no column 'type' among donor"),
        (TABLE, LABELS[1:], "labels: no row for 1 of 4 cells: c4; it has the rows c3"),
        (
            TABLE.assign(tau="7,5"),
            LABELS,
            "X: expected numbers, got '7,5' in row 'c1', column 'tau'",
        ),
        (TABLE.assign(donor=1.0), LABELS, "X: .*label: donor"),
        (
            pd.concat([TABLE, TABLE[["sag"]]], axis=1),
            LABELS,
            "(?s)(repeated feature|unique column) names.*'sag'",
        ),
    ],
)
def test_mistakes_in_tables_are_named(X, labels, message):
    with pytest.raises(ValueError, match=message):
        typed_cells(X, labels)


@pytest.mark.parametrize(
    ("families", "units", "error", "message"),
    [
        ({"a": ["tau"]}, None, ValueError, "families: "),
        (
            {"a": ["vrest", "sag"], "b": ["sag", "tau"]},
            None,
            ValueError,
            "families: columns in two families: sag",
        ),
        (["a", None, np.nan], None, ValueError, "families: none of the columns sag, tau"),
        (
            pd.DataFrame({"family": ["a", "a", "b"]}, TABLE.columns),
            None,
            TypeError,
            "families: expected a list .* got DataFrame",
        ),
        (pd.Series(["a"] * 3, list("uvw")), None, ValueError, "families: .*missing: vrest, sag"),
        (None, ["mV", "", ""], TypeError, "units: .*list"),
        (None, {"Rin": "MOhm"}, ValueError, "units: .*Rin"),
    ],
)
def test_families_and_units_must_fit(families, units, error, message):
    with pytest.raises(error, match=message):
        typed_cells(TABLE, LABELS, families, units)


def test_other_types_have_another_fingerprint(adata, cells):
    adata.obs["type"] = adata.obs["type"].replace("SST", "VIP")
    assert as_typed(adata).sha256 != cells.sha256


def test_an_anndata_of_another_maker_is_accepted(adata, cells):
    foreign = ad.AnnData(adata.X, adata.obs, adata.var)
    assert as_typed(foreign).sha256 == cells.sha256


def test_an_anndata_in_a_file_is_accepted(adata, cells, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    assert as_typed(backed).sha256 == cells.sha256


def test_a_table_is_refused():
    with pytest.raises(TypeError, match="^data: .*DataFrame"):
        as_typed(TABLE)
