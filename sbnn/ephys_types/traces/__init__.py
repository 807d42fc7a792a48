"""Twelve families of feature vectors, for the prediction of types, from recordings (NWB files).

This requires IPFX and pynwb, which the extra ``traces`` installs: ``pip install 'sbnn[traces]'``.
"""

from sbnn.ephys_types.traces.reading import read_traces, write_traces
from sbnn.ephys_types.traces.vectors import trace_families, trace_units

__all__ = ["read_traces", "trace_families", "trace_units", "write_traces"]
