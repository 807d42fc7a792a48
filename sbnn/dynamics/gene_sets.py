"""Permutation test of gene sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, check_random_state


def gene_set_test(
    values: pd.Series,
    gene_sets: Mapping[str, Sequence[str]],
    n_permutations: int = 999,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Test whether values are larger for the genes in a set than for as many random genes.

    Parameters
    ----------
    values : Series
        A value for each gene, by name, such as ``model.edge_scores_.abs().sum(axis=1)``.
    gene_sets : dict of str to list of str
        Sets by name, such as pathways; genes without a value are ignored.
    n_permutations : int
        Number of random sets.
    random_state : int, RandomState or None

    Returns
    -------
    DataFrame
        A row for each set: ``n_genes`` with a value; ``z``, the sum of their values minus the mean
        over random sets, divided by its SD; ``p``, one-sided, not corrected for the number of sets.
        If a set contains no gene or all genes, z is NaN and p is 1.

    Raises
    ------
    ValueError
        A value is not finite.

    Notes
    -----
    Genes of a pathway often have similar expression; random genes do not.

    Examples
    --------
    >>> import pandas as pd
    >>> from sbnn.dynamics import gene_set_test
    >>> values = pd.Series(range(10), list("abcdefghij"))
    >>> gene_set_test(values, {"last": ["h", "i", "j"]}, random_state=0).round(2)
          n_genes     z     p
    last        3  2.33  0.01
    """
    assert_all_finite(values)
    random = check_random_state(random_state)
    members = pd.DataFrame({name: values.index.isin(genes) for name, genes in gene_sets.items()})
    permuted = [values, *(random.permutation(values) for _ in range(n_permutations))]
    sums = np.array(permuted) @ members
    beyond = sums - sums.loc[0]
    rounding = 1e-9 * abs(values).sum()  # sums of the same numbers in another order differ
    of_random = beyond[1:]
    sd = of_random.std()
    z = -of_random.mean() / sd.where(sd > rounding)
    p = (beyond >= -rounding).mean()
    return pd.DataFrame({"n_genes": members.sum(), "z": z, "p": p})
