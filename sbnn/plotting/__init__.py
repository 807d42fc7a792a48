"""Figures drawn from saved records or tables; most functions return a Figure."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
