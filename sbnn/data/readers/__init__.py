"""Readers: one module per file format (`tables`, `anndata`, `counts`) or publication (`scala`, `gouwens`, ...)."""
