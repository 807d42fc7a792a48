"""How a network is trained and its genes are chosen: one module per protocol, each with a function ``train``."""

from sbnn.protocols import distilled, paper

PROTOCOLS = {"paper": paper.train, "distilled": distilled.train}

__all__ = ["PROTOCOLS"]
