"""How networks choose their genes and are trained: the `paper` protocol and the `distilled` one.

Both modules have ``train``; `distilled` also has ``choose_genes``.
"""
