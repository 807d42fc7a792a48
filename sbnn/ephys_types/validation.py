"""A part of the training cells set aside to stop the training."""

import numpy as np


def validation_part(labels, share, groups=None, keep=1, random_state=None):
    """Choose cells for validation, with about the same share of each class.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    share : float
        Of the cells of each class.
    groups : array-like, shape (n,), optional
        Cells of a group, such as a donor, stay together; by default each cell is a group of its own.
    keep : int
        Cells of each class that at least stay for training.
    random_state : RandomState

    Returns
    -------
    ndarray of bool, shape (n,)
        Groups are taken in random order, each if it brings the shares nearer to `share`, summed over the classes.

    Raises
    ------
    ValueError
        If `groups` are not as many as the labels, or no group can be taken.
    """
    n = len(labels)
    groups = np.arange(n) if groups is None else np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups: expected one for each of the {n} cells, got shape {groups.shape}")
    _, groups = np.unique(groups, return_inverse=True)
    content = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(content, (groups, labels), 1)
    sizes = content.sum(axis=0)
    taken, chosen = np.zeros(len(sizes)), np.zeros(len(content), dtype=bool)
    for group in random_state.permutation(len(content)):
        with_it = taken + content[group]
        gain = (np.abs(taken - share * sizes) - np.abs(with_it - share * sizes)) / sizes
        if gain.sum() > 0 and (with_it <= sizes - keep).all():
            taken, chosen[group] = with_it, True
    if not chosen.any():
        raise ValueError(f"validation_share={share} leaves no cell for validation out of {n} in {len(content)} groups")
    return chosen[groups]
