"""How networks choose their genes and are trained: the `paper` protocol and the `distilled` one.

Each module has ``train``, ``algorithm_version`` and ``input_limits`` (limits to which genes are
clipped); `distilled` also has ``choose_genes``.
"""
