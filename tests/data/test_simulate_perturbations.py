"""Simulated screens: sparse shifts of latents, and counts that carry them."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression

from sbnn.data.screens import as_screen
from sbnn.data.simulate_perturbations import simulate_perturbations


def simulated(*sizes, **options):
    return as_screen(simulate_perturbations(*sizes, **options))


def test_parameters_that_differ_give_other_data():
    sizes = {"n_cells_per": 5, "n_perturbations": 6, "n_latents": 4, "n_genes": 40}
    one = simulated(**sizes)
    assert one.sha256 == simulated(**sizes, shift=np.float32(5)).sha256
    for change in ({"n_control": 3}, {"random_state": 4}, {"shift": 4}):
        other = simulated(**sizes, **change)
        assert other.sha256 != one.sha256
        assert (one.counts[:30] != other.counts[:30]).nnz > 100


def test_shifts_are_sparse_of_either_sign_and_of_the_size_asked_for():
    shifts = simulated(1, 2000, 20, 40, random_state=1).truth["shifts"].to_numpy()
    share = np.bincount((shifts != 0).sum(axis=1), minlength=4) / 2000
    # Drawn with replacement, which makes two of some of the threes.
    of_one = np.array([0, 1, 0, 0])
    of_two = np.array([0, 1, 19, 0]) / 20
    of_three = np.array([0, 1, 3 * 19, 18 * 19]) / 400
    expected = (of_one + of_two + of_three) / 3
    np.testing.assert_allclose(share, expected, atol=0.04)
    size = np.abs(shifts[shifts != 0])
    found = [size.mean(), size.std(), (shifts[shifts != 0] > 0).mean()]
    np.testing.assert_allclose(found, [5, 0.5, 0.5], atol=0.03)


def test_cells_lie_around_the_shift_of_their_perturbation():
    screen = simulated(50, 20, 5, 40, n_control=400, random_state=2)
    control = screen.perturbation == "control"
    assert screen.control == "control" and control.sum() == 400
    shifts = screen.truth["shifts"]
    rest = screen.truth["latents"].copy()
    rest[~control] -= shifts.loc[screen.perturbation[~control]].to_numpy()
    for cells in (control, ~control):
        np.testing.assert_allclose(rest[cells].mean(axis=0), 0, atol=0.2)
        np.testing.assert_allclose(rest[cells].std(axis=0), 1, atol=0.15)
    assert not control[:400].all()  # in random order


def test_counts_have_a_known_mean_and_carry_the_latents():
    screen = simulated(100, 20, 3, 60, random_state=2)
    assert sparse.issparse(screen.counts)
    totals = np.asarray(screen.counts.sum(axis=0)).ravel()
    np.testing.assert_allclose(totals, 1e6, rtol=0.01)
    logs = np.log(screen.counts.toarray() + 1)
    assert logs.std() == pytest.approx(1, abs=0.25)  # logits are divided by their SD
    latents = screen.truth["latents"]
    assert LinearRegression().fit(logs, latents).score(logs, latents) > 0.8
