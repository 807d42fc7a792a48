import numpy as np
import pandas as pd
import pytest

from sbnn.data.families import FeatureFamilies

NAMES = ["u", "v", "w", "x"]
FAMILIES = FeatureFamilies(NAMES, ["b", "a", "b", "c"])
X = np.array([[1, 2, 3, 4], [np.nan, 2, 3, np.nan], [np.nan, np.nan, np.nan, np.inf]])


def test_families_are_in_order_of_first_appearance_and_know_their_columns():
    assert FAMILIES.names == ("b", "a", "c") and len(FAMILIES) == 3
    assert {name: columns.tolist() for name, columns in FAMILIES.columns.items()} == {"b": [0, 2], "a": [1], "c": [3]}
    assert all(columns.dtype.kind == "i" for columns in FAMILIES.columns.values())


def test_a_family_is_present_with_one_finite_value():
    expected = [[True, True, True], [True, True, False], [False, False, False]]
    np.testing.assert_array_equal(FAMILIES.present(X), expected)
    np.testing.assert_array_equal(FAMILIES.present(pd.DataFrame(X)), expected)
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected \(n, 4\)"):
        FAMILIES.present(X[:, :2])


def test_subset_keeps_the_order_asked_for():
    part = FAMILIES.subset(["x", "u"])
    assert part == FeatureFamilies(["x", "u"], ["c", "b"]) and part.names == ("c", "b")
    assert FAMILIES.subset([3, 0]) == part
    assert FAMILIES.subset(np.array([True, False, False, True])) == FeatureFamilies(["u", "x"], ["b", "c"])
    with pytest.raises(KeyError, match="not in the data: y"):
        FAMILIES.subset(["y"])
    with pytest.raises(ValueError, match="duplicate feature names: u"):
        FAMILIES.subset(["u", "u"])


def test_every_way_to_say_the_same_binds_alike():
    frame = pd.DataFrame(X, columns=NAMES)
    assert FeatureFamilies.of(FAMILIES, X) is FAMILIES is FeatureFamilies.of(FAMILIES, frame)
    assert FeatureFamilies.of({"b": ["w", "u"], "a": ["v"], "c": ("x",)}, frame) == FAMILIES
    numbered = FeatureFamilies.of({"c": [3], "b": np.array([0, 2]), "a": [1]}, X)
    assert numbered.family_of == FAMILIES.family_of and numbered.feature_names[2] == "feature_2"
    assert FeatureFamilies.of(None, frame) == FeatureFamilies(NAMES, ["all"] * 4)
    assert FeatureFamilies.of(None, X.tolist()).names == ("all",)


@pytest.mark.parametrize(
    ("families", "message"),
    [
        ({"a": ["u", "v"], "b": ["w", "x", "u"]}, "'u' is in two families, 'a' and 'b'"),
        ({"a": ["u", "u", "v", "w", "x"]}, "'u' is in two families, 'a' and 'a'"),
        ({"a": ["u", "v"]}, r"2 column\(s\) of X are in no family: w, x"),
        ({"a": [*NAMES, "y"]}, r"families\['a'\] holds y; expected column names"),
        ({"a": NAMES, "b": []}, r"families\['b'\] has no column"),
        ({"a": [0, 1, 2, 3]}, "holds 0, 1, 2, 3; expected column names"),
        (FeatureFamilies(NAMES[:3], list("abc")), "families has 3 features, but X has 4 columns"),
        (FeatureFamilies(["u", "v", "w", "z"], ["a"] * 4), "columns of X that families does not know: x"),
        (FeatureFamilies(NAMES[::-1], ["a"] * 4), "in another order"),
    ],
)
def test_families_that_do_not_fit_are_named(families, message):
    with pytest.raises(ValueError, match=message):
        FeatureFamilies.of(families, pd.DataFrame(X, columns=NAMES))


def test_positions_are_those_of_the_array():
    with pytest.raises(ValueError, match="holds 4; expected column numbers of X, 0 to 3"):
        FeatureFamilies.of({"a": [0, 1, 2, 3, 4]}, X)
    with pytest.raises(ValueError, match="holds True"):
        FeatureFamilies.of({"a": [0, True, 2, 3]}, X)


def test_other_kinds_of_families_are_refused():
    with pytest.raises(TypeError, match="got list"):
        FeatureFamilies.of(["a"] * 4, X)
    with pytest.raises(TypeError, match=r"families\['a'\] must be a list of column names .* got 'u'"):
        FeatureFamilies.of({"a": "u"}, pd.DataFrame(X, columns=NAMES))
    with pytest.raises(TypeError, match="feature_names must be a sequence of names, got the text 'sag'"):
        FeatureFamilies("sag", ["a"])
    with pytest.raises(ValueError, match="family_of has 1 entries, expected 2"):
        FeatureFamilies(["u", "v"], ["a"])
    with pytest.raises(ValueError, match=r"family_of\[1\] is empty"):
        FeatureFamilies(["u", "v"], ["a", ""])
    with pytest.raises(ValueError, match="at least one feature"):
        FeatureFamilies([], [])
