"""The study of sparse bottleneck networks.

`experiments`, `published` numbers, `report` (tables), `gallery` (figures), `tsne_maps`, `notebooks` (running one) and
`reproduce` (running all).
"""
