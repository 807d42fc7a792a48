import numpy as np
import pytest


@pytest.fixture(scope="module")
def pair():
    """Correlated genes X (80, 30) and outputs Y (80, 4) of rank 2 plus noise, neither centred."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 30)) + 3
    X += 2 * rng.normal(size=(80, 30))
    Y = X[:, :6] @ rng.normal(size=(6, 2)) @ rng.normal(size=(2, 4)) - 1
    Y += rng.normal(size=(80, 4))
    return X, Y
