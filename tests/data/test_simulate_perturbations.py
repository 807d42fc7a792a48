import hashlib

import numpy as np
import pytest

from sbnn import load_dataset
from sbnn.data.screens import as_screen
from sbnn.data.simulate_perturbations import simulate_perturbations


def simulated(*sizes, **options):
    return as_screen(simulate_perturbations(*sizes, **options))


def test_bits_are_those_of_the_committed_records():
    screen = as_screen(load_dataset("simulated_screen", verbose=False))
    assert screen.sha256 == "3b9a66dbbe76dbab1ae80d845551a2818faf9cdb410483524e73efa5b31b8d79"
    assert hashlib.sha256(screen.counts.toarray().tobytes()).hexdigest()[:16] == "dcf1a2a7f9187aeb"
    one, other = (
        simulated(5, 6, 4, 40, shift=shift, random_state=3).sha256 for shift in (5, np.float32(5))
    )
    assert one == other
    changes = ({"n_control": 3}, {"random_state": 4}, {"shift": 4}, {"density": 0.3})
    assert (
        len(
            {
                one,
                *(
                    simulated(5, 6, 4, 40, **{"random_state": 3} | change).sha256
                    for change in changes
                ),
            }
        )
        == 5
    )


def test_shifts_are_sparse_of_either_sign_and_of_the_size_asked_for():
    shifts = simulated(1, 2000, 20, 40, random_state=1).truth["shifts"].to_numpy()
    share = np.bincount((shifts != 0).sum(axis=1), minlength=4) / 2000
    # Drawn with replacement, which makes two of some of the threes.
    expected = np.array([0, 1 + 1 / 20 + 1 / 400, 19 / 20 + 3 * 19 / 400, 18 * 19 / 400]) / 3
    np.testing.assert_allclose(share, expected, atol=0.04)
    size = np.abs(shifts[shifts != 0])
    assert size.mean() == pytest.approx(5, abs=0.05) and size.std() == pytest.approx(0.5, abs=0.03)
    assert (shifts[shifts != 0] > 0).mean() == pytest.approx(0.5, abs=0.03) and (shifts != 0).any(
        axis=0
    ).all()
    dense = simulated(1, 500, 20, 40, density=0.3).truth["shifts"].to_numpy() != 0
    assert dense.mean() == pytest.approx(0.3, abs=0.02) and dense.any(axis=1).all()


def test_control_cells_are_not_shifted():
    screen = simulated(10, 20, 5, 40, n_control=400, random_state=2)
    control = screen.perturbation == "control"
    assert screen.control == "control" and control.sum() == 400 and len(screen.targets) == 20
    latents = screen.truth["latents"][control]
    assert np.abs(latents.mean(axis=0)).max() < 0.2 and np.abs(latents).max() < 4.5
    assert "control" not in screen.truth["shifts"].index


@pytest.mark.parametrize("options", [{"n_latents": 41}, {"n_latents": 0}, {"n_genes": 39}])
def test_wrong_sizes_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        simulate_perturbations(2, 3, **options)
    for name, value in (
        ("most_targets", 100),
        ("most_targets", 0),
        ("density", 2.0),
        ("density", np.nan),
    ):
        with pytest.raises(ValueError, match=name):
            simulate_perturbations(2, 3, **{name: value})
