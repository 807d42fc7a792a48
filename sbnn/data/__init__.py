"""Data sets as AnnData objects, their readers, checks and preprocessing."""

import lazy_loader

# `sbnn` has this module as one of its names, and takes it as an attribute of this package
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["preprocessing"])
