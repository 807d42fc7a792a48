"""Compute twelve families of feature vectors from voltage recordings (NWB files), for the
prediction of cell types.

This requires IPFX and pynwb, which the extra ``traces`` installs: ``pip install 'sbnn[traces]'``.
"""

from sbnn.ephys_types.traces.reading import read_traces, write_traces
from sbnn.ephys_types.traces.vectors import trace_families, trace_units

__all__ = ["read_traces", "trace_families", "trace_units", "write_traces"]
