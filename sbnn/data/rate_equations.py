"""Rate equations of genes: read from text into a logic of regulations, without running any of it.

An equation is ``(logic * 1 - 1 * gene) / 1``, or ``input gene`` of a gene that stays as it is. Its logic is made of

- ``fAct(regulator, EC50, n)``: activation; ``1 - fAct(...)``: repression,
- ``a * b``: AND, ``a + b - a * b``: OR,

in brackets, and ``1 * a`` is ``a`` (Hossain et al., Genome Biology 2024, simulated with SimulatorGRN).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

INPUT = "input gene"

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*/(),]))")


@dataclass(frozen=True)
class Regulation:
    """What one regulator does: ``B x^n / (K + x^n)``, with B and K such that 0, EC50, 1 give 0, 1/2, 1; or 1 less that.

    Attributes
    ----------
    regulator : str
    activation : bool
        False for a repression.
    ec50 : float
        In (0, 1).
    exponent : float
        Hill coefficient.
    """

    regulator: str
    activation: bool
    ec50: float
    exponent: float


@dataclass(frozen=True)
class And:
    """Product of two parts."""

    one: Logic
    other: Logic


@dataclass(frozen=True)
class Or:
    """``a + b - a b`` of two parts."""

    one: Logic
    other: Logic


Logic = Regulation | And | Or


def regulations(logic: Logic) -> Iterator[Regulation]:
    """Go through the regulations of a logic, from left to right."""
    if isinstance(logic, Regulation):
        yield logic
    else:
        yield from regulations(logic.one)
        yield from regulations(logic.other)


def parse_rate_equation(text: str, gene: str) -> Logic | None:
    """Read the rate equation of a gene.

    Parameters
    ----------
    text : str
    gene : str
        Whose equation it is.

    Returns
    -------
    Regulation, And, Or or None
        The logic; None for an input gene.

    Raises
    ------
    ValueError
        Another form; the message names the gene and what was found.
    """
    if text.strip() == INPUT:
        return None
    try:
        return _logic_of_rate(_Reader(text).whole(), gene)
    except _NotUnderstoodError as error:
        raise ValueError(f"rate equation of {gene}: {error}, in {_start(text)!r}") from None


class _NotUnderstoodError(Exception):
    pass


class _Reader:
    """Arithmetic to nested tuples: a float, a name, (sign, left, right) or ("fAct", name, EC50, n)."""

    def __init__(self, text: str) -> None:
        self.tokens, end = [], 0
        text = text.rstrip()
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None:
                raise _NotUnderstoodError(f"cannot read {text[end : end + 20]!r}")
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            end = match.end()
        self.position = 0

    def whole(self):
        result = self._signs("+-", lambda: self._signs("*/", self._atom))
        if self.position < len(self.tokens):
            raise _NotUnderstoodError(f"expected the end, got {self._next()!r}")
        return result

    def _signs(self, signs, part):
        left = part()
        while self._peek() in signs and self._peek():
            left = _without_ones((self._next(), left, part()))
        return left

    def _atom(self):
        kind, value = self.tokens[self.position] if self.position < len(self.tokens) else ("end", "the end")
        self.position += 1
        if kind == "number":
            return float(value)
        if value == "(":
            inside = self._signs("+-", lambda: self._signs("*/", self._atom))
            self._expect(")")
            return inside
        if kind != "name":
            raise _NotUnderstoodError(f"expected a number, a gene or a bracket, got {value!r}")
        if value != "fAct":
            return value
        arguments = []
        for before in "(,,":
            self._expect(before)
            arguments.append(self._atom())
        self._expect(")")
        return ("fAct", *arguments)

    def _peek(self):
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def _next(self):
        self.position += 1
        return self.tokens[self.position - 1][1]

    def _expect(self, sign):
        if self._peek() != sign:
            raise _NotUnderstoodError(f"expected {sign!r}, got {self._peek() or 'the end'!r}")
        self.position += 1


def _without_ones(tree):
    """Leave out factors of one, so that equal parts are equal trees."""
    match tree:
        case ("*", 1.0, part) | ("*" | "/", part, 1.0):
            return part
    return tree


def _logic_of_rate(tree, gene):
    match tree:
        case ("-", logic, name) if name == gene:
            return _logic(logic)
    raise _NotUnderstoodError(f"expected '{INPUT}' or '(logic * 1 - 1 * {gene}) / 1'")


def _logic(tree) -> Logic:
    match tree:
        case ("fAct", str(regulator), float(ec50), float(exponent)):
            if not (0 < ec50 < 1 and exponent > 0):
                raise _NotUnderstoodError(f"expected an EC50 in (0, 1) and n > 0, got {ec50} and {exponent}")
            return Regulation(regulator, True, ec50, exponent)
        case ("*", one, other):
            return And(_logic(one), _logic(other))
        case ("-", 1.0, part):
            inner = _logic(part)
            if isinstance(inner, Regulation) and inner.activation:
                return replace(inner, activation=False)
        case ("-", ("+", one, other), ("*", same, again)) if (one, other) == (same, again):
            return Or(_logic(one), _logic(other))
    raise _NotUnderstoodError("expected regulations joined by 'a * b' or 'a + b - a * b'")


def _start(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
