"""Losses for classes of unequal size, class weights, and the prior that predictions are made for.

All take logits of shape (n, k) and labels of shape (n,), and weigh cells as scikit-learn does: the mean of the weighted
losses over the sum of the weights, so that a weight that all cells share changes nothing.
"""

import math

import torch
import torch.nn.functional as F

ARCFACE_SCALE = 30.0
ARCFACE_MARGIN = 0.35  # radians
FOCAL_GAMMA = 2.0
EFFECTIVE_BETA = 0.999


def balanced_weights(counts):
    """Weights inverse to the size of the classes: n / (k n_c), of which the mean over the cells is 1.

    Parameters
    ----------
    counts : tensor, shape (k,)
        Cells of each class, at least one.

    Returns
    -------
    tensor of float, shape (k,)
    """
    return counts.sum() / (len(counts) * counts)


def effective_number_weights(counts, beta=EFFECTIVE_BETA):
    """Weights inverse to the effective number of cells of the classes, (1 - beta^n_c) / (1 - beta); their mean is 1.

    Parameters
    ----------
    counts : tensor, shape (k,)
        Cells of each class, at least one.
    beta : float, in [0, 1)
        0 weighs all classes alike; towards 1 the weights become inverse to the counts.

    Returns
    -------
    tensor of float, shape (k,)

    References
    ----------
    Cui et al., "Class-balanced loss based on effective number of samples", CVPR 2019.
    """
    weights = (1 - beta) / (1 - torch.as_tensor(beta, dtype=torch.float64) ** counts)
    return (weights / weights.mean()).float()


def cross_entropy(logits, labels, weights=None):
    """Weighted cross-entropy.

    Parameters
    ----------
    logits : tensor, shape (n, k)
    labels : tensor of int, shape (n,)
    weights : tensor, shape (k,), optional

    Returns
    -------
    tensor, shape ()
    """
    return F.cross_entropy(logits, labels, weights)


def focal(logits, labels, weights=None, gamma=FOCAL_GAMMA):
    """Cross-entropy in which a cell counts with (1 - p)^gamma, p the probability given to its class.

    Parameters
    ----------
    logits : tensor, shape (n, k)
    labels : tensor of int, shape (n,)
    weights : tensor, shape (k,), optional
    gamma : float
        0 gives the cross-entropy.

    Returns
    -------
    tensor, shape ()

    References
    ----------
    Lin et al., "Focal loss for dense object detection", ICCV 2017.
    """
    log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    losses = -((-torch.expm1(log_p)) ** gamma) * log_p
    if weights is None:
        return losses.mean()
    weights = weights[labels]
    return (weights * losses).sum() / weights.sum()


def add_angular_margin(cosines, labels, scale=ARCFACE_SCALE, margin=ARCFACE_MARGIN):
    """Logits of ArcFace: the angle to the own class is made larger by a margin, for training only.

    Parameters
    ----------
    cosines : tensor, shape (n, k)
        Of the angles between cells and classes.
    labels : tensor of int, shape (n,)
    scale, margin : float
        Factor of all cosines; angle in radians.

    Returns
    -------
    tensor, shape (n, k)
        scale * cos(angle + margin) for the own class, scale * cosine for the others. Where the sum would pass pi, and
        the cosine would rise again, it goes on falling linearly.

    References
    ----------
    Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019.
    """
    own = cosines.gather(1, labels[:, None])
    sine = (1 - own.square()).clamp_min(1e-9).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    beyond = own <= math.cos(math.pi - margin)
    moved = torch.where(beyond, own - margin * math.sin(margin), moved)
    return scale * cosines.scatter(1, labels[:, None], moved)


def shift_prior(log_p, trained, wanted):
    """Move log-probabilities from the class prior a model was trained for to the one it is used under.

    By Bayes' rule p(class | cell) is the prior times the likelihood; so the log of the prior trained for is taken away,
    and that of the one wanted is added: a model trained on balanced classes is moved towards large classes by the
    frequencies of the classes, never away from them.

    Parameters
    ----------
    log_p : tensor, shape (n, k)
        Log-probabilities, or logits, up to a constant of each cell.
    trained, wanted : tensor, shape (k,)
        Positive; need not sum to 1.

    Returns
    -------
    tensor, shape (n, k)
        Log-probabilities up to a constant of each cell.
    """
    return log_p + (wanted / trained).log()
