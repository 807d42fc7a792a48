"""Colours and labels of the methods."""

from sbnn.mechanism_shift.methods import METHODS
from sbnn.plotting.colors import BLUE, GREEN, VERMILLION

#: Of what sort a method is, see `sbnn.mechanism_shift.methods.Method`.
KIND_COLORS = {"linear": "0.45", "network": BLUE, "published": VERMILLION, "ours": GREEN}


def method_color(name):
    """Colour of a method."""
    return KIND_COLORS[METHODS[name].kind]
