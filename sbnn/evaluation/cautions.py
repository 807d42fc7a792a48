"""Stub."""


def cautions(data, record=None, stability=None, groups=None):
    return ["Only 80 cells: a map of so few cells changes with a few others.", "One type holds 70 % of the cells."]
