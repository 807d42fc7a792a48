"""The sBNN study beside its notebooks.

`report` (tables and sentences), `curves` and `prior_figure` (figures), `published` numbers, `gene_priors`,
`known_genes`, `own_data` (``sbnn fit``), `new_cells` (``sbnn map``), `notebooks` (running one) and `reproduce` (all).
"""
