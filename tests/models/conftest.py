"""What all tests of the models share."""

import numpy as np
import pytest

from sbnn.determinism import reproducible


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they gain on such small matrices."""
    with reproducible():
        yield


@pytest.fixture(scope="module")
def pair():
    """Correlated genes X (80, 30) and outputs Y (80, 4) of rank 2 plus noise, neither centred."""
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(80, 5))
    X = factors @ rng.normal(size=(5, 30))
    X += rng.normal(3, 2, (80, 30))
    latent = X[:, :6] @ rng.normal(size=(6, 2))
    Y = latent @ rng.normal(size=(2, 4))
    Y += rng.normal(-1, 1, (80, 4))
    return X, Y
