"""New training cells between those of a rare class (SMOTE), where values may be missing."""

import numpy as np
from imblearn.over_sampling import SMOTE

MOST_NEIGHBOURS = 5


def oversample(values, missing, labels, random_state):
    """Fill up every class to the size of the largest with cells between neighbours of the class.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        Scaled features; anything where one is missing.
    missing : ndarray of bool, shape (n, p)
    labels : ndarray of int, shape (n,)
    random_state : int

    Returns
    -------
    values : ndarray, shape (m, p)
        The cells given come first and are as they were, but for 0 where a feature is missing.
    missing : ndarray of bool, shape (m, p)
        A new cell misses what is missing in the nearer of its two parents. Where only the other one misses it, the
        value is that of the nearer.
    labels : ndarray of int, shape (m,)

    Raises
    ------
    ValueError
        If a class has fewer than two cells.

    References
    ----------
    Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 16 (2002), with min(5, n_min - 1)
    neighbours, n_min the cells of the smallest class.
    """
    counts = np.bincount(labels)
    fewest = counts[counts > 0].min()
    if fewest < 2:
        raise ValueError("smote needs at least 2 training cells of each class, got 1")
    n, p = values.shape
    # Between a missing value and another there is none: the share t of the way from one parent to the other is read
    # off the indicator, and the value, which comes out as t times that of the parent that has it, divided by it.
    both = np.hstack([np.where(missing, 0, values), missing]).astype(np.float64)
    sampler = SMOTE(k_neighbors=min(MOST_NEIGHBOURS, int(fewest) - 1), random_state=random_state)
    made, labels = sampler.fit_resample(both, labels)
    share, made = made[:, p:], made[:, :p]
    missing = share > 0.5
    made = np.where(missing, 0, made / np.where(missing, 1, 1 - share))
    made[:n] = both[:, :p]
    return made, missing, labels
