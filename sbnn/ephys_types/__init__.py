"""Predict transcriptomic types from electrophysiology, within and across species."""

from sbnn.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
