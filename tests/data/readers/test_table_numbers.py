"""Numbers in tables: decimal marks, groups of digits, missing values, and text."""

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.table_numbers import MARKS, as_numbers, is_number, to_numbers


def numbers_of(values, decimal=None, marks=()):
    """Numbers, which of the values are text, the decimal mark and numbers that contradict it."""
    found = to_numbers(pd.DataFrame({"a": values}), decimal, marks)
    return found.values["a"].tolist(), found.wrong[:, 0].tolist(), found.decimal, found.unclear


@pytest.mark.parametrize("decimal", [".", ","])
def test_numbers_are_read_as_they_were_spelled(decimal, rng):
    values = (rng.normal(size=200) * 10 ** rng.uniform(0, 7, 200)).round(2)
    for form in ("{}", "{:+,.2f}", " {:.17e} "):
        spelled = list(map(form.format, values))
        if decimal == ",":
            spelled = [text.translate(str.maketrans(",.", ".,")) for text in spelled]
        assert numbers_of(spelled) == (values.tolist(), [False] * 200, decimal, "")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["0,5", "3", "1,234", 1.5], [0.5, 3, 1.234, 1.5]),
        (["1.234.567", "2,"], [1234567, 2]),
        (["12.5", "1,234", ".5", "5."], [12.5, 1234, 0.5, 5]),
        (["1 234.5", "12'345", "12’345", "−7"], [1234.5, 12345, 12345, -7]),
        (["1.234", "0.500", "1e3"], [1.234, 0.5, 1000]),
    ],
)
def test_decimal_marks_are_detected(texts, expected):
    numbers, text, _, unclear = numbers_of(texts)
    assert numbers == expected
    assert not any(text)
    assert not unclear
    assert all(map(is_number, texts[:2]))


def test_numbers_that_can_be_read_in_two_ways_are_refused():
    for texts in (["1,234", "7"], ["0,5", "12.5"]):
        assert texts[0] in numbers_of(texts)[-1]
        with pytest.raises(ValueError, match=rf"outputs: .*{texts[0]}.*decimal"):
            as_numbers(pd.DataFrame({"a": texts}), "outputs")
        with pytest.raises(ValueError, match="decimal"):
            numbers_of(texts, ";")
    assert numbers_of(["0,5", "0,7", "12.5"])[2] == ",", "that of most numbers"
    assert numbers_of(["1,234", "0,5"], ".")[:2] == (
        pytest.approx([1234, np.nan], nan_ok=True),
        [False, True],
    )


def test_marks_of_missing_values_are_gaps():
    for mark in [*MARKS, "NA", "N/A", "Not measured"]:
        numbers, text, *_ = numbers_of(["1.5", f" {mark} ", 2, None])
        assert np.isnan(numbers).tolist() == [False, True, False, True]
        assert not any(text), mark
    given = ["1", "FAILED", "-999", -999, 1.5]
    numbers, text, *_ = numbers_of(given, marks=["failed", -999])
    np.testing.assert_array_equal(numbers, [1, np.nan, np.nan, np.nan, 1.5])
    assert not any(text)
    np.testing.assert_array_equal(numbers_of([1, -999], marks="-999")[0], [1, np.nan])


@pytest.mark.parametrize(
    "value", ["broken", np.inf, pd.Timestamp("2024-03-01"), "1.5 mV", "0x1", "1_0", "1,2,3", "2-1"]
)
def test_text_among_numbers_is_named(value):
    table = pd.DataFrame({"b": [1, 2], "Tau": ["2", value]}, ["x", "y"])
    assert not is_number(value)
    with pytest.raises(ValueError, match=rf"outputs: .* columns Tau; .*'{value}' for cell y"):
        as_numbers(table, "outputs")
    whole = as_numbers(table[:1], "outputs")
    assert whole.to_dict("records") == [{"b": 1, "Tau": 2}]


def test_truth_values_are_no_numbers():
    for values in ([True, False], ["True", "False"]):
        assert numbers_of(values)[1] == [True, True]


def test_truth_values_do_not_make_text_of_ones():
    """Excel has both; True equals 1 in Python."""
    table = pd.DataFrame({"fast": [True, False], "n": [1, "n.d."], "Tau": [0, 0.5]}, dtype=object)
    found = to_numbers(table)
    assert found.wrong.tolist() == [[True, False, False]] * 2
    np.testing.assert_array_equal(found.values[["n", "Tau"]], [[1, 0], [np.nan, 0.5]])


def test_each_column_may_have_its_decimal_mark():
    table = pd.DataFrame({"Tau": ["0.5", "2.25"], "Sag": ["0,5", "n.d."], "n": ["1", "2"]})
    found = to_numbers(table)
    assert not found.unclear
    assert found.notes == ["commas are decimal marks only in Sag", "read as missing: n.d."]
    np.testing.assert_array_equal(found.values, [[0.5, 0.5, 1], [2.25, np.nan, 2]])
    table["n"] = ["1,234", "2"]
    assert to_numbers(table).unclear


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["12.5%", "n.d.", "7 %"], [12.5, np.nan, 7]),
        (["-70,5 mV", "", "−3 mV"], [-70.5, np.nan, -3]),
        (["70 mV", "3 V"], None),
        (["7A", "8A"], None),
    ],
)
def test_one_unit_after_all_numbers_of_a_column_is_left_out(texts, numbers):
    found = to_numbers(pd.DataFrame({"Sag": texts}))
    if numbers is None:
        assert found.wrong.any()
        assert not found.notes
    else:
        np.testing.assert_array_equal(found.values["Sag"], numbers)
        assert found.notes[0].startswith("the unit after each number is left out: Sag")
