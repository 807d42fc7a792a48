"""Sparse bottleneck neural networks and linear baselines for paired measurements of cells."""

import lazy_loader

__version__ = "1.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
