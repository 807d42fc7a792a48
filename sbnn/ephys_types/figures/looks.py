"""Colours of the types and of the models."""

from sbnn.data.labels import GREY
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

#: Of the subclasses, as in the Allen taxonomies and usual in the field.
TYPE_COLORS = {"PVALB": "#D93137", "SST": "#FF9900", "VIP": "#A45FBF", "LAMP5": "#DA808C", "SNCG": "#DF70FF"}
#: Of what sort a model is, see `sbnn.ephys_types.models.Model`.
KIND_COLORS = {"baseline": "0.45", "trees": BLUE, "sequence": VERMILLION, "ours": GREEN}
#: Of methods of transfer and of conditions, in their order.
SERIES = ("0.35", GREEN, BLUE, VERMILLION, PURPLE, ORANGE, SKY)


def type_color(name):
    """Colour of a type; grey for one that has none."""
    return TYPE_COLORS.get(name, GREY)
