"""Sparse bottleneck neural networks and linear baselines for paired measurements of cells."""

from sbnn.lazy import public_names

__version__ = "1.1.0"

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
