"""Losses, validation cells and oversampling of the published network."""

import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from sbnn.errors import require

ARCFACE_SCALE = 30.0
ARCFACE_MARGIN = 0.35  # radians
FOCAL_GAMMA = 2.0


def focal_loss(logits, labels, weights):
    """Focal loss (Lin et al. 2017): cross-entropy times (1 - p)^2, p being that of the true class.

    It is weighted by class as in `torch.nn.functional.cross_entropy`.
    """
    log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    others = -torch.expm1(log_p)  # 1 - p
    losses = -(others**FOCAL_GAMMA) * log_p
    weights = weights[labels]
    return (weights * losses).sum() / weights.sum()


def add_angular_margin(cosines, labels, margin):
    """Logits of ArcFace (Deng et al. 2019): scaled cosines, of true classes with a margin.

    The margin is added to the angle. Beyond pi, where the cosine would rise again, a line replaces
    it.
    """
    own = cosines.gather(1, labels[:, None])
    sine = (1 - own.square()).clamp_min(1e-9).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    beyond = own <= math.cos(math.pi - margin)
    moved = torch.where(beyond, own - margin * math.sin(margin), moved)
    return ARCFACE_SCALE * cosines.scatter(1, labels[:, None], moved)


def select_validation_cells(labels, share, groups, keep, random_state):
    """Mask of validation cells: a `share` of each class, but not its last `keep` cells.

    Groups are visited in random order and taken as a whole if they bring the shares of the classes
    closer to `share`.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    content = pd.crosstab(groups, labels).to_numpy()  # cells by group and class
    sizes = content.sum(axis=0)
    wanted = share * sizes
    taken = np.zeros(len(sizes))
    chosen = np.zeros(len(content), dtype=bool)
    for group in random_state.permutation(len(content)):
        with_it = taken + content[group]
        closer = np.abs(taken - wanted) - np.abs(with_it - wanted)
        enough_left = (with_it <= sizes - keep).all()
        if enough_left and (closer / sizes).sum() > 0:
            taken = with_it
            chosen[group] = True
    if not chosen.any():
        raise ValueError(
            f"validation_share={share} leaves none of the {len(labels)} cells; each type needs "
            f"{keep} to train on"
        )
    return chosen[groups]


def oversample(cells, labels, random_state):
    """Oversample every class to the size of the largest one by SMOTE (Chawla et al. 2002).

    New cells lie between a cell and one of its (up to five) neighbours, and follow the given ones.
    """
    require("imblearn")
    from imblearn.over_sampling import SMOTE  # slow to import

    fewest = np.bincount(labels).min()
    sampler = SMOTE(k_neighbors=min(5, fewest - 1), random_state=random_state)
    return sampler.fit_resample(cells, labels)
