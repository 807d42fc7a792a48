"""Simulated screens: sizes of shifts, and cells around them; see also test_simulate.py."""

import numpy as np
import pytest

from sbnn.mechanism_shift.data import as_screen
from sbnn.mechanism_shift.simulate import simulate_perturbations


@pytest.fixture(scope="module")
def screen():
    """20 perturbations of 50 cells, and 400 control cells."""
    adata = simulate_perturbations(
        n_cells_per=50,
        n_perturbations=20,
        n_latents=5,
        n_genes=40,
        shift=3,
        shift_sd=0.2,
        most_targets=2,
        n_control=400,
        random_state=2,
    )
    return as_screen(adata)


def test_shifts_have_the_size_asked_for(screen):
    shifts = screen.truth["shifts"].to_numpy()
    sizes = np.abs(shifts[shifts != 0])
    assert sizes.mean() == pytest.approx(3, abs=0.1)
    assert sizes.std() == pytest.approx(0.2, abs=0.05)


def test_perturbations_have_one_or_two_targets(screen):
    n_targets = (screen.truth["shifts"] != 0).sum(axis=1)
    assert set(n_targets) == {1, 2}


@pytest.fixture
def is_control(screen):
    return screen.perturbation == "control"


def test_control_cells_are_labelled(screen, is_control):
    assert screen.control == "control"
    assert is_control.sum() == 400


@pytest.mark.parametrize("control", [True, False])
def test_cells_lie_around_their_shift(screen, is_control, control):
    all_shifts = screen.truth["shifts"].copy()
    all_shifts.loc["control"] = 0.0
    shifts = all_shifts.loc[screen.perturbation].to_numpy()
    scatter = screen.truth["latents"] - shifts
    cells = is_control == control
    np.testing.assert_allclose(scatter[cells].mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(scatter[cells].std(axis=0), 1, atol=0.15)
