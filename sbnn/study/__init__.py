"""Parts of the sBNN study that are not in its notebooks.

`report` makes tables and sentences; `published` contains published numbers; `gene_priors` and
`known_genes` contain experiments; `own_data` implements ``sbnn fit``, and `new_cells` implements
``sbnn map``; `notebooks` runs a single notebook, and `reproduce` runs all of them.
"""
