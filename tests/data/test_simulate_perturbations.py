"""Simulated screens: sparse shifts of latents, and counts that carry them."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression

from sbnn.data.screens import as_screen
from sbnn.data.simulate_perturbations import simulate_perturbations


def simulate(shift=5, n_control=0, random_state=0):
    adata = simulate_perturbations(
        n_cells_per=5,
        n_perturbations=6,
        n_latents=4,
        n_genes=40,
        shift=shift,
        n_control=n_control,
        random_state=random_state,
    )
    return as_screen(adata)


def test_equal_parameters_give_the_same_data():
    assert simulate(shift=5).sha256 == simulate(shift=np.float32(5)).sha256


@pytest.mark.parametrize("change", [{"n_control": 3}, {"random_state": 4}, {"shift": 4}])
def test_parameters_that_differ_give_other_data(change):
    first = simulate()
    other = simulate(**change)
    assert other.sha256 != first.sha256
    assert (first.counts[:30] != other.counts[:30]).nnz > 100


@pytest.fixture(scope="module")
def shifts():
    """Of 2000 perturbations and 20 latents."""
    adata = simulate_perturbations(1, 2000, 20, 40, random_state=1)
    return as_screen(adata).truth["shifts"].to_numpy()


def test_shifts_are_sparse(shifts):
    n_shifts = (shifts != 0).sum(axis=1)
    fractions = np.bincount(n_shifts, minlength=4) / 2000
    # drawn with replacement, which makes two of some of the threes
    of_one = np.array([0, 1, 0, 0])
    of_two = np.array([0, 1, 19, 0]) / 20
    of_three = np.array([0, 1, 3 * 19, 18 * 19]) / 400
    expected = (of_one + of_two + of_three) / 3
    np.testing.assert_allclose(fractions, expected, atol=0.04)


def test_shifts_have_the_size_asked_for(shifts):
    sizes = np.abs(shifts[shifts != 0])
    assert sizes.mean() == pytest.approx(5, abs=0.03)
    assert sizes.std() == pytest.approx(0.5, abs=0.03)


def test_half_of_the_shifts_are_positive(shifts):
    positive = shifts[shifts != 0] > 0
    assert positive.mean() == pytest.approx(0.5, abs=0.03)


@pytest.fixture(scope="module")
def screen():
    """20 perturbations of 50 cells, and 400 control cells."""
    return as_screen(simulate_perturbations(50, 20, 5, 40, n_control=400, random_state=2))


@pytest.fixture
def is_control(screen):
    return screen.perturbation == "control"


def test_control_cells_are_labelled(screen, is_control):
    assert screen.control == "control"
    assert is_control.sum() == 400


def test_cells_are_in_random_order(is_control):
    assert not is_control[:400].all()


@pytest.mark.parametrize("control", [True, False])
def test_cells_lie_around_their_shift(screen, is_control, control):
    all_shifts = screen.truth["shifts"].copy()
    all_shifts.loc["control"] = 0.0
    shifts = all_shifts.loc[screen.perturbation].to_numpy()
    scatter = screen.truth["latents"] - shifts
    cells = is_control == control
    np.testing.assert_allclose(scatter[cells].mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(scatter[cells].std(axis=0), 1, atol=0.15)


@pytest.fixture(scope="module")
def few_latents():
    return as_screen(simulate_perturbations(100, 20, 3, 60, random_state=2))


def test_counts_of_a_gene_have_a_known_sum(few_latents):
    assert sparse.issparse(few_latents.counts)
    totals = np.asarray(few_latents.counts.sum(axis=0))
    np.testing.assert_allclose(totals, 1e6, rtol=0.01)


def test_logits_are_divided_by_their_sd(few_latents):
    logs = np.log(few_latents.counts.toarray() + 1)
    assert logs.std() == pytest.approx(1, abs=0.25)


def test_counts_carry_the_latents(few_latents):
    logs = np.log(few_latents.counts.toarray() + 1)
    latents = few_latents.truth["latents"]
    assert LinearRegression().fit(logs, latents).score(logs, latents) > 0.8
