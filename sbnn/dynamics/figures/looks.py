"""Colours, markers and labels of the methods."""

from sbnn.dynamics.methods import METHODS
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

COLORS = {
    "prior": "k", "none": "0.45", "phoenix": "0.7", "c_node": SKY, "l0": BLUE, "path_reg": PURPLE,
    "post_hoc": "#8c6d31", "imp": ORANGE, "biological": "#882255", "dash": VERMILLION, "sparse": GREEN,
}  # fmt: skip


def label(name):
    """Name of a method as it stands in figures."""
    return METHODS[name].label
