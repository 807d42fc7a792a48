"""Protocols that choose the genes and train the network, with one module per protocol.

Each module has ``train``, ``algorithm_version``, ``input_limits`` (limits to which genes are
clipped) and `PARAMETERS` (parameters of the estimator that only this protocol uses). A protocol
that can choose genes on a subset of the cells, as required for streams, also has ``choose_genes``.
"""

from sbnn.models.bottleneck.protocols import distilled, paper

PROTOCOLS = {"distilled": distilled, "paper": paper}
