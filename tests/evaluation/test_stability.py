"""Bounds against independent mathematics, runs that resume, and trust on simulated data."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from material.cells import expression_frame, outputs_frame
from material.estimators import SelectingRidge
from material.records import made_up
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as equal
from numpy.testing import assert_equal
from pandas.testing import assert_frame_equal
from pytest import approx

from sbnn import SparseBottleneckRegressor, paired, paper_folds, stability_selection
from sbnn.data.paired import as_paired
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.stability import (
    concave_tail,
    expected_false,
    genes_table,
    kept_genes_table,
    selection_table,
    selection_threshold,
)
from sbnn.metrics import cells_behind
from sbnn.results import load, save


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


def test_a_tail_is_that_of_numerical_optimisation():
    """By SLSQP over all distributions of this kind, within 0.1 %."""
    assert concave_tail(0.05, 8, -0.5)[6] == pytest.approx(0.012842, rel=1e-3)


def test_the_bound_is_the_smaller_of_two_tails():
    """By pairs in which both halves keep the gene, or by single halves."""
    by_pairs = concave_tail(0.05**2, 50, -0.5)
    by_halves = concave_tail(0.05, 100, -0.25)
    n_both = np.maximum(np.arange(101) - 50, 0)
    bounds = expected_false(np.arange(101) / 100, n_genes=1000, n_selected=50, n_pairs=50)
    close(bounds, 1000 * np.minimum(by_pairs[n_both], by_halves))


def test_more_pairs_begin_with_the_same_ones():
    assert_equal(complementary_pairs(11, 3), complementary_pairs(11, 5)[:6])


GROUPS = np.array(list("abcdeabcdeabcdaab"))


@pytest.fixture(scope="module")
def grouped_pairs():
    return complementary_pairs(17, 50, groups=GROUPS)


def test_pairs_are_complementary(grouped_pairs):
    reverse = [(other, one) for one, other in grouped_pairs[::2]]
    assert_equal(grouped_pairs[1::2], reverse)


def test_halves_have_whole_groups(grouped_pairs):
    for one, other in grouped_pairs:
        in_one = set(GROUPS[one])
        equal(one, np.flatnonzero(np.isin(GROUPS, list(in_one))))
        assert not in_one & set(GROUPS[other])


def test_every_way_to_halve_groups_is_taken_once(grouped_pairs):
    """One of five is left out, and there are three ways to halve the others."""
    halves = [frozenset(GROUPS[one]) for one, _ in grouped_pairs]
    assert len(halves) == 30
    assert set(halves) == set(map(frozenset, combinations("abcde", 2)))


@pytest.fixture(scope="module")
def halves(data):
    return stability_selection(SelectingRidge(5), data, 10, verbose=False)


def test_trusted_genes_are_true(data, halves):
    table = selection_table(halves)
    trusted = table.index[table.trusted]
    assert len(trusted) >= 3
    assert trusted.isin(data.truth["genes"]).all()


@pytest.fixture(scope="module")
def noise(data):
    """Halves of cells whose genes say nothing of the outputs; donors are not split."""
    donors = np.arange(data.n_cells) // 5
    unrelated = data.X[::-1], data.Y
    return stability_selection(
        SelectingRidge(5), unrelated, 10, groups=donors, seed=1, verbose=False
    )


def test_no_noise_is_trusted(noise):
    assert selection_table(noise).trusted.sum() <= 1


def test_rare_genes_need_a_higher_frequency(halves):
    rare = replace(halves, values=halves.values | {"cells_behind": np.full(40, 9.0)})
    table = selection_table(rare).query("frequency > 0.5")
    close(table.expected_false, 25 / 40 / (2 * table.frequency - 1))


def test_genes_are_compared_with_others_of_enough_cells(halves):
    """No half keeps one of the other genes."""
    is_kept = halves.selected.any(axis=(0, 1))
    cells = np.where(is_kept, 100.0, 9.0)
    table = selection_table(replace(halves, values=halves.values | {"cells_behind": cells}))
    frequencies = table.frequency[table.frequency > 0.7]  # below, the bound of all is larger
    expected = expected_false(frequencies, n_genes=is_kept.sum(), n_selected=5, n_pairs=10)
    close(table.expected_false[frequencies.index], expected)


def test_rare_genes_alone_have_their_threshold(halves):
    rare = replace(halves, values=halves.values | {"cells_behind": np.full(40, 9.0)})
    assert selection_threshold(rare) == approx(0.85)  # 25 / 40 / (2 * 0.8125 - 1) is 1


class RandomGenes(SelectingRidge):
    """Keeps random genes, which depend on the seed only."""

    def __init__(self, n_genes=5, random_state=None):
        super().__init__(n_genes)
        self.random_state = random_state

    def get_support(self):
        order = np.random.RandomState(self.random_state).permutation(self.n_features_in_)
        return order < self.n_genes


def test_each_half_has_its_own_seed(data):
    record = stability_selection(RandomGenes(), data, 3, verbose=False)
    assert len(np.unique(record.selected, axis=0)) == 6


def test_the_same_weights_in_all_halves_are_refused(data):
    model = SparseBottleneckRegressor(random_state=3)
    with pytest.raises(ValueError, match="random_state=3, all halves .* leave random_state=None"):
        stability_selection(model, data, 2, verbose=False)


def test_cells_behind_a_gene_are_those_that_differ_from_its_mean(data):
    """Two cells of many lack a gene that all others have alike."""
    X = expression_frame(data).copy()
    X.iloc[:, 0] = 5.0
    X.iloc[:2, 0] = 0.0
    halves = stability_selection(SelectingRidge(5), (X, outputs_frame(data)), 2, verbose=False)
    assert halves.cells_behind[0] < 5
    assert np.median(halves.cells_behind) > 10


def test_an_earlier_record_gets_its_cells(data, tmp_path):
    path = tmp_path / "halves.pickle.xz"
    stability_selection(SelectingRidge(5), data, 2, results=path, verbose=False)
    saved = load(path)
    expected = saved.values.pop("cells_behind")
    save(saved, path)
    more = stability_selection(SelectingRidge(5), data, 3, results=path, verbose=False)
    close(more.cells_behind, expected)
    close(load(path).cells_behind, expected)


def test_halves_of_donors_are_those_of_the_seed(noise):
    donors = np.arange(120) // 5
    expected = complementary_pairs(120, 10, seed=1, groups=donors.astype(str))
    assert_equal(noise.folds, expected)


@pytest.fixture(scope="module")
def table(halves):
    return selection_table(halves)


def test_genes_are_listed_by_frequency(table):
    assert table.frequency.is_monotonic_decreasing


def test_seeds_that_keep_a_gene_are_counted(halves, data):
    """Here, genes that halves keep least."""
    kept = np.arange(40) < [[[3]], [[5]]]
    repeats = replace(halves, values=halves.values | {"selected": kept})
    table = selection_table(halves, repeats)
    equal(table["count"][data.gene_names], [2, 2, 2, 1, 1, *[0] * 35])


def test_bounds_are_those_of_the_frequencies(table):
    bounds = expected_false(table.frequency, n_genes=40, n_selected=5, n_pairs=10)
    close(table.expected_false, bounds)


def test_genes_are_trusted_from_the_threshold_on(table, halves):
    equal(table.trusted, table.expected_false <= 1)
    equal(table.trusted, table.frequency >= selection_threshold(halves) - 1e-9)


def test_given_genes_are_trusted_or_unstable(table, halves):
    genes = table.index[[-1, 0]]
    assert kept_genes_table(halves, genes).trust.to_list() == ["unstable", "trusted"]


def test_with_few_halves_trust_is_unknown(table, halves):
    few = replace(halves, folds=halves.folds[:2])
    kept = kept_genes_table(few, table.index[:2])
    assert kept.trust.to_list() == ["unknown", "unknown"]


@pytest.fixture(scope="module")
def preselected(data):
    return stability_selection(SelectingRidge(), data, 4, preselect=12, verbose=False)


def test_halves_keep_no_predictions(preselected):
    assert "test_predictions" not in preselected.values


def test_bounds_are_among_the_preselected_genes(preselected):
    table = selection_table(preselected)
    bounds = expected_false(table.frequency, n_genes=12, n_selected=2, n_pairs=4)
    close(table.expected_false, bounds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params": [{"n_genes": 2}, {"n_genes": 3}]}, "expected one grid point, got 2"),
        ({"folds": paper_folds(120, 3)[:2]}, "expected complementary pairs"),
    ],
)
def test_records_of_no_halves_are_refused(halves, change, message):
    with pytest.raises(ValueError, match=f"record: {message}"):
        selection_table(replace(halves, **change))


# --- alike genes


def halves_of(cells, selected, seed=0):
    """Record of halves of cells that keep genes by a mask, (halves, genes)."""
    cells = as_paired(cells)
    values = cells.names | {
        "selected": selected[:, np.newaxis],
        "n_selected": selected.sum(axis=-1, keepdims=True),
        "cells_behind": cells_behind(cells.X - cells.X.mean(axis=0)),
    }
    folds = complementary_pairs(cells.n_cells, len(selected) // 2, seed)
    return made_up(values, sha256=cells.sha256, folds=folds)


@pytest.fixture
def alternating(rng):
    """Cells, and halves that keep Vcan or S100a9, which are alike, or Cd8a beside S100a9.

    Lyz is alike and kept by all; Gzmm stands against S100a9 but is not alike.
    """
    signal, *noise = rng.normal(size=(37, 200))
    X = np.stack([signal, signal, signal, signal, *noise], axis=1)
    X[:, 1:4] += 0.5 * rng.normal(size=(200, 3))
    names = ["Vcan", "S100a9", "Lyz", "Cd8a", "Gzmm", *[f"g{i}" for i in range(35)]]
    cells = paired(X, rng.normal(size=(200, 2)), gene_names=names)
    selected = np.zeros((40, 40), bool)
    selected[:, 8:] = rng.random((40, 32)) < 0.15
    selected[:22, 0] = selected[22:38, 1] = selected[22:, 3] = selected[:22, 4] = True
    selected[:, 2] = True
    return cells, halves_of(cells, selected)


def test_stand_ins_are_alike_and_kept_instead(alternating):
    cells, record = alternating
    table = selection_table(record, data=cells)
    assert table.stand_ins["S100a9"].startswith("Vcan (92%, 0%; r 0.")
    assert table.stand_ins["Vcan"].startswith("Cd8a (100%, 0%; r 0.")
    assert ", S100a9 (89%, 0%; r 0." in table.stand_ins["Vcan"]
    assert table.trusted["Lyz"]
    assert not table.stand_ins[["Lyz", "Gzmm", "g0"]].any()


def test_a_few_halves_show_no_stand_in(alternating):
    """A single half keeps S100a9, and not Vcan, as four in ten do not."""
    cells, record = alternating
    selected = record.selected.copy()
    selected[:, 0, 1] = np.arange(40) == 39
    table = selection_table(halves_of(cells, selected[:, 0]), data=cells)
    assert not table.stand_ins["S100a9"]


@pytest.mark.parametrize("n_kept", [0, 1])
def test_one_gene_or_none_has_no_stand_in(alternating, n_kept):
    cells, record = alternating
    selected = np.zeros((40, 40), bool)
    selected[:, :n_kept] = True
    table = selection_table(halves_of(cells, selected), data=cells)
    assert table.frequency.sum() == n_kept
    assert not table.stand_ins.any()


def test_alike_genes_are_trusted_as_a_group(alternating):
    cells, record = alternating
    selected = record.selected[:, 0].copy()
    selected[:, 2:5] = False
    record = halves_of(cells, selected)
    assert not selection_table(record).trusted.any()
    table = selection_table(record, data=cells, groups=0.5)
    assert table.index[table.trusted].tolist() == ["Vcan/S100a9"]
    assert table.frequency.iloc[0] == 0.95
    # four of 40 genes are alike
    n_selected = selected[:, 8:].sum(axis=1).mean() + 0.95
    bound = expected_false(0.95, n_genes=37, n_selected=n_selected, n_pairs=20)
    assert table.expected_false.iloc[0] == approx(bound)


def test_groups_of_less_than_all_alike_genes_are_genes(alternating):
    cells, record = alternating
    table = selection_table(record, data=cells, groups=1)
    genes = selection_table(record).query("frequency > 0")
    assert_frame_equal(table.sort_index(), genes.sort_index())


def test_large_groups_are_named_after_five_genes(alternating):
    cells, record = alternating
    table = selection_table(record, data=cells, groups=0)
    n_kept = record.selected.any(axis=(0, 1)).sum()
    assert table.index.str.endswith(f" and {n_kept - 5} more").tolist() == [True]


def test_groups_are_among_the_preselected_genes(data, preselected):
    table = selection_table(preselected, data=data, groups=1)
    genes = selection_table(preselected).query("frequency > 0")
    assert_frame_equal(table.sort_index(), genes.sort_index())


def test_seeds_that_keep_a_gene_of_a_group_are_counted(alternating):
    cells, record = alternating
    kept = np.zeros((1, 3, 40), bool)
    kept[0, 0, 0] = kept[0, 1, 1] = True
    repeats = replace(record, values=record.values | {"selected": kept})
    table = selection_table(record, repeats, data=cells, groups=0.5)
    assert table["count"].loc[table.index.str.contains("Vcan")].item() == 2


@pytest.mark.parametrize("n_alike", [1, 3])
def test_groups_of_rare_genes_of_noise_are_not_trusted(n_alike):
    """As single genes, by correlation with noise."""
    n_trusted = []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        counts = np.repeat(draw.poisson(0.05, (80, 99 // n_alike)), n_alike, axis=1)
        X = np.log2(1 + counts * (draw.random(counts.shape) < 0.9))
        X = X[:, np.ptp(X, axis=0) > 0]
        noise = draw.normal(size=(80, 3))
        selected = np.zeros((50, X.shape[1]), bool)
        for i, (half, _) in enumerate(complementary_pairs(80, 25, seed)):
            Z = X[half] - X[half].mean(0)
            scores = np.square(Z.T @ (noise[half] - noise[half].mean(0))).sum(1)
            selected[i, np.argsort(-scores / (Z.var(0) + 1e-9))[:5]] = True
        record = halves_of((X, noise), selected, seed)
        n_trusted.append(selection_table(record, data=(X, noise), groups=0.5).trusted.sum())
    assert np.mean(n_trusted) <= 1


def test_other_cells_are_refused(alternating):
    cells, record = alternating
    with pytest.raises(
        ValueError, match="data: expected the cells of the record in the same order"
    ):
        selection_table(record, data=cells[:100])


R2 = np.array([[0.1, 0.5, 0.6], [0.2, 0.4, 0.7], [0.3, 0.6, 0.62]])  # (folds, numbers of genes)


@pytest.fixture
def numbers_table():
    record = made_up(
        {"test_r2": R2, "n_selected": np.outer([1, 1, 4], [5, 10, 25])},
        params=[{"n_genes": 5}, {"n_genes": 10}, {"n_genes": 25}],
        folds=[(np.arange(2), np.arange(2))] * 3,
    )
    return genes_table(record)


def test_ten_genes_suffice(numbers_table):
    """They are 0.14 behind, with a standard error of 0.139 * sqrt(1 / 3 + 1)."""
    assert numbers_table.suffices.to_dict() == {5: False, 10: True, 25: False}


def test_numbers_of_genes_have_their_scores(numbers_table):
    close(numbers_table.test_r2, R2.mean(0))
    close(numbers_table.sd, R2.std(0, ddof=1))
    close(numbers_table.behind, 0.64 - R2.mean(0))
    close(numbers_table.genes, [10, 20, 50])
