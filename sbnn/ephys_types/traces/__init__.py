"""From voltage recordings (NWB) to the twelve families of vectors from which types are predicted.

Needs the extra ``traces``, which brings IPFX and pynwb: pip install 'sbnn[traces]'.
"""

from sbnn.ephys_types.traces.reading import read_traces, write_traces
from sbnn.ephys_types.traces.vectors import trace_families, trace_units

__all__ = ["read_traces", "trace_families", "trace_units", "write_traces"]
