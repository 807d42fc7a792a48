"""Figures drawn from saved records or tables; most functions return a Figure."""

from sbnn.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
