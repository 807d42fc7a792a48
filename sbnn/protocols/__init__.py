"""How a network is trained and its genes are chosen: one module per protocol, each with a function ``train``."""

from sbnn.protocols import paper

PROTOCOLS = {"paper": paper.train}

__all__ = ["PROTOCOLS"]
