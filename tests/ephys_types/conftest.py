"""Simulated cells."""

import pytest

from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed


@pytest.fixture(scope="session")
def cells():
    """200 human cells, as arrays."""
    return as_typed(simulate_ephys_types(200, random_state=0))
