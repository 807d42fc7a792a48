"""Training of the network and choice of its genes: one module per protocol.

Each has ``train``, ``algorithm_version``, ``input_limits`` (to which genes are clipped) and `PARAMETERS` (those of the
estimator that only this protocol uses). A protocol that can choose genes on a subset of the cells, for streams, also
has ``choose_genes``.
"""

from sbnn.models.bottleneck.protocols import distilled, paper

PROTOCOLS = {"distilled": distilled, "paper": paper}
