"""Simulated cells."""

import pytest

from sbnn.ephys_types.data import as_typed
from sbnn.ephys_types.simulate import simulate_ephys_types


@pytest.fixture(scope="session")
def cells():
    """200 human cells, as arrays."""
    return as_typed(simulate_ephys_types(200, random_state=0))
