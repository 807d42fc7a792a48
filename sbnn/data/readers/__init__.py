"""Readers: one module per kind of file (`tables`, `screens`) or publication (`scala`, ...)."""
