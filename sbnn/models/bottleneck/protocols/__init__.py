"""Training of the network and choice of its genes: one module per protocol.

Each has ``train``, ``algorithm_version``, ``input_limits`` to which genes are clipped, and `PARAMETERS`, those of the
estimator that only this protocol uses. One that can choose genes on some of the cells, for streams, has
``choose_genes`` too.
"""

from sbnn.models.bottleneck.protocols import distilled, paper

PROTOCOLS = {"distilled": distilled, "paper": paper}
