"""Data sets as AnnData objects with names and provenance, their checks and preprocessing.

`datasets` lists the named data sets, `registry` finds or downloads their files, and `readers` read
them. `paired`, `typed_cells`, `screens` and `trajectories` build and convert the four kinds of
data; `diagnose` lists what is probably a mistake in paired cells. `streams` reads expression that
does not fit into memory, `preprocessing` and `preselection` prepare expression for the models, and
`simulate`, `simulate_ephys`, `simulate_perturbations` and `gene_network` simulate data.
"""
