"""Spellings of types: which are one, and which only look alike."""

import warnings

import pytest

from sbnn.data.type_names import KNOWN_CLASSES, usual_name, warn_of_spellings


@pytest.mark.parametrize(
    ("name", "usual"),
    [("Sst", "SST"), (" sst ", "SST"), ("SOM", "SST"), ("Somatostatin", "SST"), ("SST+", "SST"), ("V.I.P.", "VIP"),
     ("v-i-p", "VIP"), ("PV", "PVALB"), ("Parvalbumin", "PVALB"), ("Lamp-5", "LAMP5"), ("lamp_5", "LAMP5"),
     ("Sncg", "SNCG")],
)  # fmt: skip
def test_known_classes_have_one_spelling(name, usual):
    assert usual_name(name) == usual


@pytest.mark.parametrize("name", ["SST-", "Sst Chodl", "Pvalb Vipr2", "PVM", "Basket", "5-HT", "som 2", "unknown", ""])
def test_other_types_are_left_as_they_are(name):
    assert usual_name(f" {name} ") == name


def test_the_wanted_spelling_is_that_of_the_caller():
    assert usual_name("PV", ("Pvalb",)) == usual_name("PVALB", ("Pvalb",)) == "Pvalb"
    assert usual_name("SOM", ("Pvalb",)) == "SOM"


@pytest.mark.parametrize(
    ("types", "named"),
    [(["SOM", "VIP", "SST", "VIP"], "'SOM' and 'SST'"), (["L2/3 IT", "L2/3-it"], "'L2/3 IT' and 'L2/3-it'"),
     (["Sst Chodl", "SST_Chodl", "SST chodl"], "'SST chodl' and 'SST_Chodl' and 'Sst Chodl'")],
)  # fmt: skip
def test_types_that_may_be_one_are_named(types, named):
    with pytest.warns(UserWarning, match=f"kept apart: {named}; give them one name"):
        warn_of_spellings(types)


@pytest.mark.parametrize(
    "types",
    [["Sst"] * 3 + ["Pvalb"], ["1.1", "11", "1_1a"], ["PV+", "PV-"], ["cluster 1 2", "cluster 12"], ["unknown"]],
)
def test_types_that_only_look_alike_are_not(types):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_spellings(types)


def test_no_published_type_looks_like_another(typed_cells):
    assert set(typed_cells.y) <= set(KNOWN_CLASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for column in typed_cells.labels.select_dtypes(exclude="number"):
            typed_cells.with_types_of(column)
