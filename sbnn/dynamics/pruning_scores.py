"""How much each weight of PHOENIX matters, by its size and by prior knowledge: what is least is pruned first.

Hossain et al., "Pruning neural network models for gene regulatory dynamics using data and domain knowledge", NeurIPS
2024, arXiv 2403.04805, section 3. Everything in float64: S S' is ill-conditioned.
"""

import torch

from sbnn.models.pruning_scores import shared


def size_of_sums(weights):
    """|W|, of the input weights of sums and, times the decay, of output weights."""
    return shared(weights.double().abs())


def size_of_products(weights):
    """exp(W) of the input weights of products: the most negative ones go first."""
    return shared(weights.double().exp())


def size_of_outputs(weights, decay):
    """|A| relu(m), (genes, hidden)."""
    return shared(weights.double().abs() * decay.double()[:, None])


def partners(prior):
    """Which regulators share targets, (genes, genes): ``C = T T' / sum`` of ``T = |prior|``."""
    edges = prior.double().abs()
    return shared(edges @ edges.T)


def prior_of_inputs(scores, together):
    """``|(S S')^-1 S C|``: how input weights would map partners to the same units.

    Parameters
    ----------
    scores : Tensor, shape (hidden, genes)
        S: those of the last pruning.
    together : Tensor, shape (genes, genes)
        C, such as `partners` gives.

    Returns
    -------
    Tensor of float64, shape (hidden, genes)
    """
    return _solved(scores @ scores.T, scores @ together).abs()


def prior_of_outputs(scores, prior):
    """``|(S T)' (S S')^-1|``: the output weights that, after these input weights, come nearest to the prior.

    Parameters
    ----------
    scores : Tensor, shape (hidden, genes)
        S of the input weights of the same units, as just updated.
    prior : Tensor, shape (genes, genes)
        [regulator, target].

    Returns
    -------
    Tensor of float64, shape (genes, hidden)
    """
    return _solved(scores @ scores.T, scores @ prior.double().abs()).T.abs()


def _solved(products, right):
    """``products^-1 right``; the shortest least-squares solution where a prior of few genes leaves no inverse."""
    solution, failed = torch.linalg.solve_ex(products, right)
    return torch.linalg.pinv(products, hermitian=True) @ right if failed else solution
