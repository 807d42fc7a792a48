"""Bounds against independent mathematics, runs that resume, and trust on simulated data."""

import numpy as np
import pandas as pd
import pytest
from made_up import Weigher
from sklearn.metrics import r2_score

from sbnn import LeaveOneOutRidge, SparseBottleneckRegressor, SparseReducedRankRegression
from sbnn import results as saved
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import complementary_pairs, repeat_fits, stability_selection
from sbnn.evaluation.stability import (
    concave_tail,
    expected_false,
    gene_counts,
    genes_table,
    kept_genes_table,
    selection_table,
    selection_threshold,
    trust_sentence,
)

QUICK = {
    "hidden_layers": (8, 4),
    "epochs": (1, 1, 1, 1),
    "n_genes": 5,
    "standardize": False,
}


@pytest.mark.parametrize(
    ("mean", "n", "r"), [(0.02, 20, -0.25), (0.004, 50, -0.5), (0.2, 10, -1.0)]
)
def test_no_concave_distribution_has_a_larger_tail(mean, n, r, rng):
    bound = concave_tail(mean, n, r)
    best = np.zeros(n + 1)
    for _ in range(3000):
        # Convex f**r, up to the end of the support; mixed with nothing else.
        end = rng.integers(1, n + 1)
        slopes = np.cumsum(rng.exponential(size=end) ** rng.uniform(0.2, 6)) * 10 ** rng.uniform(
            -3, 2
        )
        f = np.zeros(n + 1)
        f[: end + 1] = (1 + np.r_[0, np.cumsum(slopes)]) ** (1 / r)
        f /= f.sum()
        if f @ np.arange(n + 1) <= mean * n:
            best = np.maximum(best, np.cumsum(f[::-1])[::-1])
    assert (best[1:] > 0).any(), "some of them have this mean"
    assert (best <= bound + 1e-9).all()
    assert bound[0] == 1
    assert (np.diff(bound) <= 1e-12).all()


def test_r_concave_is_the_smaller_of_two_tails():
    theta = 0.05
    j = 70
    tails = (
        concave_tail(theta**2, 50, -0.5)[2 * j - 100 - (j - 50)],
        concave_tail(theta, 100, -0.25)[j],
    )
    assert expected_false(j / 100, 1000, 50, 50) == pytest.approx(1000 * min(tails))
    assert expected_false(0.0, 1000, 50) == 1000
    assert expected_false(0.02, 1000, 0) == 0
    # Numerical optimisation (SLSQP) over all distributions of this kind reaches this tail within
    # 0.1 %.
    assert concave_tail(0.05, 8, -0.5)[6] == pytest.approx(0.012842, rel=1e-3)


def test_pairs_are_complementary():
    folds = complementary_pairs(11, 3)
    assert len(folds) == 6
    for (a, b), (c, d) in zip(folds[::2], folds[1::2], strict=True):
        np.testing.assert_array_equal(a, d)
        np.testing.assert_array_equal(b, c)
        assert len(a) == len(b) == 5
        assert len({*a, *b}) == 10
    assert all(
        np.array_equal(x[0], y[0]) for x, y in zip(folds, complementary_pairs(11, 5), strict=False)
    )
    assert not np.array_equal(folds[0][0], complementary_pairs(11, 3, seed=1)[0][0])


def test_halves_have_whole_groups_and_no_more_pairs_than_there_are():
    groups = np.array(list("abcdeabcdeabcdaab"))
    folds = complementary_pairs(17, 50, groups=groups)
    halves = {frozenset(groups[one]) for one, _ in folds}
    # one of five is left out, three ways to halve the others
    assert (len(folds), len(halves)) == (30, 10)
    for one, other in folds:
        assert len(set(groups[one])) == len(set(groups[other])) == 2
        assert not {*groups[one]} & {*groups[other]}
        assert len(one) + len(other) == np.isin(groups, [*groups[one], *groups[other]]).sum()
    assert len(complementary_pairs(17, 3, groups=groups)) == 6
    with pytest.raises(ValueError, match="groups: expected at least two"):
        complementary_pairs(5, groups=["a"] * 5)


@pytest.fixture(scope="module")
def halves(data):
    return stability_selection(Weigher(5), data, 10, verbose=False)


def test_trusted_genes_are_true_and_no_noise_is_trusted(data, halves):
    table = selection_table(halves)
    trusted = table.index[table["trusted"]]
    assert len(trusted) >= 3
    assert set(trusted) <= set(data.truth["genes"])
    shuffled = data.X[np.random.default_rng(0).permutation(data.n_cells)], data.Y
    noise = stability_selection(Weigher(5), shuffled, 10, seed=1, verbose=False)
    assert selection_table(noise)["trusted"].sum() <= 1
    assert noise.seed == 1
    np.testing.assert_equal(noise.folds, complementary_pairs(data.n_cells, 10, seed=1))
    expected = pd.Series(halves.selected[:, 0].mean(0), halves.gene_names)
    np.testing.assert_allclose(table["frequency"], expected[table.index])
    assert table["frequency"].is_monotonic_decreasing
    for max_false in (0.1, 1, 5):
        table = selection_table(halves, max_false=max_false)
        threshold = selection_threshold(halves, max_false)
        np.testing.assert_array_equal(table["trusted"], table["frequency"] >= threshold - 1e-9)
    assert selection_threshold(halves, 0.0) == np.inf


