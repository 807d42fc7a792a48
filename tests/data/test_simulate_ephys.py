import hashlib

import numpy as np
import pytest

from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed

# Fingerprint, sum of the values, number of the missing ones, and fingerprint of the labels, of
# committed records.
KNOWN = {
    "human": ("99ac8519fd70db0f", 175137.520930415, 1229, "5db9b44a5d9b"),
    "mouse": ("ac4d9d64d5cfa6c2", 207620.299178400, 395, "ae0de7411fc1"),
}


@pytest.mark.parametrize("species", KNOWN)
def test_bits_are_those_of_the_committed_records(species):
    data, (sha256, total, n_missing, labels) = (
        simulate_ephys_types(np.int64(300), 0, species),
        KNOWN[species],
    )
    assert as_typed(data).sha256.startswith(sha256) and np.isnan(data.X).sum() == n_missing
    assert np.nansum(data.X) == pytest.approx(total, rel=1e-9)
    assert (
        hashlib.sha256((data.obs.to_csv() + data.var.to_csv()).encode())
        .hexdigest()
        .startswith(labels)
    )
    other = simulate_ephys_types(300, 1, species)
    assert as_typed(other).sha256 != as_typed(data).sha256 and not np.array_equal(
        other.X, data.X, equal_nan=True
    )
