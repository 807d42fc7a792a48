"""Rate equations of genes, parsed from text without executing it.

An equation is ``(logic * 1 - 1 * gene) / 1``, or ``input gene``. The logic is made of
``fAct(regulator, EC50, n)`` (activation), ``1 - fAct(...)`` (repression), ``a * b`` (AND) and
``a + b - a * b`` (OR), as in Hossain et al. (Genome Biology 2024), who used SimulatorGRN.
"""

import ast
from dataclasses import dataclass, replace

_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Regulation:
    """Effect ``B x^n / (K + x^n)`` of a regulator at level x; 1 minus this value if it represses.

    The levels 0, EC50 and 1 give 0, 1/2 and 1. Fingerprints contain the repr, so the fields must
    keep their names and order.
    """

    regulator: str
    activation: bool
    ec50: float  # in (0, 1)
    exponent: float


@dataclass(frozen=True)
class _Join:
    one: "Regulation | And | Or"
    other: "Regulation | And | Or"


class And(_Join):
    """Product of two parts."""


class Or(_Join):
    """``a + b - a b`` for two parts a and b."""


def regulations(logic):
    """Yield the regulations of a logic."""
    if isinstance(logic, Regulation):
        yield logic
    elif isinstance(logic, _Join):
        yield from regulations(logic.one)
        yield from regulations(logic.other)
    else:
        raise TypeError(f"logic: expected a Regulation, And or Or, got {logic!r}")


def parse_rate_equation(text, gene):
    """Logic of a gene, or None for an input gene."""
    if text.strip() == "input gene":
        return None
    try:
        match _tree(ast.parse(text.strip(), mode="eval").body):
            case ("-", tree, name) if name == gene and (logic := _logic(tree)) is not None:
                return logic
    except SyntaxError:
        pass
    expected = f"'input gene' or '(logic * 1 - 1 * {gene}) / 1'"
    raise ValueError(f"rate equation of {gene}: expected {expected}, got {text[:80]!r}")


def _tree(node):
    """Nested tuples (sign, left, right) without factors of 1."""
    match node:
        case ast.Name(name):
            return name
        case ast.Constant(int() | float() as value):
            return float(value)
        case ast.Call(
            ast.Name("fAct"), [ast.Name(name), ast.Constant(ec50), ast.Constant(exponent)], []
        ):
            return Regulation(name, True, float(ec50), float(exponent))
        case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as sign, right):
            tree = _SIGNS[type(sign)], _tree(left), _tree(right)
            match tree:
                case ("*", 1.0, part) | ("*" | "/", part, 1.0):
                    return part
            return tree
    return None


def _logic(tree):
    """Logic of a tree, or None for another form."""
    match tree:
        case Regulation():
            return tree
        case ("-", 1.0, Regulation(activation=True) as part):
            return replace(part, activation=False)
        case ("-", ("+", one, other), ("*", same, again)) if (one, other) == (same, again):
            join = Or
        case ("*", one, other):
            join = And
        case _:
            return None
    one, other = _logic(one), _logic(other)
    return None if one is None or other is None else join(one, other)
