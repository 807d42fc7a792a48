"""How networks choose their genes and are trained: the `paper` protocol and the `distilled` one.

Both modules have ``train`` and ``algorithm_version``; `distilled` also has ``choose_genes`` and
``input_limits``, the limits to which genes are clipped.
"""
