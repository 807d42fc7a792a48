"""Figures drawn from saved records alone; each function takes records and returns a Figure."""

import importlib

# Module of each public name.
_HOME = {
    "accuracy_comparison": "plotting.models",
    "bottleneck_comparison": "plotting.curves",
    "component_variance": "plotting.dimensions",
    "effect_map": "plotting.interpretation",
    "family_colors": "plotting.colors",
    "family_zoom": "plotting.latent",
    "gene_selection_curve": "plotting.genes",
    "genes_curve": "plotting.genes",
    "latent_panels": "plotting.latent",
    "map_trust": "plotting.trust",
    "overview": "plotting.summary",
    "save_figure": "plotting.common",
    "selection_frequencies": "plotting.genes",
    "style": "plotting.common",
    "training_curves": "plotting.curves",
    "tsne_pair": "plotting.dimensions",
}

__all__ = list(_HOME)


def __getattr__(name):
    # Imported on first use, so that a figure loads only what it needs.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sbnn.plotting' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
