"""Parts of the sBNN study that are not in its notebooks.

`report` makes tables, `page` a report; `gene_priors` and `known_genes` are experiments; `own_data`
is ``sbnn fit``, and `new_cells` is ``sbnn map``; `reproduce` runs notebooks.
"""
