import pytest

from sbnn.data.rate_equations import And, Or, Regulation, parse_rate_equation, regulations

A, NOT_B, C = Regulation("A", True, 0.5, 1.5), Regulation("B_2", False, 0.45, 1.0), Regulation("C", True, 0.55, 2.0)
A_TEXT, B_TEXT, C_TEXT = "1 * fAct(A, 0.5, 1.5)", "(1 - 1 * fAct(B_2, 0.45, 1))", "1 * fAct(C, 0.55, 2.0)"


def rate(logic, gene="G"):
    return f"(({logic}) * 1 - 1 * {gene}) / 1"


def either(one, other):
    return f"({one} + {other} - {one} * {other})"


@pytest.mark.parametrize(
    ("text", "logic"),
    [
        (A_TEXT, A),
        (B_TEXT, NOT_B),
        (f"({A_TEXT} * {B_TEXT})", And(A, NOT_B)),
        (f"{A_TEXT} * {B_TEXT} * {C_TEXT}", And(And(A, NOT_B), C)),
        (either(A_TEXT, B_TEXT), Or(A, NOT_B)),
        (either(f"({A_TEXT} * {C_TEXT})", B_TEXT), Or(And(A, C), NOT_B)),
        (f"({either(B_TEXT, A_TEXT)} * {C_TEXT})", And(Or(NOT_B, A), C)),
        ("fAct(A,5e-1,1.5)", A),
    ],
)
def test_logic_is_read(text, logic):
    assert parse_rate_equation(rate(text), "G") == logic


def test_input_genes_have_none():
    assert parse_rate_equation(" input gene ", "G") is None


def test_regulations_are_those_of_the_text_from_left_to_right():
    assert list(regulations(Or(And(C, A), NOT_B))) == [C, A, NOT_B]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rate(A_TEXT, "H"), r"rate equation of G: expected 'input gene' or '\(logic \* 1 - 1 \* G\) / 1', in "),
        (rate(f"2 * {A_TEXT}"), "expected regulations joined by"),
        (rate(f"{A_TEXT} + {B_TEXT}"), "expected regulations joined by"),
        (rate(f"{A_TEXT} + {B_TEXT} - {A_TEXT} * {C_TEXT}"), "expected regulations joined by"),
        (rate(f"1 - {A_TEXT} * {C_TEXT}"), "expected regulations joined by"),
        (rate(f"1 - {B_TEXT}"), "expected regulations joined by"),
        (rate("A"), "expected regulations joined by"),
        (rate("fAct(A, 0.5)"), r"expected ',', got '\)'"),
        (rate("fAct(A, 1.5, 2.0)"), r"expected an EC50 in \(0, 1\) and n > 0, got 1.5 and 2.0"),
        (rate("fAct(A, 0.5, -1.0)"), "expected a number, a gene or a bracket, got '-'"),
        (rate("__import__('os').system('true')"), "cannot read"),
        (rate(A_TEXT) + ")", r"expected the end, got '\)'"),
        ("(" + rate(A_TEXT), r"expected '\)', got 'the end'"),
        ("", "expected a number, a gene or a bracket, got 'the end'"),
    ],
)
def test_other_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_rate_equation(text, "G")
