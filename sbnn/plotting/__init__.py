"""The figures, drawn from saved records alone: every function takes records and returns a matplotlib Figure."""

import importlib

from sbnn.plotting.accuracy import accuracy_comparison
from sbnn.plotting.colors import family_colors
from sbnn.plotting.common import save_figure, style
from sbnn.plotting.comparison import bottleneck_comparison
from sbnn.plotting.contact import contact_sheet
from sbnn.plotting.curves import training_curves
from sbnn.plotting.degradation import noise_degradation
from sbnn.plotting.interpretation import effect_map
from sbnn.plotting.latent import latent_panels
from sbnn.plotting.overview import overview
from sbnn.plotting.selection import gene_selection_curve
from sbnn.plotting.stability import selection_frequencies, stability_matrix
from sbnn.plotting.tsne import tsne_pair
from sbnn.plotting.width import width_and_stability
from sbnn.plotting.zoom import family_zoom

__all__ = [
    "accuracy_comparison",
    "bottleneck_comparison",
    "contact_sheet",
    "effect_map",
    "family_colors",
    "family_zoom",
    "gene_selection_curve",
    "latent_panels",
    "noise_degradation",
    "overview",
    "save_figure",
    "selection_frequencies",
    "stability_matrix",
    "style",
    "training_curves",
    "tsne_pair",
    "width_and_stability",
]

# Forwarding addresses of names that users know and that moved to another room; nothing in the package uses them.
_MOVED = {"draw_all": "sbnn.study.gallery", "gallery": "sbnn.study.gallery"}


def __getattr__(name):
    if name in _MOVED:
        return getattr(importlib.import_module(_MOVED[name]), name)
    raise AttributeError(f"module 'sbnn.plotting' has no attribute {name!r}")
