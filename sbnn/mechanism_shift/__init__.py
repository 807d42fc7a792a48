"""Perturbation screens: latents of single cells, and the latents that each perturbation shifts.

- `SparseShiftVAE`: the model, with our training or as published.
- `unmix`: rotates the latents of any model.
- `recovery`: accuracy on a simulated screen.
- `screen`: an AnnData of your own counts.
- `simulate_perturbations`: screens with known latents and shifts.
"""

from sbnn.mechanism_shift.accuracy import (
    match_latents,
    recovery,
    recovery_of_genes,
    z_score_expression,
)
from sbnn.mechanism_shift.data import screen
from sbnn.mechanism_shift.graph import edges_of
from sbnn.mechanism_shift.model import LinearShift, SparseShiftVAE
from sbnn.mechanism_shift.simulate import simulate_perturbations
from sbnn.mechanism_shift.unmixing import unmix

__all__ = [
    "LinearShift",
    "SparseShiftVAE",
    "edges_of",
    "match_latents",
    "recovery",
    "recovery_of_genes",
    "screen",
    "simulate_perturbations",
    "unmix",
    "z_score_expression",
]
