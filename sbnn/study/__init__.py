"""The parts of the sBNN study outside its notebooks.

`report` (tables and sentences), `published` (numbers), `gene_priors`, `own_data` (``sbnn fit``), `new_cells`
(``sbnn map``), `notebooks` (running one) and `reproduce` (running all).
"""
