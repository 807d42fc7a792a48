"""A recording of a simulated neuron, and the families of sweeps in memory, for tests of reading recordings."""

from functools import cache
from types import SimpleNamespace

import numpy as np

from sbnn.ephys_types.traces import SimulatedNeuron, read_traces, trace_families
from sbnn.ephys_types.traces.extra import quiet
from sbnn.ephys_types.traces.layout import joined
from sbnn.ephys_types.traces.recording import Recording, StoredSweep
from sbnn.ephys_types.traces.simulate import record, usual_protocols, write_sweeps
from sbnn.ephys_types.traces.sweeps import sweeps_of
from sbnn.ephys_types.traces.vectors import vectors_of

RATE = 50_000
NEURON = SimulatedNeuron()
RHEOBASE = 150  # pA, of this neuron
FAMILIES = trace_families()
TRAINS = [name for name in FAMILIES.names if name.startswith("spiking_")] + ["inst_freq", "psth"]


@cache
def recorded():
    """Sweeps of a neuron and the truth of them."""
    return record(NEURON, usual_protocols(RHEOBASE))


@cache
def whole_cell():
    """Families of that recording."""
    families, notes = features_of(recorded()[0])
    assert notes == ""
    return families


def features_of(sweeps, rate=RATE):
    """Families and notes of one cell, from sweeps in memory: a file would hold the same numbers."""

    def series(values, conversion):
        return SimpleNamespace(data=values.astype(np.float32), conversion=conversion, offset=0.0)

    stored = [
        StoredSweep(number, name, rate, series(voltage, 1e-3), series(current, 1e-12))
        for number, (name, current, voltage) in enumerate(sweeps, start=1)
    ]
    with quiet():
        cut, left_out = sweeps_of(Recording(stored, "", "", []))
        vectors, missing = vectors_of(cut)
    return in_families(joined(vectors)), "; ".join(left_out + missing)


def features_of_file(folder, sweeps, **options):
    """The same by way of a file."""
    write_sweeps(folder / "sub-1_ses-2_icephys.nwb", sweeps, **options)
    features = read_traces(folder, cache=False, verbose=False)
    return in_families(features.X[0]), features.labels["notes"].iloc[0]


def in_families(values):
    return {name: values[columns] for name, columns in FAMILIES.columns.items()}


def assert_same(families, others):
    for name, values in families.items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)
