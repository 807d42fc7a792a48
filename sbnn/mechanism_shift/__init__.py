"""Perturbation screens: latents of single cells that each perturbation moves sparsely, and which it moves.

- `SparseShiftVAE`: the model; ``method="staged"`` is ours, the others are those of the literature.
- `unmix`: rotates the latents of any model until perturbations move few of them.
- `simulate_perturbations`: screens with known latents and shifts.
"""

from sbnn.data.perturbation_screen import PerturbationScreen
from sbnn.data.simulate_perturbations import simulate_perturbations
from sbnn.mechanism_shift.model import SparseShiftVAE
from sbnn.mechanism_shift.recipe import PUBLISHED, Recipe
from sbnn.mechanism_shift.spike_slab import SpikeSlab, fit_spike_slab
from sbnn.mechanism_shift.unmixing import Unmixing, unmix

__all__ = [
    "PUBLISHED",
    "PerturbationScreen",
    "Recipe",
    "SparseShiftVAE",
    "SpikeSlab",
    "Unmixing",
    "fit_spike_slab",
    "simulate_perturbations",
    "unmix",
]
