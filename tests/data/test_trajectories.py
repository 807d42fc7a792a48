"""Trajectories: what is given is kept, samples have any length, and wrong input is refused."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.trajectories import (
    Samples,
    as_trajectories,
    prior_matrix,
    read_pseudotime,
    trajectories,
)

TIMES = [0.0, 1.0, 3.0]


@pytest.fixture
def values(rng):
    return rng.random((4, 3, 2))


@pytest.fixture
def table(values):
    table = pd.DataFrame(values[:2].reshape(6, 2), columns=["A", "B"])
    return table.assign(sample=["y", "x"] * 3, time=np.repeat(TIMES, 2))


def test_what_is_given_is_kept(values):
    data = trajectories(values.tolist(), TIMES, ["A", "B"])
    arrays = as_trajectories(data)
    np.testing.assert_array_equal(arrays.values, values)
    np.testing.assert_array_equal(arrays.times, [TIMES] * 4)
    assert arrays.gene_names.tolist() == ["A", "B"]
    assert data.X.dtype == np.float64


def test_samples_keep_the_order_in_which_they_appear(values):
    mixed = trajectories(values, TIMES)[[3, 0, 4, 1, 5, 2]].copy()
    mixed.X = sparse.csr_array(mixed.X)
    mixed.uns["sbnn"]["gene_major"] = True
    arrays = as_trajectories(mixed)
    np.testing.assert_array_equal(arrays.values, values[[1, 0]])
    assert arrays.gene_major


def test_a_long_table_is_read_in_the_order_of_its_samples(table):
    arrays = as_trajectories(trajectories(table.iloc[:5]))
    assert [times.tolist() for times in arrays.times] == [TIMES, TIMES[:2]]
    np.testing.assert_array_equal(arrays.values[0], table[["A", "B"]].iloc[[0, 2, 4]])
    assert arrays.gene_names.tolist() == ["A", "B"]


@pytest.mark.parametrize(
    ("times", "named"),
    [
        ([0, 2, 1], "sample 0, got 0.0, 2.0, 1.0"),
        ([0, 1], "Length of values"),
        ([0, 1, np.nan], "increasing times"),
        ([[0, 1, 2]] * 3, "shorter"),
        (None, "times"),
    ],
)
def test_times_must_fit_and_increase(values, times, named):
    with pytest.raises(ValueError, match=named):
        trajectories(values, times)


def test_other_objects_are_refused(values):
    for wrong in (values, ad.AnnData(values[0])):
        with pytest.raises(TypeError, match="trajectories: .* sample and time"):
            as_trajectories(wrong)


def test_priors_are_matched_by_name():
    prior = pd.DataFrame([[0, 2.0], [-2.0, 0]], ["b", 1], [1, "b"])
    np.testing.assert_array_equal(prior_matrix(prior, ["1", "b"]), [[-2, 0], [0, 2]])
    part = prior.loc[["b"], ["b"]]
    np.testing.assert_array_equal(prior_matrix(part, ["1", "b"]), [[0, 0], [0, 2]])
    wrong = [np.zeros((3, 2)), [[0, 0.3], [0, -1]], prior.rename(index={"b": "z"})]
    for given in wrong:
        with pytest.raises(ValueError, match="prior: "):
            prior_matrix(given, ["1", "b"])


# --- the arrays that models use


@pytest.fixture
def samples(rng):
    values = [rng.random((4, 2)), rng.random((2, 2))]
    times = [np.array([0.0, 1, 3, 4]), np.array([2.0, 5])]
    return Samples(values, times, np.array(["a", "b"]))


def test_intervals_lie_between_consecutive_times(samples):
    before, after, times = samples.intervals()
    long, short = samples.values
    np.testing.assert_array_equal(before, [long[0], long[1], long[2], short[0]])
    np.testing.assert_array_equal(after, [long[1], long[2], long[3], short[1]])
    np.testing.assert_array_equal(times, [[0, 1], [1, 3], [3, 4], [2, 5]])


def test_pieces_share_a_time_point_and_join_again(samples):
    pieces = samples.pieces(2)
    assert [times.tolist() for times in pieces.times] == [[0, 1, 3], [3, 4], [2, 5]]
    np.testing.assert_array_equal(pieces.values[1], samples.values[0][2:])
    assert pieces.whole == (0, 0, 1)
    joined = pieces.joined()
    for sample in (0, 1):
        np.testing.assert_array_equal(joined.values[sample], samples.values[sample])
        np.testing.assert_array_equal(joined.times[sample], samples.times[sample])
    # a piece that is left out becomes one interval
    part = samples.pieces(1).chosen([0, 2, 3])
    assert [times.tolist() for times in part.joined().times] == [[0, 1, 3, 4], [2, 5]]


def test_short_samples_are_padded_with_their_last_values(samples):
    values, times = samples.padded()
    np.testing.assert_array_equal(times, [[0, 1, 3, 4], [2, 5, 5, 5]])
    np.testing.assert_array_equal(values[0], samples.values[0])
    np.testing.assert_array_equal(values[1], samples.values[1][[0, 1, 1, 1]])
    turned = Samples(samples.values, samples.times, samples.gene_names, gene_major=True)
    np.testing.assert_array_equal(turned.padded()[0], values)
    assert values.strides == (64, 16, 8)
    assert turned.padded()[0].strides == (64, 8, 32)


# --- cells with a pseudotime

CELLS = pd.DataFrame(
    {"a": np.arange(10.0) ** 2, "b": 0.0, "c": [-1.0, -4, 0, 2, 0, 1, 1, -9, 2, 3]},
    list("qrstuvwxyz"),
)
PSEUDOTIME = pd.DataFrame(
    {"one": [1.0, 2, 2, 2, 2, 2, 2, 2, 4, 3], "two": [np.nan] * 7 + [11, 5, 3]}, CELLS.index
)


def test_cells_are_averaged_in_bins_of_equal_size():
    data = read_pseudotime(CELLS, PSEUDOTIME, 5, scaled=False)
    first = data[data.obs["sample"] == "0"]
    # four different times give four bins, of which the second and third have the same mean time
    for row, cells in enumerate((list("qrs"), list("tuvwx"), list("zy"))):
        np.testing.assert_allclose(first.X[row], CELLS.loc[cells].mean())
        mean_time = PSEUDOTIME.loc[cells, "one"].mean()
        assert first.obs["time"].iloc[row] == pytest.approx(mean_time)
    second = data[data.obs["sample"] == "1"]
    np.testing.assert_allclose(second.X, CELLS.loc[["z", "y", "x"]])
    assert second.obs["time"].tolist() == [3, 5, 11]


def test_genes_and_times_are_scaled_over_all_trajectories():
    plain = read_pseudotime(CELLS, PSEUDOTIME, scaled=False)
    scaled = read_pseudotime(CELLS, PSEUDOTIME)
    largest = np.abs(plain.X).max(axis=0)
    np.testing.assert_allclose(scaled.X, plain.X / [largest[0], 1, largest[2]])
    times = plain.obs["time"]
    share_of_range = (times - times.min()) / np.ptp(times)
    np.testing.assert_allclose(scaled.obs["time"], 9 * share_of_range)
