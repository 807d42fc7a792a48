"""The figures, drawn from saved records alone: every function takes records and returns a matplotlib Figure."""

from sbnn.plotting.common import family_colors, save_figure, style
from sbnn.plotting.comparison import bottleneck_comparison
from sbnn.plotting.curves import training_curves
from sbnn.plotting.latent import latent_panels
from sbnn.plotting.overview import overview
from sbnn.plotting.selection import gene_selection_curve

__all__ = [
    "bottleneck_comparison",
    "family_colors",
    "gene_selection_curve",
    "latent_panels",
    "overview",
    "save_figure",
    "style",
    "training_curves",
]
