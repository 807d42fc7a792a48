"""Figures drawn from saved records alone; each drawing function takes records and returns a matplotlib Figure."""

import importlib

# Public names by module.
_NAMES = {
    "plotting.models": ("accuracy_comparison",),
    "plotting.curves": ("bottleneck_comparison", "training_curves"),
    "plotting.dimensions": ("component_variance", "tsne_pair"),
    "plotting.interpretation": ("effect_map",),
    "plotting.colors": ("family_colors",),
    "plotting.latent": ("family_zoom", "latent_panels"),
    "plotting.genes": ("gene_selection_curve", "genes_curve", "selection_frequencies"),
    "plotting.trust": ("map_trust",),
    "plotting.summary": ("overview",),
    "plotting.common": ("save_figure", "style"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = list(_HOME)


def __getattr__(name):
    # Imported on first use, so that a figure loads only what it needs.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sbnn.plotting' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
