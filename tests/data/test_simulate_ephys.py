import hashlib

import numpy as np
import pytest

from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed

# Fingerprint, sum of the values, number of the missing ones, and fingerprint of the labels, of committed records.
KNOWN = {
    "human": ("99ac8519fd70db0f", 175137.520930415, 1229, "5db9b44a5d9b"),
    "mouse": ("ac4d9d64d5cfa6c2", 207620.299178400, 395, "ae0de7411fc1"),
}


@pytest.fixture(scope="module", params=["human", "mouse"])
def species(request):
    return request.param


@pytest.fixture(scope="module")
def data(species):
    return simulate_ephys_types(300, 0, species)


def test_same_parameters_same_data(species):
    one, other = simulate_ephys_types(40, 3, species), simulate_ephys_types(np.int64(40), 3, species)
    np.testing.assert_array_equal(one.X, other.X)
    assert one.obs.equals(other.obs) and as_typed(one).sha256 == as_typed(other).sha256
    changed = simulate_ephys_types(40, 4, species)
    assert as_typed(changed).sha256 != as_typed(one).sha256 and not np.array_equal(changed.X, one.X, equal_nan=True)


def test_bits_are_those_of_the_committed_records(species, data):
    sha256, total, n_missing, labels = KNOWN[species]
    assert as_typed(data).sha256.startswith(sha256) and np.isnan(data.X).sum() == n_missing
    assert np.nansum(data.X) == pytest.approx(total, rel=1e-9)
    assert hashlib.sha256((data.obs.to_csv() + data.var.to_csv()).encode()).hexdigest().startswith(labels)
