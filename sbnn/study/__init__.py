"""The study of sparse bottleneck networks.

`experiments`, `gene_priors` (what prior knowledge does to the chosen genes), `published` numbers, `report` (tables),
`gallery` (figures), `maps`, `own_data`, `notebooks` (running one) and `reproduce` (running all).
"""
