"""Parts of the sBNN study that are not in its notebooks.

`report` makes tables, `figures` draws figures, `page` writes a report; `own_data` is ``sbnn fit``,
and `new_cells` is ``sbnn map``; `reproduce` runs notebooks.
"""