def test_pairs_are_added_to_saved_ones(data, halves, tmp_path, monkeypatch):
    path = tmp_path / "halves.pickle"
    few = stability_selection(Weigher(5), data, 2, results=path, verbose=False)
    assert "test_predictions" not in saved.load(path).values
    more = stability_selection(Weigher(5), data, 10, results=path, verbose=False)
    np.testing.assert_array_equal(more.selected, halves.selected)
    np.testing.assert_array_equal(more.selected[:4], few.selected)
    monkeypatch.setattr(Weigher, "fit", lambda *_: pytest.fail("fitted again"))
    np.testing.assert_array_equal(
        stability_selection(Weigher(5), data, 10, results=path).selected, more.selected
    )


@pytest.fixture(scope="module")
def repeats(data):
    return repeat_fits(SparseBottleneckRegressor(**QUICK), data, 4, verbose=False)


def test_fits_are_of_all_cells_with_the_seeds(data, repeats):
    X, Y = ((a - a.mean(0, dtype=float)) / a.std(0, dtype=float) for a in (data.X, data.Y))
    assert [point["random_state"] for point in repeats.params] == [0, 1, 2, 3]
    assert repeats.n_selected.tolist() == [[5] * 4]
    assert len(repeats.to_frame()) == 4
    for seed in range(4):
        model = SparseBottleneckRegressor(**QUICK, random_state=seed)
        model.fit(X.astype(np.float32), Y.astype(np.float32))
        np.testing.assert_array_equal(repeats.selected[0, seed], model.get_support())
        scores = r2_score(Y, model.predict(X), multioutput="raw_values")
        np.testing.assert_allclose(repeats.train_feature_r2[0, seed], scores, atol=1e-4)
        assert repeats.train_r2[0, seed] == pytest.approx(model.score(X, Y), abs=1e-4)


def test_counts_stand_beside_frequencies(halves, repeats):
    counts = gene_counts(repeats)
    assert counts["count"].is_monotonic_decreasing
    np.testing.assert_array_equal(
        counts.loc[repeats.gene_names, "count"], repeats.selected[0].sum(0)
    )
    np.testing.assert_allclose(counts["frequency"], counts["count"] / 4)
    table = selection_table(halves, repeats)
    assert table.columns.tolist() == ["frequency", "count", "expected_false", "trusted"]
    np.testing.assert_array_equal(table["count"], counts["count"][table.index])


def test_records_of_other_experiments_are_refused(data, repeats):
    for run in (repeat_fits, stability_selection):
        with pytest.raises(TypeError, match="LeaveOneOutRidge does not select"):
            run(LeaveOneOutRidge(), data)
    with pytest.raises(ValueError, match="random_state"):
        repeat_fits(SparseReducedRankRegression(), data)
    folds = complementary_pairs(data.n_cells, 2)[:3]
    grid = cross_validate(Weigher(5), data, folds, {"n_genes": [2, 3]}, verbose=False)
    for record in (grid, repeats):
        with pytest.raises(ValueError, match="record: expected complementary pairs"):
            selection_table(record)
    with pytest.raises(ValueError, match="record: expected one grid point, got 2"):
        gene_counts(grid)
    assert gene_counts(cross_validate(Weigher(5), data, folds, verbose=False))["count"].sum() == 15


def halves_that_keep(counts, n_halves, n_genes=30):
    """Record of halves in which gene i is kept by the first `counts[i]` halves."""
    selected = np.zeros((n_halves, 1, n_genes), bool)
    for gene, count in enumerate(counts):
        selected[:count, 0, gene] = True
    values = {
        "selected": selected,
        "n_selected": selected.sum(2),
        "gene_names": np.array([f"g{i}" for i in range(n_genes)]),
    }
    folds = complementary_pairs(40, n_halves // 2)
    return saved.Record("cross-validation", "made up", "s", [{}], folds=folds, values=values)


def test_trust_is_told_for_given_genes_and_said_if_there_is_none():
    some = halves_that_keep([8, 7, 2], 8)
    table = kept_genes_table(some, ["g2", "g0"])
    assert table.trust.to_dict() == {"g2": "unstable", "g0": "trusted"}
    assert table.frequency.tolist() == [0.25, 1]
    assert trust_sentence(some) == ""
    few = halves_that_keep([2] * 20, 2)
    assert "2 halves of the cells are too few" in trust_sentence(few)
    rare = halves_that_keep([6] + [5] * 20, 20)  # 5.3 of 30 genes in each half
    assert "about 5 genes" in trust_sentence(rare)
    assert "g0 (kept by 30% of 20 halves" in trust_sentence(rare)


def test_the_table_of_numbers_of_genes(rng):
    r2 = np.array([[0.1, 0.5, 0.6, 0.7], [0.2, 0.4, 0.7, 0.7], [0.3, 0.6, 0.62, 0.6]])
    values = {
        "test_r2": r2,
        "n_selected": np.array([[5, 10, 25, 10], [5, 10, 25, 13]] + [[5, 10, 25, 10]]),
    }
    params = [{"n_genes": number} for number in (5, 10, 25, "auto")]
    folds = [(np.arange(2), np.arange(2))] * 3
    table = genes_table(saved.Record("", "made up", "s", params, folds=folds, values=values))
    assert table.index.tolist() == [5, 10, 25, "auto"]
    np.testing.assert_allclose(table.test_r2, r2.mean(0))
    np.testing.assert_allclose(table.sd, r2.std(0, ddof=1))
    np.testing.assert_allclose(table.behind, 0.64 - r2.mean(0))
    assert table.genes.tolist() == [5, 10, 25, 11]
    # 0.14 behind, with a standard error of 0.139 * sqrt(1 / 3 + 1)
    assert table.suffices.tolist() == [False, True, False, False]
