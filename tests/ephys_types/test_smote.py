import numpy as np
import pytest

from sbnn.ephys_types.smote import oversample


@pytest.fixture
def rare(rng):
    """30 cells of one class and 6 of another, which lie apart; some values of both are missing."""
    labels = np.repeat([0, 1], [30, 6])
    values = rng.normal(size=(36, 4)) + 10 * labels[:, None]
    missing = rng.random((36, 4)) < 0.15
    return values, missing, labels


def test_classes_are_filled_up_and_cells_stay(rare):
    values, missing, labels = rare
    made, gone, new = oversample(values, missing, labels, 0)
    assert np.bincount(new).tolist() == [30, 30]
    np.testing.assert_array_equal(made[:36], np.where(missing, 0, values))
    np.testing.assert_array_equal(gone[:36], missing)
    np.testing.assert_array_equal(new[:36], labels)


def test_new_cells_lie_between_two_of_their_class(rng):
    labels = np.repeat([0, 1], [20, 4])
    values = rng.normal(size=(24, 3)) + 10 * labels[:, None]
    made, gone, new = oversample(values, np.zeros((24, 3), bool), labels, 0)
    assert not gone.any() and (new[24:] == 1).all()
    rare = values[20:]
    for cell in made[24:]:
        # Distances to the two parents add up to the distance between them.
        gaps = [
            np.linalg.norm(cell - a) + np.linalg.norm(cell - b) - np.linalg.norm(a - b)
            for i, a in enumerate(rare)
            for b in rare[i + 1 :]
        ]
        assert min(gaps) < 1e-9


def test_missing_values_are_neither_mixed_in_nor_read(rare):
    values, missing, labels = rare
    made, gone, _ = oversample(values, missing, labels, 0)
    new = made[36:][~gone[36:]]
    own = values[30:][~missing[30:]]
    assert own.min() <= new.min() and new.max() <= own.max()  # zeros in place of the missing would pull them down
    assert 0 < gone[36:].mean() < 0.5
    other = oversample(np.where(missing, 1e6, values), missing, labels, 0)
    np.testing.assert_array_equal(made, other[0])


def test_same_seed_same_cells(rare):
    np.testing.assert_array_equal(oversample(*rare, 3)[0], oversample(*rare, 3)[0])
    assert not np.array_equal(oversample(*rare, 3)[0], oversample(*rare, 4)[0])


def test_smallest_class(rng):
    values, missing = rng.normal(size=(9, 2)), np.zeros((9, 2), bool)
    assert np.bincount(oversample(values, missing, np.repeat([0, 1], [7, 2]), 0)[2]).tolist() == [7, 7]
    with pytest.raises(ValueError, match="at least 2 training cells of each class, got 1"):
        oversample(values, missing, np.repeat([0, 1], [8, 1]), 0)
