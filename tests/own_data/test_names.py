"""Names that look alike to a reader, but not to a computer."""

import pytest

from sbnn.own_data.names import suggest_spelling


@pytest.mark.parametrize(
    "names",
    [("Gad1", "GAD1"), ("AAAC-1", "AAAC.1"), (" c1", "c1"), ("\xe9", "e\u0301")]
    + [("\xb5s", "\u03bcs"), ("c\xa01", "c 1")],
    ids=["capitals", "punctuation", "space", "accent", "micro", "space that does not break"],
)
def test_names_that_look_alike_are_told(names):
    given, expected = names
    assert ascii(given) in suggest_spelling(["other", given], [expected])


@pytest.mark.parametrize("names", [("5.0", "50"), ("a", "a"), ("a", "b")])
def test_other_names_do_not_look_alike(names):
    given, expected = names
    assert not suggest_spelling([given], [expected])
