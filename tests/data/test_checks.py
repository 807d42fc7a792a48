"""Checks of user input: what is converted, and what is refused with the name of its argument."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data import checks
from sbnn.data.counts import check_counts, describe_raw_counts
from sbnn.evaluation.folds import grouped_folds

CELLS = pd.Index(["a", "b", "c"])


def test_names_are_unique_and_never_empty():
    assert checks.check_names(None, "genes", "gene", 2).tolist() == ["gene_0", "gene_1"]
    for wrong in (["a"], ["a", ""], ["a", None], ["1", 1]):
        with pytest.raises(ValueError, match="gene names"):
            checks.check_names(wrong, "genes", "gene", 2)


def test_labels_are_in_the_order_of_the_cells():
    table = pd.DataFrame({"type": ["b", None, ""], "donor": [3, None, 2]}, ["c", "a", "b"])
    labels = checks.check_labels(table, CELLS, ("type", "family"), ("donor", "condition"))
    assert labels["type"].tolist() == ["unknown", "unknown", "b"]
    assert labels["donor"].tolist() == ["unknown", "2", "3"]
    assert labels["family"].tolist() == ["unknown"] * 3 and "condition" not in labels
    for wrong in (table[1:], table.iloc[[0, 0, 1, 2]]):
        with pytest.raises(ValueError, match="labels: .*c"):
            checks.check_labels(wrong, CELLS, ())


def test_groups_are_known_for_every_cell():
    table = pd.DataFrame(index=CELLS)
    groups = pd.Series([1, " b", "unknown"], CELLS)
    assert list(checks.check_groups(groups.replace("unknown", "c"), table, "groups")) == [*"1bc"]
    wrong = [groups, groups[::-1].replace("unknown", "c"), groups[:2]]
    wrong.append(groups.replace("unknown", None))
    for given in wrong:
        with pytest.raises(ValueError, match="groups"):
            checks.check_groups(given, table, "groups")


def labels_of(types, families="unknown"):
    return pd.DataFrame({"family": families, "type": types})


def test_every_type_has_a_colour_of_its_own():
    labels = labels_of(["c", "a", "b", "unknown", "a"])
    colors = checks.check_colors({"b": "red", 1: "#00ff0a"}, labels)
    assert colors == {
        **{"b": "#FF0000", "1": "#00FF0A", "unknown": checks.GREY},
        **{"a": checks.HUES[0], "c": checks.HUES[2]},
    }


def test_families_are_hues_and_types_their_shades():
    types = ["x2", "x1", "y", "z", "u", "v", "w", "t"]
    colors = checks.type_shades(labels_of(types, ["A", "A", "B", "C", "D", "E", "F", "G"]))
    assert (colors["x1"], colors["y"]) == ("#0072B2", "#D55E00")
    # half of 65 % of the way to white, and 60 % of the levels
    assert colors["x2"] == "#53A0CB"
    assert colors["t"] == "#00446B"


def test_counts_are_whole_numbers_in_the_shape_of_x():
    counts = check_counts(sparse.coo_array([[0.0, 2.0**31 - 1]]), (1, 2))
    assert counts.dtype == np.int64 and counts.sum() == 2**31 - 1
    for wrong in (2.5, -1, np.nan, 2.0**31):
        with pytest.raises(ValueError, match="counts: "):
            check_counts([[wrong]], (1, 1))


@pytest.mark.parametrize(
    ("values", "are_raw"), [([2, 0, 21], True), ([2, 0, 20], False), ([0.5, 51], False)]
)
def test_raw_counts_are_whole_numbers_that_no_logarithm_reaches(values, are_raw):
    assert bool(describe_raw_counts(np.array([values]))) == are_raw


def test_tables_of_the_same_cells_are_in_the_same_order():
    numbers = pd.RangeIndex(3)

    def check(cells, rows):
        checks.check_in_order(pd.DataFrame(index=cells), pd.Series(1, rows), "Y")

    # the default index fits any names, and another length is found elsewhere
    for rows in (CELLS, numbers, CELLS[:2]):
        check(CELLS, rows)
        check(rows, CELLS)
    checks.check_in_order(np.eye(3), pd.Series(1, CELLS), "Y")
    for cells, rows in ((CELLS, CELLS[::-1]), (numbers, numbers[::-1]), (CELLS, CELLS + "x")):
        with pytest.raises(ValueError, match="Y: "):
            check(cells, rows)


@pytest.mark.parametrize(
    "mark", ["nan", "NA", "None", "<NA>", "N/A", "", "-", "unmapped", " ", None]
)
def test_marks_of_missing_labels_are_no_labels(mark):
    labels = pd.DataFrame({"type": ["IT", "IT ", mark], "batch": [1, "1b", True]}, CELLS)
    with pytest.warns(UserWarning, match="1 of 3 cells have no type"):
        checked = checks.check_labels(labels, np.array(CELLS), ["type"])
    assert checked["type"].tolist() == ["IT", "IT", "unknown"]
    assert checked["batch"].tolist() == ["1", "1b", "True"]
    with pytest.raises(ValueError, match="unknown for cells at positions 2"):
        checks.check_groups(labels["type"].to_numpy(), labels, "groups")
    with pytest.raises(ValueError, match="none of them missing"):
        grouped_folds(labels["type"], 2)
