"""Figures drawn from saved records or tables; most functions return a Figure."""

import importlib

# Module of each public name.
_HOME = {
    "accuracy_comparison": "plotting.models",
    "bibiplot": "plotting.correlations",
    "bottleneck_comparison": "plotting.curves",
    "bottleneck_widths": "plotting.width",
    "cell_maps": "plotting.dimensions",
    "cells_left_out": "plotting.cell_numbers",
    "component_variance": "plotting.dimensions",
    "effect_map": "plotting.interpretation",
    "family_colors": "plotting.colors",
    "family_sizes": "plotting.cell_numbers",
    "family_zoom": "plotting.latent",
    "fold_differences": "plotting.folds",
    "fold_families": "plotting.folds",
    "gene_norms": "plotting.pruning",
    "gene_selection_curve": "plotting.genes",
    "genes_curve": "plotting.genes",
    "held_out_predictions": "plotting.folds",
    "latent_panels": "plotting.latent",
    "library_sizes": "plotting.distributions",
    "listed_expression": "plotting.priors",
    "map_trust": "plotting.trust",
    "new_cells": "plotting.placed",
    "noise_recovery": "plotting.noise",
    "output_accuracy": "plotting.width",
    "output_distributions": "plotting.distributions",
    "overview": "plotting.summary",
    "prior_changes": "plotting.priors",
    "prior_effects": "plotting.priors",
    "protein_scales": "plotting.distributions",
    "save_figure": "plotting.common",
    "selection_frequencies": "plotting.genes",
    "style": "plotting.common",
    "training_curves": "plotting.curves",
    "tsne_pair": "plotting.dimensions",
    "width_and_stability": "plotting.width",
}

__all__ = list(_HOME)


def __getattr__(name):
    # Imported on first use, so that a figure loads only what it needs.
    if name in _HOME:
        return getattr(importlib.import_module(f"sbnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sbnn.plotting' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
