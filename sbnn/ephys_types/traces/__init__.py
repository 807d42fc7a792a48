"""Twelve families of feature vectors from recordings (NWB files).

This requires IPFX and pynwb: ``pip install 'sbnn[traces]'``.
"""

from sbnn.errors import require

require("ipfx", "pynwb")

from sbnn.ephys_types.traces.reading import read_traces, write_traces  # noqa: E402
from sbnn.ephys_types.traces.vectors import trace_families, trace_units  # noqa: E402

__all__ = ["read_traces", "trace_families", "trace_units", "write_traces"]
