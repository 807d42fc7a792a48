"""Training loop, losses and oversampling of the networks."""

import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from sbnn.errors import require

ARCFACE_SCALE = 30.0
ARCFACE_MARGIN = 0.35  # radians
FOCAL_GAMMA = 2.0
EFFECTIVE_BETA = 0.999
MOST_NEIGHBOURS = 5


def descend(network, losses, learning_rate, weight_decay, n_steps=None, clip=None):
    """Take an AdamW step for each loss that the generator `losses` yields.

    The learning rate is constant or, with `n_steps`, rises and falls to zero within these steps.
    The norm of the gradient is clipped to `clip`.
    """
    optimizer = torch.optim.AdamW(
        network.parameters(), learning_rate, weight_decay=weight_decay, fused=True
    )
    schedule = None
    if n_steps is not None:
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, max(n_steps, 2))
    network.train()
    for loss in tqdm(losses, "training", n_steps, leave=False, disable=None):
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        if schedule is not None:
            schedule.step()
    network.eval()


def balanced_weights(counts):
    """Class weights n / (k n_c) for n_c of n cells in each of k classes."""
    return counts.sum() / (len(counts) * counts)


def effective_number_weights(counts):
    """Class weights with a mean of 1, inverse to effective numbers of cells (Cui et al. 2019).

    The effective number of n_c cells is (1 - beta^n_c) / (1 - beta).
    """
    beta = torch.tensor(EFFECTIVE_BETA, dtype=torch.float64)
    weights = (1 - beta) / (1 - beta**counts)
    return (weights / weights.mean()).float()


def focal(logits, labels, weights):
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

    The margin is added to the angle. Beyond pi, where the cosine would rise again, it is replaced
    by a line. `cosines` has shape (n, n_classes).
    """
    own = cosines.gather(1, labels[:, None])
    sine = (1 - own.square()).clamp_min(1e-9).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    beyond = own <= math.cos(math.pi - margin)
    moved = torch.where(beyond, own - margin * math.sin(margin), moved)
    return ARCFACE_SCALE * cosines.scatter(1, labels[:, None], moved)


def validation_part(labels, share, groups, keep, random_state):
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
        raise ValueError(f"validation_share={share} leaves none of the {len(labels)} cells")
    return chosen[groups]


def oversample(values, labels, random_state):
    """Oversample every class to the size of the largest one by SMOTE (Chawla et al. 2002).

    New cells lie between a cell and one of its (up to five) neighbours, and follow the given ones.
    Of `values`, of shape (n, p), they lack what the nearer of their parents lacks, and take its
    value if only the other one lacks it.
    """
    require("imblearn")
    from imblearn.over_sampling import SMOTE  # slow to import

    missing = np.isnan(values)
    # Values are interpolated with 0 where missing, and so is an indicator of missing values. If one
    # parent has a value, the result is a fraction of it, which the division below restores.
    both = np.hstack([np.where(missing, 0, values), missing])
    fewest = int(np.bincount(labels).min())
    sampler = SMOTE(k_neighbors=min(MOST_NEIGHBOURS, fewest - 1), random_state=random_state)
    both, labels = sampler.fit_resample(both.astype(np.float64), labels)
    made, share_missing = np.hsplit(both, 2)
    lost = share_missing > 0.5
    made = made / np.where(lost, 1, 1 - share_missing)
    made[lost] = np.nan
    made[: len(values)] = values
    return made, labels
