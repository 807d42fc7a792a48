"""From recordings of the voltage (NWB) to the twelve families of vectors that a cell's type is told from.

Needs the extra ``traces``, which brings IPFX and pynwb; nothing of them is loaded before a recording is read.
"""

from sbnn.ephys_types.traces.layout import trace_families, trace_units
from sbnn.ephys_types.traces.reading import find_recordings, read_traces
from sbnn.ephys_types.traces.simulate import SimulatedNeuron, write_recording
from sbnn.ephys_types.traces.tables import write_traces

__all__ = [
    "SimulatedNeuron",
    "find_recordings",
    "read_traces",
    "trace_families",
    "trace_units",
    "write_recording",
    "write_traces",
]
