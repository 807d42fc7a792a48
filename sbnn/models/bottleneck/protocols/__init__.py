"""How a network is trained and its genes are chosen: one module per protocol.

Each has the functions ``train``, ``algorithm_version`` and ``input_limits``, to which genes are clipped, and
`PARAMETERS`, the parameters of the estimator that it alone uses. One whose genes can be chosen on some of the cells has
``choose_genes`` too, and so can be fitted to a stream.
"""

from sbnn.models.bottleneck.protocols import distilled, paper

PROTOCOLS = {"distilled": distilled, "paper": paper}

__all__ = ["PROTOCOLS"]
