"""Perturbation screens: latents of single cells, and the latents that each perturbation shifts.

- `SparseShiftVAE`: the model. ``method="staged"`` is our method; the other methods are from the
  literature and use the `Recipe` called `PUBLISHED`.
- `unmix`: rotates the latents of any model such that each perturbation shifts few of them.
- `recovery`: fits a model to a simulated screen, and compares the result with the truth.
- `screen`: makes an AnnData from your own counts; `read_screen` reads it from files.
- `simulate_perturbations`: simulates screens with known latents and shifts.
"""

from sbnn.data.screens import screen
from sbnn.data.simulate_perturbations import simulate_perturbations
from sbnn.data.tables import read_screen
from sbnn.mechanism_shift.accuracy import recovery
from sbnn.mechanism_shift.model import SparseShiftVAE
from sbnn.mechanism_shift.recipe import MANY_GENES, PUBLISHED, Recipe
from sbnn.mechanism_shift.unmixing import unmix

__all__ = [
    "MANY_GENES",
    "PUBLISHED",
    "Recipe",
    "SparseShiftVAE",
    "read_screen",
    "recovery",
    "screen",
    "simulate_perturbations",
    "unmix",
]
