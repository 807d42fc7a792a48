"""P values of gene sets on noise, a planted set, and sets without random ones to compare with."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sbnn.dynamics import gene_set_test

GENES = pd.Index([f"gene_{i}" for i in range(40)])
SETS = {"small": GENES[:3], "overlapping": GENES[2:8], "large": [*GENES[5:35], "unknown"]}


def effects(rng):
    """Effects of regulators on targets, of which most are weak."""
    return pd.DataFrame(rng.standard_normal((40, 40)) ** 3, GENES, GENES)


@pytest.mark.parametrize("axis", [0, 1], ids=["targets", "regulators"])
def test_p_values_of_noise_are_uniform_whatever_the_set(rng, axis):
    found = []
    for _ in range(400):
        values = effects(rng).abs().sum(axis=axis)
        found.append(gene_set_test(values, SETS, 99, random_state=rng.integers(2**31)))
    p = pd.concat([table["p"] for table in found], axis=1)
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        error = np.sqrt(level * (1 - level) / 400)
        assert_allclose((p <= level).mean(axis=1), level, atol=4 * error)
    assert p.min(axis=None) == 1 / 100, "the set itself is one of the possible ones"


def test_a_set_of_strong_regulators_is_found_as_regulators_alone(rng):
    strong = effects(rng)
    strong.loc[SETS["overlapping"]] *= 3
    of_regulators, of_targets = strong.abs().sum(axis=1), strong.abs().sum(axis=0)
    found = gene_set_test(of_regulators, SETS, random_state=0)
    assert found.loc["overlapping", "p"] == 0.001
    assert found["n_genes"].tolist() == [3, 6, 30], "those with a value"
    assert gene_set_test(of_targets, SETS, random_state=0)["p"].min() > 0.05
    # sums of k of n values without replacement
    k = found["n_genes"]
    sums = [of_regulators.reindex(genes).sum() for genes in SETS.values()]
    sd = of_regulators.std() * np.sqrt(k * (40 - k) / 40)
    assert_allclose(found["z"], (sums - k * of_regulators.mean()) / sd, rtol=0.1, atol=0.1)
    again = gene_set_test(of_regulators[::-1], SETS, random_state=1)
    assert_allclose(again["z"], found["z"], rtol=0.1, atol=0.1)
    pd.testing.assert_frame_equal(gene_set_test(of_regulators, SETS, random_state=0), found)


def test_nothing_is_found_where_all_random_sets_are_equal(rng):
    values = effects(rng).abs().sum(axis=1)
    found = gene_set_test(values, {"none": ["unknown"], "all": GENES}, 99)
    equal = gene_set_test(0.1 + 0 * values, {"equal": GENES[:7]}, 99)
    for table in (found, equal):
        assert table["z"].isna().all()
        assert (table["p"] == 1).all()
    with pytest.raises(ValueError, match="NaN"):
        gene_set_test(values * np.nan, SETS)
