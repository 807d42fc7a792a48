"""Data sets as AnnData objects with names and provenance, their checks and preprocessing.

`datasets` lists the named data sets; `paired`, `typed_cells`, `screens` and `trajectories` build
and convert the four kinds of data.
"""
