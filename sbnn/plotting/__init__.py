"""The figures, drawn from saved records alone: every function takes records and returns a matplotlib Figure."""

import importlib

# Public name -> the module it lives in; the last two are of another room, where users of old know them from here.
_HOME = {
    "accuracy_comparison": "plotting.accuracy",
    "bottleneck_comparison": "plotting.comparison",
    "component_variance": "plotting.components",
    "effect_map": "plotting.interpretation",
    "family_colors": "plotting.colors",
    "family_zoom": "plotting.zoom",
    "gene_selection_curve": "plotting.selection",
    "genes_curve": "plotting.gene_numbers",
    "latent_panels": "plotting.latent",
    "map_trust": "plotting.trust",
    "noise_degradation": "plotting.degradation",
    "overview": "plotting.summary",
    "prior_effects": "plotting.priors",
    "save_figure": "plotting.common",
    "selection_frequencies": "plotting.stability",
    "style": "plotting.common",
    "training_curves": "plotting.curves",
    "tsne_pair": "plotting.tsne",
    "width_and_stability": "plotting.width",
    "draw_all": "study.study",
    "gallery": "study.study",
}

__all__ = list(_HOME)


def __getattr__(name):
    # On first use, so that a figure waits for what it needs itself and for nothing else.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sbnn.plotting' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
