"""Tables of a user's own: joined by name, with a warning for all that does not fit."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sbnn.data.ephys_tables import read_ephys_table
from sbnn.data.readers.reading import ReadingError
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed


@pytest.fixture(scope="module")
def simulated():
    return simulate_ephys_types(60)


@pytest.fixture
def table(simulated):
    return simulated.to_df().copy()  # not a view of it


def quietly(*args, **options):
    """Without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_ephys_table(*args, **options)


def test_tables_come_back_from_files_joined_by_name(simulated, table, tmp_path):
    table.to_csv(tmp_path / "features.csv")
    simulated.obs.iloc[::-1].to_csv(tmp_path / "labels.tsv", sep="\t")
    data = as_typed(quietly(tmp_path / "features.csv", tmp_path / "labels.tsv"))
    given = as_typed(simulated)
    np.testing.assert_allclose(data.X, given.X, rtol=1e-9)
    for name in ("y", "cell_names", "families", "units"):
        np.testing.assert_array_equal(getattr(data, name), getattr(given, name))


def test_what_is_left_out_is_listed_and_warned_of(simulated, table):
    table = table.assign(empty=np.nan, constant=7.0)
    table.iloc[3] = np.nan
    labels = simulated.obs.drop(index="human_01").rename(index={"human_02": "stranger"})
    labels.loc["human_03", "type"] = None
    labels.loc["human_05", "type"] = "unknown"
    labels.loc["human_06", "type"] += " "
    with pytest.warns(UserWarning) as warned:
        data = read_ephys_table(table, labels)
    dropped = {
        "cells only in features": ["human_01", "human_02"],
        "cells only in labels": ["stranger"],
    }
    dropped |= {
        "cells without a type": ["human_03", "human_05"],
        "cells without a single value": ["human_04"],
    }
    dropped["features without a number"] = ["empty"]
    dropped["features without two different values"] = ["constant"]
    assert data.uns["sbnn"]["dropped"] == dropped
    assert data.shape == (55, simulated.n_vars)
    assert str(warned[1].message).startswith("labels: 1 of 59 ")
    assert set(data.obs["type"]) == set(simulated.obs["type"])
    assert len(warned) == len(dropped)
    assert all(warning.filename == __file__ for warning in warned)


def test_families_and_units_of_ones_own(simulated, table):
    table = table[["tau", "sag", "v_baseline"]].assign(depth=np.arange(60.0), flat=1.0)
    known = read_ephys_table(table.drop(columns="flat"), simulated.obs)
    assert known.var["family"].tolist() == ["passive", "sag", "passive", "other"]
    families = {"a": ["depth", "sag"], "b": ["flat", "tau", "v_baseline"]}
    with pytest.warns(UserWarning, match="flat"):
        own = read_ephys_table(table, simulated.obs, families, {"depth": "um"})
    assert own.var["family"].tolist() == ["b", "a", "b", "a"]
    assert own.var["unit"].tolist() == [
        "s",
        "",
        "mV",
        "um",
    ]
    unknown = table[["depth"]].assign(x=-table["depth"])
    assert set(quietly(unknown, simulated.obs).var["family"]) == {"all"}


def test_an_unlikely_unit_is_warned_of(simulated, table):
    table["tau"] *= 1000
    with pytest.warns(UserWarning, match="the median of tau is .*, expected .* s;"):
        read_ephys_table(table, simulated.obs)
    assert quietly(table, simulated.obs, units={"tau": "ms"}).var["unit"]["tau"] == "ms"


def test_labels_may_be_columns_of_the_features_or_a_series():
    features = pd.DataFrame(
        {
            "vrest": [-70.0, -71, -72],
            "ri": [200.0, 100, 150],
            "mine": [1, 1, 1.5],
            "type": ["a ", "b", None],
            "depth": ["1", "2", "3"],
        },
        ["x", "y", "z"],
    )
    with pytest.warns(UserWarning, match="cells without a type"):
        data = read_ephys_table(features, units={"mine": "mV"}, name="ours")
    assert data.obs["type"].to_dict() == {"x": "a", "y": "b"}
    assert data.var["unit"].to_dict() == {"vrest": "mV", "ri": "MOhm", "depth": ""}
    assert data.var["family"].tolist() == ["passive", "passive", "other"]
    assert data.uns["sbnn"]["source"] == "the user's tables"
    assert data.uns["sbnn"]["name"] == "ours"
    numbers = features.drop(columns="type")
    types = pd.Series(["a", "b", "a"], features.index)
    assert quietly(numbers, types).obs["type"].tolist() == ["a", "b", "a"]
    numbered = pd.Series([1.0, 2.0, None], features.index)
    with pytest.warns(UserWarning, match="cells without a type.: z"):
        assert read_ephys_table(numbers, numbered).obs["type"].tolist() == ["1", "2"]
    with pytest.raises(ValueError, match="features: .*mine.*'high' for cell y"):
        read_ephys_table(numbers.assign(mine=["1", "high", "2"]), types)


def test_the_column_that_names_the_cells_is_found(tmp_path):
    """The first column holds animals, of which only the first row of each is filled, or types."""
    table = pd.DataFrame(
        {"animal": ["m1", None, "m2"], "cell": ["x", "y", "z"], "vrest": [1, 2, 3]}
    )
    table = table.assign(type=["a", "b", "a"]).set_index("animal")
    with pytest.raises(ReadingError, match="column 'cell' has a name for each.*cell_key"):
        read_ephys_table(table)
    assert read_ephys_table(table, cell_key="cell").obs_names.tolist() == ["x", "y", "z"]
    unnamed = pd.DataFrame({"vrest": np.arange(9.0)}, pd.Index(["a", "a", "b"] * 3, name="type"))
    path = tmp_path / "unnamed.csv"
    unnamed.to_csv(path)
    with pytest.raises(ReadingError, match="no column has a name for each cell.*by_row=True"):
        read_ephys_table(path)
    data = read_ephys_table(path, by_row=True)
    assert data.obs["type"].tolist() == unnamed.index.tolist()
    np.testing.assert_array_equal(data.X, unnamed)


def test_texts_that_differ_between_rows_of_a_cell_are_asked_about():
    rows = {"a": [1.0, 2, 3, 4], "b": [4.0, 3, 1, 2], "type": ["x", "y", "x", "x"]}
    table = pd.DataFrame(rows, ["c0", "c0", "c1", "c2"])
    with pytest.raises(ValueError, match=r"different texts in type.*drop_columns=\['type'\]"):
        read_ephys_table(table, average=True)


def test_names_of_columns_that_are_repeated_among_values_are_no_missing_values():
    rows = {"a": [1, "a", 3, 4, 5], "b": [4, "b", 1, 2, 6], "type": list("xtxyy")}
    with pytest.raises(ValueError, match="names of the columns are repeated below"):
        read_ephys_table(pd.DataFrame(rows, [f"c{i}" for i in range(5)]))
