"""Readers of published data: one module per publication or kind of data."""
