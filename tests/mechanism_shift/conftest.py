"""A screen that is small enough for every test, and a model of it."""

import numpy as np
import pytest

from sbnn.mechanism_shift import SparseShiftVAE, simulate_perturbations
from sbnn.mechanism_shift.data import as_screen

GENE = 6


@pytest.fixture(scope="session")
def adata():
    """40 perturbations of 60 cells, 5 latents, 60 genes, and 100 control cells.

    A target also has a direct effect, on the gene that varies least.
    """
    adata = simulate_perturbations(60, 40, 5, 60, n_control=100, random_state=1)
    cells = np.flatnonzero(adata.obs["perturbation"] == "perturbation_03")
    adata.X[cells, GENE] = adata.X.toarray()[cells, GENE] // 10
    return adata


@pytest.fixture(scope="session")
def screen(adata):
    return as_screen(adata)


@pytest.fixture(scope="session")
def few_cells(adata):
    """The cells of eight perturbations and the control."""
    names = np.unique(adata.obs["perturbation"])  # the control is first
    return adata[adata.obs["perturbation"].isin(names[:9])].copy()


@pytest.fixture(scope="session")
def few(few_cells):
    """Counts, perturbations and control of few cells."""
    screen = as_screen(few_cells)
    return screen.counts, screen.perturbation, screen.control


@pytest.fixture(scope="session")
def fitted(screen):
    """The default model of the screen, trained long enough to find the latents."""
    model = SparseShiftVAE(5, hidden=64, epochs=60, random_state=0)
    return model.fit(screen.counts, screen.perturbation, screen.control)
