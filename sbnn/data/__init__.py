"""Data as AnnData with names and provenance, checked once on input, and their preprocessing.

`datasets` (the named ones), `registry` (their files) and `readers`; `paired`, `typed_cells`, `screens` and
`trajectories` (builders and adapters of the four kinds); `streams`; simulators; `preprocessing` and `preselection`.
"""
