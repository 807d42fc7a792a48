"""Bounds against independent mathematics, runs that resume, and trust on simulated data."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from made_up import SelectingRidge
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as equal
from numpy.testing import assert_equal

from sbnn import cross_validate, stability_selection
from sbnn.data.preprocessing import preselect_genes
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.stability import (
    concave_tail,
    expected_false,
    gene_counts,
    genes_table,
    kept_genes_table,
    selection_table,
    selection_threshold,
)
from sbnn.results import Record


@pytest.mark.parametrize(("mean", "n", "r"), [(0.02, 20, -0.25), (0.2, 10, -1.0)])
def test_no_concave_distribution_has_a_larger_tail(mean, n, r, rng):
    """f ** r is convex up to the end of the support."""
    bound = concave_tail(mean, n, r)
    for _ in range(3000):
        end = rng.integers(1, n + 1)
        slopes = np.cumsum(rng.exponential(size=end) ** rng.uniform(0.2, 6))
        rise = np.cumsum(10 ** rng.uniform(-3, 2) * slopes)
        f = np.zeros(n + 1)
        f[: end + 1] = np.append(1, 1 + rise) ** (1 / r)
        f /= f.sum()
        if f @ np.arange(n + 1) <= mean * n:
            tail = np.cumsum(f[::-1])[::-1]
            assert (tail <= bound + 1e-9).all()


def test_the_bound_is_the_smaller_of_two_tails():
    """By pairs in which both halves keep the gene, or by single halves."""
    by_pairs = concave_tail(0.05**2, 50, -0.5)
    by_halves = concave_tail(0.05, 100, -0.25)
    found = expected_false(np.arange(101) / 100, 1000, 50, 50)
    both = np.maximum(np.arange(101) - 50, 0)
    close(found, 1000 * np.minimum(by_pairs[both], by_halves))
    # numerical optimisation (SLSQP) over all distributions of this kind: within 0.1 %
    assert concave_tail(0.05, 8, -0.5)[6] == pytest.approx(0.012842, rel=1e-3)


def test_pairs_are_complementary_and_have_whole_groups():
    assert_equal(complementary_pairs(11, 3), complementary_pairs(11, 5)[:6])
    assert not np.array_equal(complementary_pairs(11, 3), complementary_pairs(11, 3, seed=1))
    groups = np.array(list("abcdeabcdeabcdaab"))
    folds = complementary_pairs(17, 50, groups=groups)
    assert_equal(folds[1::2], [(other, one) for one, other in folds[::2]])
    kept = []
    for one, other in folds:
        kept.append(frozenset(groups[one]))
        equal(one, np.flatnonzero(np.isin(groups, list(kept[-1]))))
        assert not kept[-1] & set(groups[other])
    # one of five is left out, three ways to halve the others
    assert len(kept) == 30
    assert set(kept) == set(map(frozenset, combinations("abcde", 2)))


@pytest.fixture(scope="module")
def halves(data):
    return stability_selection(SelectingRidge(5), data, 10, verbose=False)


def test_trusted_genes_are_true_and_no_noise_is_trusted(data, halves):
    table = selection_table(halves)
    trusted = table.index[table.trusted]
    assert len(trusted) >= 3
    assert trusted.isin(data.truth["genes"]).all()
    donors = np.arange(data.n_cells) // 5
    how = {"groups": donors, "seed": 1, "verbose": False}
    noise = stability_selection(SelectingRidge(5), (data.X[::-1], data.Y), 10, **how)
    assert selection_table(noise).trusted.sum() <= 1
    assert_equal(noise.folds, complementary_pairs(120, 10, 1, donors.astype(str)))


def test_genes_are_listed_by_frequency_with_their_bounds(data, halves):
    everywhere = [(range(data.n_cells), [])]
    whole = cross_validate(SelectingRidge(5), data, everywhere, scaling="all", verbose=False)
    table = selection_table(halves, whole)
    equal(table["count"][data.gene_names], whole.selected[0, 0])
    equal(table.frequency[data.gene_names], halves.selected[:, 0].mean(0))
    assert table.frequency.is_monotonic_decreasing
    close(table.expected_false, expected_false(table.frequency, 40, 5, 10))
    equal(table.trusted, table.frequency >= selection_threshold(halves) - 1e-9)
    equal(table.trusted, table.expected_false <= 1)
    genes = table.index[[-1, 0]]
    assert kept_genes_table(halves, genes).trust.to_list() == ["unstable", "trusted"]
    few = replace(halves, folds=halves.folds[:2])
    assert set(kept_genes_table(few, genes).trust) == {"unknown"}


def test_every_half_chooses_its_own_genes(data):
    record = stability_selection(SelectingRidge(), data, 4, preselect=12, verbose=False)
    assert "test_predictions" not in record.values
    equal(record.preselected[1, 0], preselect_genes(data, 12, record.folds[1][0]))
    table = selection_table(record)
    close(table.expected_false, expected_false(table.frequency, 12, 2, 4))


def test_records_of_other_experiments_are_refused(halves):
    with pytest.raises(ValueError, match="record: expected one grid point, got 2"):
        gene_counts(replace(halves, params=[{"n_genes": 2}, {"n_genes": 3}]))
    with pytest.raises(ValueError, match="record: expected complementary pairs"):
        selection_table(replace(halves, folds=halves.folds[1:3]))


def test_the_table_of_numbers_of_genes():
    r2 = np.array([[0.1, 0.5, 0.6], [0.2, 0.4, 0.7], [0.3, 0.6, 0.62]])
    values = {"test_r2": r2, "n_selected": np.outer([1, 1, 4], [5, 10, 25])}
    params = [{"n_genes": number} for number in (5, 10, 25)]
    folds = [(np.arange(2), np.arange(2))] * 3
    table = genes_table(Record("", "made up", "s", params, folds=folds, values=values))
    # 0.14 behind, with a standard error of 0.139 * sqrt(1 / 3 + 1)
    assert table.suffices.to_dict() == {5: False, 10: True, 25: False}
    expected = [r2.mean(0), r2.std(0, ddof=1), 0.64 - r2.mean(0), [10, 20, 50]]
    close(table[["test_r2", "sd", "behind", "genes"]].T, expected)
