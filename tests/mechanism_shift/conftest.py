"""A screen that is small enough for every test, and short recipes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from short_recipes import SHORT  # noqa: E402

from sbnn.data.screens import as_screen  # noqa: E402
from sbnn.mechanism_shift import SparseShiftVAE, simulate_perturbations  # noqa: E402


@pytest.fixture(scope="session")
def adata():
    """40 perturbations of 60 cells, 5 latents, 60 genes, and 100 control cells."""
    return simulate_perturbations(60, 40, 5, 60, n_control=100, random_state=1)


@pytest.fixture(scope="session")
def screen(adata):
    """Its arrays."""
    return as_screen(adata)


@pytest.fixture(scope="session")
def staged(screen):
    """The staged model of the screen, trained long enough to find the latents."""
    return SparseShiftVAE(5, recipe=SHORT, random_state=0).fit(screen.counts, screen.perturbation, screen.control)
