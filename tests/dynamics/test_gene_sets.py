"""P values of gene sets on noise, a planted set, and sets without random ones to compare with."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sbnn.dynamics import gene_set_test

GENES = pd.Index([f"gene_{i}" for i in range(40)])
SETS = {"small": GENES[:3], "overlapping": GENES[2:8], "large": [*GENES[5:35], "unknown"]}


@pytest.fixture
def values(rng):
    """Values of all genes."""
    return pd.Series(rng.exponential(size=40), GENES)


def test_p_values_of_noise_are_uniform_whatever_the_set(rng, values):
    draws = [pd.Series(rng.permutation(values), GENES) for _ in range(400)]
    p = np.array(
        [gene_set_test(draw, SETS, 99, random_state=i)["p"] for i, draw in enumerate(draws)]
    )
    for level in (0.05, 0.5, 0.95):
        sd = np.sqrt(level * (1 - level))
        assert_allclose((p <= level).mean(axis=0), level, atol=sd / 5)  # 4 standard errors
    assert p.min() == 1 / 100, "the set itself is one of the possible ones"


def test_a_set_of_large_values_is_found(values):
    values[SETS["overlapping"]] += 10
    found = gene_set_test(values, SETS, random_state=0)
    assert found.loc["overlapping", "p"] == 0.001
    k = found["n_genes"]
    assert k.tolist() == [3, 6, 30], "those with a value"
    # sums of k of n values without replacement
    sums = [values.reindex(genes).sum() for genes in SETS.values()]
    sd = values.std() * np.sqrt(k * (40 - k) / 40)
    assert_allclose(found["z"], (sums - k * values.mean()) / sd, rtol=0.1, atol=0.1)


def test_nothing_is_found_where_all_random_sets_are_equal(values):
    found = gene_set_test(values, {"none": ["unknown"], "all": GENES}, 99)
    equal = gene_set_test(0.1 + 0 * values, {"equal": GENES[:7]}, 99)
    assert [*found["p"], *equal["p"]] == [1, 1, 1]
    assert found["z"].isna().all()
