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


@pytest.fixture(scope="module")
def p_values_of_noise():
    """Of 400 random series, for each set."""
    rng = np.random.default_rng(0)
    p_values = []
    for i in range(400):
        noise = pd.Series(rng.exponential(size=40), GENES)
        test = gene_set_test(noise, SETS, 99, random_state=i)
        p_values.append(test["p"])
    return np.array(p_values)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
def test_p_values_of_noise_are_uniform(p_values_of_noise, level):
    sd = np.sqrt(level * (1 - level))
    rates = (p_values_of_noise <= level).mean(axis=0)
    assert_allclose(rates, level, atol=sd / 5)  # 4 standard errors


def test_the_set_itself_is_a_possible_one(p_values_of_noise):
    assert p_values_of_noise.min() == 1 / 100


def test_genes_with_a_value_are_counted(values):
    assert gene_set_test(values, SETS, random_state=0)["n_genes"].tolist() == [3, 6, 30]


def test_z_is_of_sums_without_replacement(values):
    """Of k of 40 values."""
    values[SETS["overlapping"]] += 10
    k = np.array([3, 6, 30])
    sums = [values.reindex(genes).sum() for genes in SETS.values()]
    sd = values.std() * np.sqrt(k * (40 - k) / 40)
    z = gene_set_test(values, SETS, random_state=0)["z"]
    assert_allclose(z, (sums - k * values.mean()) / sd, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("genes", [["unknown"], GENES], ids=["none", "all"])
def test_sets_without_random_ones_are_not_tested(values, genes):
    test = gene_set_test(values, {"set": genes}, 99)
    assert test["p"].tolist() == [1]
    assert test["z"].isna().all()


def test_equal_values_have_no_large_ones():
    equal = pd.Series(0.1, GENES)
    assert gene_set_test(equal, {"equal": GENES[:7]}, 99)["p"].tolist() == [1]
