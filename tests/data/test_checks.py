"""Checks of user input: what is converted, and what is refused with the name of its argument."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn import (
    CountNormalizer,
    paired,
)
from sbnn.data import checks
from sbnn.data import colors as colors_of_types
from sbnn.data.counts import check_logarithms, convert_counts
from sbnn.data.preprocessing import select_genes
from sbnn.evaluation.folds import grouped_folds

CELLS = pd.Index(["a", "b", "c"])
TABLE = pd.DataFrame(index=CELLS)


# --- names


@pytest.mark.parametrize("names", [{"a", "b"}, np.array([["a"], ["b"]]), pd.DataFrame({"a": [1]})])
def test_names_are_in_order_and_one_for_each(names):
    with pytest.raises(TypeError, match="genes: expected a list .* of gene names"):
        checks.fill_names(names, "genes", kind="gene", size=2)


# --- labels


@pytest.fixture
def labels():
    return pd.DataFrame({"type": ["b", None, ""], "donor": [3, None, 2]}, ["c", "a", "b"])


@pytest.mark.filterwarnings("ignore:.* have no donor")
def test_optional_labels_are_text(labels):
    checked = checks.fill_labels(labels, [], optional=["donor", "condition"])
    assert checked["donor"].tolist() == ["3", "unknown", "2"]
    assert "condition" not in checked


MARKS = ["nan", "NA", "None", "<NA>", "N/A", "", "-", "unmapped", " ", None]


@pytest.fixture(params=MARKS)
def incomplete(request):
    """Labels of which one type is a mark of missing values."""
    return pd.DataFrame({"type": ["IT", "IT ", request.param], "batch": [1, "1b", True]}, CELLS)


def test_marks_of_missing_labels_are_no_labels(incomplete):
    with pytest.warns(UserWarning, match="1 of 3 cells have no type"):
        checked = checks.fill_labels(incomplete, ["type"])
    assert checked["type"].tolist() == ["IT", "IT", "unknown"]


def test_dates_and_mixed_labels_become_text():
    days = pd.to_datetime(["2020-01-01", None, "2020-01-03"])
    table = pd.DataFrame({"batch": [1, "1b", True], "day": days}, CELLS)
    checked = checks.fill_labels(table, [])
    assert checked["batch"].tolist() == ["1", "1b", "True"]
    assert checked["day"].dropna().tolist() == ["2020-01-01 00:00:00", "2020-01-03 00:00:00"]


def test_names_become_text(labels):
    cells = pd.MultiIndex.from_product([["mouse"], labels.index])
    table = labels.rename(columns={"donor": 0}).set_axis(cells)
    checked = checks.order_labels(table, [str(cell) for cell in cells])
    assert [*checked] == ["type", "0"]
    assert checked.index[0] == "('mouse', 'c')"


# --- groups


def test_groups_become_text():
    groups = pd.Series([1, " b", "c"], CELLS)
    assert checks.match_groups(groups, TABLE, "groups").tolist() == ["1", "b", "c"]


def test_marks_of_missing_labels_are_no_groups(incomplete):
    groups = incomplete["type"]
    with pytest.raises(ValueError, match="unknown for cells at positions 2"):
        checks.match_groups(groups.to_numpy(), TABLE, "groups")
    with pytest.raises(ValueError, match="none of them missing"):
        grouped_folds(groups, 2)


# --- colours


def test_colours_that_are_given_are_kept():
    labels = pd.DataFrame({"family": "unknown", "type": ["b"]})
    colors = colors_of_types.fill_colors({"b": "red", 1: "#00ff0a"}, labels)
    assert colors == {"b": "#FF0000", "1": "#00FF0A"}


def test_every_type_has_a_colour_of_its_own():
    labels = pd.DataFrame({"family": "unknown", "type": ["c", "a", "b", "unknown", "a"]})
    first, _, third = colors_of_types.HUES[:3]
    colors = colors_of_types.fill_colors({"b": "red"}, labels)
    assert colors == {"b": "#FF0000", "unknown": colors_of_types.GREY, "a": first, "c": third}


def test_families_are_hues_and_types_their_shades():
    types = ["x2", "x1", "y", "z", "u", "v", "w", "r", "s", "q", "t"]
    labels = pd.DataFrame({"family": [*"AABCDEFGHIJ"], "type": types})
    colors = colors_of_types.type_shades(labels)
    assert (colors["x1"], colors["y"]) == ("#0072B2", "#D55E00")
    # half of 65 % of the way to white, and 60 % of the levels
    assert colors["x2"] == "#53A0CB"
    assert colors["t"] == "#00446B"


def test_colours_do_not_depend_on_the_order_of_cells():
    labels = pd.DataFrame({"family": ["unknown", *"BAA"], "type": ["x", "x", "x", "y"]})
    assert colors_of_types.type_shades(labels[::-1]) == colors_of_types.type_shades(labels)


# --- counts


def test_counts_are_whole_numbers_in_the_shape_of_x():
    counts = convert_counts(sparse.coo_array([[0.0, 2.0**31 - 1]]), (1, 2))
    assert counts.dtype == np.int64
    assert counts.sum() == 2**31 - 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [">i4", np.float16])
def test_counts_may_be_of_any_kind(kind):
    counts = convert_counts(np.eye(3, 2, dtype=kind), (3, 2))
    assert counts.dtype.kind == "i" and sparse.csr_array(counts).sum() == 2


@pytest.mark.parametrize(
    ("values", "what"),
    [([2, 0, 21], "raw counts, whole numbers up to 21"), ([0.5, 51], "up to 51")],
)
def test_no_logarithms_are_counts_or_too_large(values, what):
    with pytest.raises(ValueError, match=what):
        check_logarithms(np.array([values]))


@pytest.mark.parametrize("values", [[2, 0, 20], [-1, 51.5]], ids=["small", "z-scores"])
def test_other_values_may_be_logarithms(values):
    check_logarithms(np.array([values]))


@pytest.mark.parametrize(
    "wrong",
    [
        pd.DataFrame({"day": pd.date_range("2020", periods=20)}),
        pd.DataFrame({"day": pd.timedelta_range("1h", periods=20)}).astype(object),
        np.arange(20).astype("m8[h]")[:, np.newaxis],
        np.arange(20)[:, np.newaxis] + 1j,
        np.ma.masked_equal(np.eye(20, 1), 1),
        pd.DataFrame({"day": pd.Categorical([*"0123456789"] * 2)}),
    ],
    ids=["dates", "spans", "hours", "complex", "masked", "categories"],
)
def test_what_is_no_number_is_refused(wrong):
    """By whatever refuses the tables of other libraries."""
    place = ".*column 'day'" if hasattr(wrong, "columns") else ""
    with pytest.raises(ValueError, match=f"Y: {place}"):
        checks.check_numeric(wrong, "Y")


@pytest.mark.parametrize("wrong", [3, "text", {"a": 1}, np.array(["a"] * 20)])
def test_single_values_and_text_are_refused(wrong):
    with pytest.raises(TypeError, match="X: expected numbers"):
        checks.check_numeric(wrong, "X")


class TableOfPyArrow:
    """What is seen of one."""

    column_names = ("a", "b")


def test_names_of_other_libraries_are_refused():
    with pytest.raises(TypeError, match=r"X: .*TableOfPyArrow; .*\.to_pandas\(\)"):
        checks.check_numeric(TableOfPyArrow(), "X")


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("argument", ["X", "Y"])
def test_missing_numbers_name_cell_and_column(argument, number, rng):
    cells = [f"c{i}" for i in range(20)]
    tables = {
        "X": pd.DataFrame(rng.normal(size=(20, 2)), cells, ["Gad1", "Sst"]),
        "Y": pd.DataFrame(rng.normal(size=(20, 2)), cells, ["Tau", "Rin"]),
    }
    tables[argument].iloc[3, 1] = number
    place = f"{argument}: .* in cell 'c3', column '{tables[argument].columns[1]}'"
    with pytest.raises(ValueError, match=place):
        paired(**tables)


@pytest.mark.parametrize("wrong", [3, "abc", np.eye(2)])
def test_single_values_are_no_lists(wrong):
    with pytest.raises(TypeError, match="groups: expected .*one for each"):
        checks.check_one_for_each(wrong, "groups")


def test_unknown_arguments_name_the_builder():
    with pytest.raises(TypeError, match=r"paired\(\) has no argument 'zz'"):
        paired(np.eye(3), zz=3)


@pytest.mark.parametrize(
    "entry", [{"name": 3}, {"files": ["a.csv"]}, {"dropped": ["a"]}, {"notes": "some text"}]
)
def test_entries_of_another_kind_are_refused(entry):
    with pytest.raises(TypeError, match=f"{[*entry][0]}: expected"):
        paired(np.eye(3), **entry)


@pytest.mark.parametrize("size", [0, np.nan, -1])
def test_a_library_size_is_positive(size):
    with pytest.raises(ValueError, match="library_size must be"):
        paired(None, counts=np.ones((20, 4)), library_size=size)


def test_logarithms_are_no_counts(rng):
    logs = np.log2(1.0 + rng.poisson(3, (20, 4)))
    with pytest.warns(UserWarning, match="counts: .*logarithms"):
        CountNormalizer().fit(logs)
    with pytest.raises(ValueError, match="counts: expected raw counts"):
        select_genes(logs, 2)


# --- the order of cells

NUMBERS = pd.RangeIndex(3)


@pytest.mark.parametrize(
    ("cells", "rows"), [(CELLS, CELLS), (CELLS, NUMBERS), (NUMBERS, CELLS), (CELLS, CELLS[:2])]
)
def test_the_default_index_fits_any_names(cells, rows):
    """Another length is found elsewhere."""
    checks.check_in_order(pd.DataFrame(index=cells), pd.Series(1, rows), "Y")


# --- mistakes


LABELS = pd.DataFrame({"type": list("abc")}, CELLS)


@pytest.mark.parametrize(
    ("check", "arguments", "message"),
    [
        (checks.fill_names, [["a"], "genes", "gene", 2], "genes: expected 2 gene names"),
        (checks.fill_names, [["a", ""], "genes", "gene", 2], "repeated gene names: ''"),
        (checks.fill_names, [["a", None], "genes", "gene", 2], "repeated gene names: ''"),
        (checks.fill_names, [["1", 1], "genes", "gene", 2], "repeated gene names: '1'"),
        (checks.order_labels, [LABELS[:2], CELLS], "labels: .*unmatched: c"),
        (checks.order_labels, [LABELS.iloc[[0, 0, 1, 2]], CELLS], "labels: expected one row"),
        (
            checks.order_labels,
            [pd.concat([LABELS, LABELS], axis=1), CELLS],
            "labels: columns that appear more than once: type",
        ),
        (checks.match_rows, [LABELS[:2], CELLS, "labels"], "labels: no row for 1 of 3 cells: c"),
        (checks.match_rows, [LABELS.iloc[[0, 0, 1, 2]], CELLS, "labels"], "labels: .*once: a"),
        (
            checks.match_groups,
            [pd.Series([1, "b", "unknown"], CELLS), TABLE, "groups"],
            "groups: unknown for cells c;",
        ),
        (
            checks.match_groups,
            [pd.Series(1, CELLS[:2]), TABLE, "groups"],
            "groups: expected one for each cell",
        ),
        (convert_counts, [[[2.5]], (1, 1)], "counts: "),
        (convert_counts, [[[-1]], (1, 1)], "counts: "),
        (convert_counts, [[[np.nan]], (1, 1)], "counts: "),
        (convert_counts, [[[2.0**31]], (1, 1)], "counts: "),
        (
            checks.check_in_order,
            [pd.DataFrame(index=NUMBERS), pd.Series(1, NUMBERS[::-1]), "Y"],
            "Y: ",
        ),
        (checks.check_in_order, [TABLE, pd.Series(1, CELLS + "x"), "Y"], "Y: "),
    ],
)
def test_mistakes_are_named(check, arguments, message):
    with pytest.raises(ValueError, match=message):
        check(*arguments)
