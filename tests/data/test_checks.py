"""Checks of user input: what is converted, and what is refused with the name of its argument."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn import CountNormalizer, LeaveOneOutRidge, paired
from sbnn.data import checks
from sbnn.data.counts import check_counts, describe_no_logs, normalize_library_size
from sbnn.data.preprocessing import select_genes
from sbnn.evaluation.folds import grouped_folds

CELLS = pd.Index(["a", "b", "c"])
TABLE = pd.DataFrame(index=CELLS)


# --- names


def test_missing_names_are_numbered():
    assert checks.check_names(None, "genes", kind="gene", size=2).tolist() == ["gene_0", "gene_1"]


@pytest.mark.parametrize("names", [["a"], ["a", ""], ["a", None], ["1", 1]])
def test_names_are_unique_and_never_empty(names):
    with pytest.raises(ValueError, match="gene names"):
        checks.check_names(names, "genes", kind="gene", size=2)


# --- labels


@pytest.fixture
def labels():
    return pd.DataFrame({"type": ["b", None, ""], "donor": [3, None, 2]}, ["c", "a", "b"])


def test_labels_are_in_the_order_of_the_cells(labels):
    checked = checks.check_labels(labels, CELLS, required=["type"])
    assert checked.index.tolist() == ["a", "b", "c"]
    assert checked["type"].tolist() == ["unknown", "unknown", "b"]


def test_optional_labels_are_text(labels):
    checked = checks.check_labels(labels, CELLS, [], optional=["donor", "condition"])
    assert checked["donor"].tolist() == ["unknown", "2", "3"]
    assert "condition" not in checked


def test_required_labels_that_are_missing_are_unknown(labels):
    checked = checks.check_labels(labels, CELLS, required=["family"])
    assert checked["family"].tolist() == ["unknown"] * 3


@pytest.mark.parametrize("rows", [[1, 2], [0, 0, 1, 2]])
def test_every_cell_has_one_row_of_labels(rows, labels):
    with pytest.raises(ValueError, match="labels: .*c" if 0 not in rows else "labels: "):
        checks.check_labels(labels.iloc[rows], CELLS, required=[])


MARKS = ["nan", "NA", "None", "<NA>", "N/A", "", "-", "unmapped", " ", None]


@pytest.fixture(params=MARKS)
def incomplete(request):
    """Labels of which one type is a mark of missing values."""
    return pd.DataFrame({"type": ["IT", "IT ", request.param], "batch": [1, "1b", True]}, CELLS)


def test_marks_of_missing_labels_are_no_labels(incomplete):
    with pytest.warns(UserWarning, match="1 of 3 cells have no type"):
        checked = checks.check_labels(incomplete, np.array(CELLS), ["type"])
    assert checked["type"].tolist() == ["IT", "IT", "unknown"]


def test_mixed_labels_become_text():
    table = pd.DataFrame({"batch": [1, "1b", True]}, CELLS)
    checked = checks.check_labels(table, np.array(CELLS), [])
    assert checked["batch"].tolist() == ["1", "1b", "True"]


# --- groups


def test_groups_become_text():
    groups = pd.Series([1, " b", "c"], CELLS)
    assert checks.check_groups(groups, TABLE, "groups").tolist() == ["1", "b", "c"]


@pytest.mark.parametrize("missing", ["unknown", None])
def test_groups_are_known_for_every_cell(missing):
    groups = pd.Series([1, " b", missing], CELLS)
    with pytest.raises(ValueError, match="groups: unknown for cells c;"):
        checks.check_groups(groups, TABLE, "groups")


def test_groups_are_in_the_order_of_the_cells():
    with pytest.raises(ValueError, match="groups: .* in the same order"):
        checks.check_groups(pd.Series(["c", "b", "a"], CELLS[::-1]), TABLE, "groups")


def test_there_are_as_many_groups_as_cells():
    with pytest.raises(ValueError, match="groups: expected one for each cell"):
        checks.check_groups(pd.Series(["a", "b"], CELLS[:2]), TABLE, "groups")


def test_marks_of_missing_labels_are_no_groups(incomplete):
    groups = incomplete["type"]
    with pytest.raises(ValueError, match="unknown for cells at positions 2"):
        checks.check_groups(groups.to_numpy(), TABLE, "groups")
    with pytest.raises(ValueError, match="none of them missing"):
        grouped_folds(groups, 2)


# --- colours


def test_colours_that_are_given_are_kept():
    labels = pd.DataFrame({"family": "unknown", "type": ["b"]})
    colors = checks.check_colors({"b": "red", 1: "#00ff0a"}, labels)
    assert colors == {"b": "#FF0000", "1": "#00FF0A"}


def test_every_type_has_a_colour_of_its_own():
    labels = pd.DataFrame({"family": "unknown", "type": ["c", "a", "b", "unknown", "a"]})
    first, _, third = checks.HUES[:3]
    colors = checks.check_colors({"b": "red"}, labels)
    assert colors == {"b": "#FF0000", "unknown": checks.GREY, "a": first, "c": third}


def test_families_are_hues_and_types_their_shades():
    types = ["x2", "x1", "y", "z", "u", "v", "w", "t"]
    labels = pd.DataFrame({"family": [*"AABCDEFG"], "type": types})
    colors = checks.type_shades(labels)
    assert (colors["x1"], colors["y"]) == ("#0072B2", "#D55E00")
    # half of 65 % of the way to white, and 60 % of the levels
    assert colors["x2"] == "#53A0CB"
    assert colors["t"] == "#00446B"


def test_colours_do_not_depend_on_the_order_of_cells():
    labels = pd.DataFrame({"family": ["unknown", *"BAA"], "type": ["x", "x", "x", "y"]})
    assert checks.type_shades(labels[::-1]) == checks.type_shades(labels)


# --- counts


def test_counts_are_whole_numbers_in_the_shape_of_x():
    counts = check_counts(sparse.coo_array([[0.0, 2.0**31 - 1]]), (1, 2))
    assert counts.dtype == np.int64
    assert counts.sum() == 2**31 - 1


@pytest.mark.parametrize("wrong", [2.5, -1, np.nan, 2.0**31])
def test_what_is_no_count_is_refused(wrong):
    with pytest.raises(ValueError, match="counts: "):
        check_counts([[wrong]], (1, 1))


@pytest.mark.parametrize(
    ("values", "what"),
    [([2, 0, 21], "raw counts"), ([2, 0, 20], ""), ([0.5, 51], "no log values"), ([-1, 51.5], "")],
)
def test_no_logarithms_are_counts_or_too_large(values, what):
    found = describe_no_logs(np.array([values]))
    assert what in found
    assert bool(found) == bool(what)


@pytest.mark.parametrize(
    "wrong",
    [
        pd.DataFrame({"day": pd.date_range("2020", periods=20)}),
        pd.DataFrame({"day": pd.timedelta_range("1h", periods=20)}).astype(object),
        np.arange(20).astype("m8[h]"),
        np.arange(20) + 1j,
        np.ma.masked_equal(np.arange(20.0), 3),
    ],
    ids=["dates", "spans", "hours", "complex", "masked"],
)
def test_what_is_no_number_is_refused(wrong, rng):
    X = rng.normal(size=(20, 3))
    place = "Y: .*column 'day'" if hasattr(wrong, "columns") else "Y: "
    with pytest.raises(ValueError, match=place):
        paired(X, wrong)
    with pytest.raises(ValueError, match=place):
        LeaveOneOutRidge().fit(X, wrong)
    X_wrong = wrong if wrong.ndim == 2 else wrong.reshape(20, 1)
    with pytest.raises(ValueError, match="X: "):
        LeaveOneOutRidge().fit(X_wrong, X)


@pytest.mark.parametrize("size", [0, np.nan, -1])
def test_a_library_size_is_positive(size, rng):
    counts = rng.poisson(3, (20, 4)) + 1
    with pytest.raises(ValueError, match="library_size must be"):
        paired(None, counts=counts, library_size=size)
    with pytest.raises(ValueError, match="target must be"):
        normalize_library_size(counts, size)


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


def test_an_array_fits_any_names():
    checks.check_in_order(np.eye(3), pd.Series(1, CELLS), "Y")


@pytest.mark.parametrize(
    ("cells", "rows"), [(CELLS, CELLS[::-1]), (NUMBERS, NUMBERS[::-1]), (CELLS, CELLS + "x")]
)
def test_tables_of_the_same_cells_are_in_one_order(cells, rows):
    with pytest.raises(ValueError, match="Y: "):
        checks.check_in_order(pd.DataFrame(index=cells), pd.Series(1, rows), "Y")
