"""Checks of user input: what is converted, and what is refused with the name of its argument."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data import checks
from sbnn.errors import check_among, check_number

CELLS = pd.Index(["a", "b", "c"])
TABLE = pd.DataFrame(
    {"type": ["b", None, ""], "donor": [3, None, 2], "depth": [0.5, 0.1, 0.2]}, ["z", "x", "y"]
)


@dataclass(frozen=True)
class Settings(checks.CheckedSettings):
    _LEAST = {"offset": -2}
    _MOST = {"offset": 5, "rate": 1}
    _LENGTHS = {"pair": (2, 2)}
    n: int = 3
    rate: float = 0.5
    offset: float = 0.0
    widths: tuple = (2, 3)
    pair: tuple = (0.5, 1.0)
    most: float | None = None
    flag: bool = False
    name: str = "a"


def test_settings_become_numbers_of_python():
    settings = Settings(np.int64(1), np.float32(1), -2, (np.int64(4),), [1, 0], np.int64(2))
    assert settings == Settings(1, 1.0, -2.0, (4,), (1.0, 0.0), 2.0)
    assert type(settings.n) is int and type(settings.widths[0]) is int
    assert type(settings.rate) is float and type(settings.most) is float
    assert type(settings.pair) is tuple and type(settings.pair[0]) is float
    assert Settings(n=10**9, offset=5).most is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 0),
        ("n", 2.0),
        ("n", 10**9 + 1),
        ("n", True),
        ("rate", 1.5),
        ("rate", -0.1),
        ("offset", -2.1),
        ("offset", 5.1),
        ("widths", (2, 0)),
        ("widths", ()),
        ("widths", 3),
        ("pair", (1.0,)),
        ("pair", (1.0, 2.0, 3.0)),
        ("pair", (1.0, np.nan)),
        ("most", "x"),
        ("most", -1),
        ("flag", 1),
        ("name", 3),
    ],
)
def test_settings_out_of_bounds_are_refused(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        Settings(**{name: value})


def test_numbers_and_options_out_of_bounds_are_refused():
    for value in (1, 3, np.int64(2)):
        check_number("n", value, int, 1, 3)
    for value in (0, 4, 2.0, True, "2"):
        with pytest.raises((TypeError, ValueError), match="n must"):
            check_number("n", value, int, 1, 3)
    for value in (np.inf, np.nan):
        with pytest.raises(ValueError, match="n must"):
            check_number("n", value, float, 1)
    check_among("way", "a", ("a", "b"))
    with pytest.raises(ValueError, match="way"):
        check_among("way", "c", ("a", "b"))


def test_names_are_unique_and_never_empty():
    assert checks.check_names(None, "genes", "gene", 2).tolist() == ["gene_0", "gene_1"]
    assert checks.check_names([1, "b"], "genes", "gene", 2).tolist() == ["1", "b"]
    assert checks.check_names(None, "genes", "gene", 0).dtype.kind == "U"
    for wrong in (["a"], ["a", "a"], ["a", ""], ["a", None], ["1", 1]):
        with pytest.raises(ValueError, match="genes: "):
            checks.check_names(wrong, "genes", "gene", 2)


def test_labels_are_in_the_order_of_the_cells():
    cells = np.array(["x", "y", "z"])
    labels = checks.check_labels(TABLE, cells, ("type", "family"), ("donor", "condition"))
    assert labels.index.tolist() == ["x", "y", "z"]
    assert labels["type"].tolist() == ["unknown", "unknown", "b"]
    assert labels["donor"].tolist() == ["unknown", "2", "3"]
    assert labels["depth"].tolist() == [0.1, 0.2, 0.5]
    assert labels["family"].tolist() == ["unknown"] * 3
    assert "condition" not in labels
    assert TABLE["type"].isna().any()
    assert list(checks.check_labels(TABLE["type"], cells, ())) == ["type"]
    assert checks.check_labels(None, cells, ("type",))["type"].tolist() == ["unknown"] * 3


@pytest.mark.parametrize(
    ("labels", "name"), [(TABLE[1:], "z"), (TABLE.loc[["z", "z", "x", "y"]], "z"), (["a"], "list")]
)
def test_labels_of_other_cells_are_refused(labels, name):
    with pytest.raises((TypeError, ValueError), match=f"labels: .*{name}"):
        checks.check_labels(labels, np.array(["x", "y", "z"]), ())


def test_groups_are_known_for_every_cell():
    assert checks.check_groups([1, "b"], [0, 0], "groups").tolist() == ["1", "b"]
    assert checks.check_groups(["unknown"], [0], "groups", unknown="").tolist() == ["unknown"]
    for wrong in (["a"], ["a", None], ["a", ""], ["a", "unknown"], ["a", " a"], [["a"], ["b"]]):
        with pytest.raises(ValueError, match="groups"):
            checks.check_groups(wrong, [0, 0], "groups")
    with pytest.raises(ValueError, match="groups"):
        checks.check_groups(pd.Series(range(3), CELLS[::-1]), pd.DataFrame(index=CELLS), "groups")


def test_every_type_has_a_colour_of_its_own():
    colors = checks.check_colors({"b": "red", 1: "#00ff0a"}, ["c", "a", "b", "unknown", "a"])
    assert colors["b"] == "#FF0000" and colors["1"] == "#00ff0a"
    assert colors["a"] == checks.OKABE_ITO[0] and colors["c"] == checks.OKABE_ITO[1]
    assert colors["unknown"] == checks.GREY
    assert checks.check_colors({"unknown": "k"}, ["unknown"]) == {"unknown": "#000000"}
    types = [f"type {i}" for i in range(7)]
    assert [*checks.check_colors({}, types).values()] == [*checks.OKABE_ITO]
    for n_types in (8, 60):
        types = [f"type {i}" for i in range(n_types)]
        assert len(set(checks.check_colors({}, types).values())) == n_types
    for wrong in ({"a": "rot"}, ["red"]):
        with pytest.raises((TypeError, ValueError), match="colors: "):
            checks.check_colors(wrong, ["a"])


def test_many_types_have_hues_at_equal_distances():
    # light and dark alternate, and the saturation is 0.65
    first, second = [*checks.check_colors({}, [f"{i:02}" for i in range(8)]).values()][:2]
    assert first == "#A82424"  # hue 0, lightness 0.4: 0.4 (1 +- 0.65)
    assert second == "#D7B242"  # hue 1/8, lightness 0.55: 0.55 +- 0.45 * 0.65
    assert checks.hex_color([0, 9.6, 255]) == "#000AFF"


@pytest.mark.parametrize("form", [np.asarray, sparse.coo_array])
def test_counts_are_whole_numbers_in_the_shape_of_x(form):
    counts = checks.check_counts(form([[1.0, 2.0], [0.0, 2.0**31 - 1]]), (2, 2))
    assert counts.dtype == np.int64 and counts.sum() == 2**31 + 2
    assert checks.check_counts(form(np.uint8([[0, 2]])), (1, 2)).dtype == np.uint8
    for wrong in ([[1.0, 2.5]], [[1.0, -1.0]], [[np.inf, 1.0]], [[np.nan, 1.0]], [[2.0**31, 1.0]]):
        with pytest.raises(ValueError, match="counts: "):
            checks.check_counts(form(wrong), (1, 2))
    with pytest.raises(ValueError, match="counts: "):
        checks.check_counts(form([[1, 2]]), (2, 1))
    with pytest.raises(TypeError, match="counts: "):
        checks.check_counts(np.array([["a"]]), (1, 1))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_the_first_values_are_summarised(form, monkeypatch):
    values = form(np.array([[0, 1.5, 4], [0, 0, 2], [9, 9, 9.5]]))
    monkeypatch.setattr(checks, "VALUES_LOOKED_AT", 6)
    assert checks.looked_at(values) == (0, 4, 5 / 6, 2)
    assert checks.looked_at(form(np.zeros((2, 2)))) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("values", "kind", "doubtful"),
    [
        ([[0, 1], [21, 5]], "counts", False),
        ([[0, 2], [20, 5]], "log", True),
        ([[1, 1], [3, 0]], "counts", False),
        ([[1, 1], [2, 0]], "log", True),
        ([[0.5, 20], [0, 0]], "log", False),
        ([[0.5, 21], [0, 0]], "log", True),
        ([[0.5, 50], [0, 0]], "log", True),
        ([[0.5, 51], [7, 9]], "normalised", True),
        ([[0.5, 51.5], [7, 9]], "normalised", False),
        ([[-1, 61], [2, 3]], "log", False),
    ],
)
def test_the_kind_of_expression_is_told_from_its_values(values, kind, doubtful):
    found, span, doubt = checks.kind_of_expression(np.array(values, dtype=float))
    assert found == kind
    assert bool(doubt) == doubtful
    assert f"{np.min(values):g} to {np.max(values):g}" in span


def test_values_that_are_not_finite_are_named_by_cell_and_column():
    good = np.array([[1e15, -1e15], [0, 1]])
    checks.check_finite(good, "X")
    for value in (np.nan, np.inf, -1.1e15, 1.1e15):
        bad = good.copy()
        bad[1, 0] = value
        with pytest.raises(ValueError, match="X: .* 'd' in column 'a'"):
            checks.check_finite(bad, "X", ["c", "d"], ["a", "b"])
        with pytest.raises(ValueError, match="X: .* 1 .* column '0'"):
            checks.check_finite(bad, "X")


def test_cells_without_values_give_a_warning(recwarn):
    checks.check_recorded(np.array([[1, np.nan], [np.nan, 2]]), "X")
    assert not recwarn
    empty = np.array([[1, np.nan], [np.nan, np.nan]])
    with pytest.warns(UserWarning, match="X: .*: d"):
        checks.check_recorded(empty, "X", ["c", "d"])
    with pytest.warns(UserWarning, match="X: .*: 1"):
        checks.check_recorded(empty, "X")
    with pytest.raises(ValueError, match="X: "):
        checks.check_recorded(np.array([[np.inf, np.nan]]), "X")
    with pytest.raises(ValueError, match="X: .*masked"):
        checks.check_unmasked(np.ma.masked_equal([1, 2], 2), "X")


def test_tables_of_the_same_cells_are_in_the_same_order():
    numbers = pd.RangeIndex(3)
    checks.check_same_cells(CELLS, CELLS)
    checks.check_same_cells(CELLS, numbers)
    checks.check_same_cells(numbers, CELLS)
    checks.check_same_cells(CELLS, CELLS[:2])  # another length is found elsewhere
    for cells, rows in ((CELLS, CELLS[::-1]), (numbers, numbers[::-1]), (CELLS, CELLS + "x")):
        with pytest.raises(ValueError, match="Y: "):
            checks.check_same_cells(cells, rows)
    with pytest.raises(ValueError, match="Z: "):
        checks.check_same_cells(CELLS, numbers, strict=True, argument="Z")
    checks.check_in_order(np.eye(3), pd.Series(1, CELLS), "y")
    with pytest.raises(ValueError, match="y: "):
        checks.check_in_order(pd.DataFrame(index=CELLS), pd.Series(1, CELLS[::-1]), "y")


def test_dates_among_names_are_found():
    dates = ["2-Sep", "1-Mar", "Sept-02", "1.3.2020", "2020-03-01"]
    assert checks.dates_among([*dates, "Mar-2020", "SEPT2", *"abcd"]) == dates
    assert checks.dates_among(["1-Mar", "a", "b"]) == ["1-Mar"]
    assert checks.dates_among(["1-Mar", "a"]) == []  # half of the names: intended
    assert checks.dates_among(["2020-03-01 00:00:00"]) == ["2020-03-01 00:00:00"]


def test_long_lists_are_shortened():
    assert checks.some(range(5)) == "0, 1, 2, 3, 4"
    assert checks.some(range(7)) == "0, 1, 2, 3, 4 and 2 more"
    assert checks.some("abc", 2) == "a, b and 1 more"
