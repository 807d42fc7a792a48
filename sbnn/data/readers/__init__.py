"""Readers: one module per kind of file (`tables`, `screens`, `counts`) or publication (`scala`, `gouwens`, ...)."""
