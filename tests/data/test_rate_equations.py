import pytest

from sbnn.data.rate_equations import And, Or, Regulation, parse_rate_equation

A, NOT_B, C = Regulation("A", True, 0.5, 1.5), Regulation("B_2", False, 0.45, 1.0), Regulation("C", True, 0.55, 2.0)
A_TEXT, B_TEXT, C_TEXT = "1 * fAct(A, 0.5, 1.5)", "(1 - 1 * fAct(B_2, 0.45, 1))", "1 * fAct(C, 0.55, 2.0)"


def rate(logic, gene="G"):
    return f"(({logic}) * 1 - 1 * {gene}) / 1"


def either(one, other):
    return f"({one} + {other} - {one} * {other})"


def test_logic_is_read():
    for text, logic in (
        (f"({A_TEXT} * {B_TEXT})", And(A, NOT_B)), (f"{A_TEXT} * {B_TEXT} * {C_TEXT}", And(And(A, NOT_B), C)),
        (either(A_TEXT, B_TEXT), Or(A, NOT_B)), (either(f"({A_TEXT} * {C_TEXT})", B_TEXT), Or(And(A, C), NOT_B)),
        (f"({either(B_TEXT, A_TEXT)} * {C_TEXT})", And(Or(NOT_B, A), C)), ("fAct(A,5e-1,1.5)", A),
    ):  # fmt: skip
        assert parse_rate_equation(rate(text), "G") == logic


def test_other_text_is_refused():
    products = [f"2 * {A_TEXT}", f"1 - {A_TEXT} * {C_TEXT}", f"1 - {B_TEXT}", f"{A_TEXT} ** {B_TEXT}"]
    sums = [f"{A_TEXT} + {B_TEXT}", f"{A_TEXT} + {B_TEXT} - {A_TEXT} * {C_TEXT}"]
    others = ["A", "fAct(A, 0.5)", "fAct(A, 0.5, -1.0)", "__import__('os').system('true')"]
    for text in [rate(A_TEXT, "H"), rate(A_TEXT) + ")", "", *map(rate, products + sums + others)]:
        with pytest.raises(ValueError, match="rate equation of G"):
            parse_rate_equation(text, "G")
