"""Gene selection and normalisation of counts, against slow second implementations."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.counts import confirm_library_size, read_count_table
from sbnn.data.preprocessing import log2p1, normalize_library_size, select_genes

FORMATS = [np.asarray, sparse.csr_array, pd.DataFrame]


# --- selection of genes


@pytest.mark.parametrize("convert", FORMATS)
def test_exactly_tied_genes_are_taken_in_order(convert, rng):
    gene = np.r_[np.zeros(12), np.arange(1, 19)]
    # equal sums, added in different orders
    tied = [rng.permutation(gene) for _ in range(9)]
    result = select_genes(convert(np.column_stack(tied)), 4)
    assert result.selected.nonzero()[0].tolist() == [0, 1, 2, 3]
    assert result.threshold == 0


@pytest.fixture
def varied(rng):
    """Counts of 200 cells; of gene 4 there are none, and gene 7 is seen in one cell too few."""
    counts = rng.negative_binomial(0.5, 0.01, size=(200, 60)) * rng.integers(1, 20, 60)
    counts[:, 4] = 0
    counts[:, 7] = 3
    counts[:9, 7] = 8
    return counts


@pytest.fixture
def curve(varied):
    """By gene, for a threshold of 3: mean log2, near-zero frequency, and position of the curve."""
    above = np.where(varied > 3, varied, np.nan)
    logs = pd.DataFrame(np.log2(above))
    genes = pd.DataFrame({"mean": logs.mean(), "frequency": logs.isna().mean()})
    # a gene is kept if its frequency exceeds exp(-1.5 (m - b)) + 0.02
    excess = np.maximum(genes["frequency"] - 0.02, 1e-99)
    genes["b"] = genes["mean"] + np.log(excess) / 1.5
    genes.loc[logs.count() < 10, "b"] = np.nan
    return genes


@pytest.fixture
def ranked(curve):
    """Positions of the curve, the genes that are kept first come first."""
    candidates = curve["b"][curve["frequency"] > 0.02]
    return candidates.sort_values(ascending=False).dropna().to_numpy()


def test_selection_keeps_the_genes_above_the_curve(varied, curve, ranked):
    result = select_genes(varied, 20, threshold=3)
    np.testing.assert_array_equal(result.selected, curve["b"] >= ranked[19])
    assert result.b == pytest.approx(ranked[19:21].mean())
    all_candidates = select_genes(varied, len(ranked), threshold=3)
    assert all_candidates.selected.sum() == len(ranked)
    assert 0 < ranked[-1] - all_candidates.b < 1e-8


def test_the_points_of_the_curve_are_returned(varied, curve):
    result = select_genes(varied, 20, threshold=3)
    np.testing.assert_allclose(result.mean_log2, curve["mean"])
    np.testing.assert_allclose(result.near_zero_frequency, curve["frequency"])
    np.testing.assert_array_equal(result.eligible, curve["b"].notna())


def test_selection_of_the_physiological_counts_is_the_known_one(real_file, real_scala):
    counts, _, genes = read_count_table(real_file("m1_patchseq_phys_temp_exon_counts.csv.gz"))
    result = select_genes(counts, 1000, threshold=30)
    assert result.selected.sum() == 1000
    assert result.b == pytest.approx(7.194, abs=5e-4)
    in_both = set(genes[result.selected]) & set(real_scala.gene_names)
    assert len(in_both) == 573


# --- normalisation and logarithms


def test_totals_may_be_given():
    counts = sparse.csc_array([[1, 2]])
    normalized = normalize_library_size(counts, target=100, totals=[5])
    assert normalized.format == "csr"
    assert normalized.toarray().tolist() == [[20, 40]]


def test_logarithms_keep_zeros():
    np.testing.assert_allclose(log2p1([0, 1, 7, -0.5]), [0, 1, 3, -1])
    logged = log2p1(sparse.csr_array([[0, 3.0]]))
    assert logged.dtype == np.float32
    assert logged.toarray().tolist() == [[0, 2]]


COUNTS = np.array([[1, 2], [0, 1]])
EMPTY = pd.DataFrame([[1, 2], [0, 0]], index=["good", "empty"])


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (select_genes, [COUNTS, 3], "n_genes"),
        (select_genes, [-COUNTS], "Negative values in data passed to counts"),
        (normalize_library_size, [EMPTY], "counts: .* 1 of 2 cells: empty;"),
        (normalize_library_size, [COUNTS, None, [2, 1]], "totals, .* 1 of 2 cells: 0;"),
        (log2p1, [[-1.0]], "x must"),
        (log2p1, [[np.nan]], "x must"),
    ],
)
def test_mistakes_are_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


# --- whether expression was computed from counts


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_a_library_size_holds_for_expression_made_with_it(convert, data):
    """Others are tested with paired cells."""
    fractions = data.counts / data.counts.sum(axis=1, keepdims=True)
    X = np.log2(fractions * 5000 + 1)
    counts = convert(data.counts)
    assert confirm_library_size(X, counts, 5000) == 5000
    assert confirm_library_size(X[::2], counts[::2], 5000) == 5000


# --- counts as they are stored


@pytest.fixture
def whole(rng):
    counts = rng.poisson(20, (40, 12)) * rng.integers(0, 2, (40, 12))
    return sparse.csr_array(counts)


def in_few_bits(whole):
    return whole.astype(np.uint8)


def in_parts(whole):
    """The same counts in single precision, which SciPy sums in no conversion, in two parts each."""
    values = np.repeat(whole.data / 2, 2).astype(np.float32)
    return sparse.csr_array((values, np.repeat(whole.indices, 2), 2 * whole.indptr), whole.shape)


@pytest.mark.parametrize("store", [in_few_bits, in_parts])
def test_counts_may_be_stored_in_any_way(store, whole):
    stored = store(whole)
    n_stored = stored.nnz
    found = select_genes(stored, 9).mean_log2
    np.testing.assert_allclose(found, select_genes(whole, 9).mean_log2)
    np.testing.assert_allclose(log2p1(stored).toarray(), log2p1(whole).toarray())
    assert stored.nnz == n_stored  # as it was
