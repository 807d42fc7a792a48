"""Trajectories: what is given is kept, samples have any length, and wrong input is refused."""

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


def test_what_is_given_is_kept(values):
    data = trajectories(values.tolist(), TIMES, ["A", "B"], name="mine")
    arrays = as_trajectories(data)
    np.testing.assert_array_equal(arrays.values, values)
    np.testing.assert_array_equal(arrays.times, [TIMES] * 4)
    assert arrays.gene_names.tolist() == ["A", "B"]
    assert data.X.dtype == np.float64
    assert data.obs_names.tolist()[2:5] == ["0_2", "1_0", "1_1"]
    assert data.uns["sbnn"]["name"] == "mine"


@pytest.fixture
def table(values):
    table = pd.DataFrame(values[:2].reshape(6, 2), columns=["A", "B"])
    return table.assign(sample=["y", "x"] * 3, time=np.repeat(TIMES, 2))


def test_a_long_table_is_read_in_the_order_of_its_samples(table):
    data = trajectories(table.iloc[:5])
    data.X = sparse.csr_array(data.X)
    arrays = as_trajectories(data)
    assert [times.tolist() for times in arrays.times] == [TIMES, TIMES[:2]]
    np.testing.assert_array_equal(arrays.values[0], table[["A", "B"]].iloc[::2])
    assert arrays.gene_names.tolist() == ["A", "B"]


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [("B", np.nan, "NaN"), ("time", 0, "sample y"), ("sample", "z", "sample z")]
    + [("time", np.inf, "time contains infinity")],
)
def test_wrong_values_and_times_are_refused(table, column, value, named):
    table.loc[4, column] = value
    with pytest.raises(ValueError, match=named):
        trajectories(table)


def test_priors_are_matched_by_name():
    prior = pd.DataFrame([[0, 2.0], [-2.0, 0]], ["b", 1], [1, "b"])
    np.testing.assert_array_equal(prior_matrix(prior, ["1", "b"]), [[-2, 0], [0, 2]])
    np.testing.assert_array_equal(prior_matrix(prior[["b"]][:1], ["1", "b"]), [[0, 0], [0, 2]])
    for wrong in (prior[:0].to_numpy(), [[0, 0.3], [0, -1]], prior.rename(index={"b": "z"})):
        with pytest.raises(ValueError, match="prior: "):
            prior_matrix(wrong, ["1", "b"])


# --- the arrays that models use


@pytest.fixture
def samples(rng):
    values = [rng.random((4, 2)), rng.random((2, 2))]
    times = [np.array([0.0, 1, 3, 4]), np.array([2.0, 5])]
    return Samples(values, times, np.array(["a", "b"]))


def test_a_prior_in_other_capitals_is_told():
    prior = pd.DataFrame(np.eye(2), ["GATA1", "PU1"], ["GATA1", "PU1"])
    with pytest.raises(ValueError, match="GATA1, PU1 are not genes.*capitals"):
        prior_matrix(prior, ["Gata1", "Pu1"])


def test_intervals_lie_between_consecutive_times(samples):
    before, after, times = samples.intervals()
    long, short = samples.values
    np.testing.assert_array_equal(before, [*long[:-1], short[0]])
    np.testing.assert_array_equal(after, [*long[1:], short[1]])
    np.testing.assert_array_equal(times, [[0, 1], [1, 3], [3, 4], [2, 5]])


def test_short_samples_are_padded_with_their_last_values(samples):
    values, times = samples.padded()
    np.testing.assert_array_equal(times, [[0, 1, 3, 4], [2, 5, 5, 5]])
    np.testing.assert_array_equal(values[0], samples.values[0])
    np.testing.assert_array_equal(values[1], samples.values[1][[0, 1, 1, 1]])
    turned = Samples(samples.values, samples.times, samples.gene_names, gene_major=True)
    np.testing.assert_array_equal(turned.padded()[0], values)
    assert (values.strides, turned.padded()[0].strides) == ((64, 16, 8), (64, 8, 32))


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
    assert data.obs["sample"].tolist() == ["0"] * 3 + ["1"] * 3
    # four different times give four bins, of which the second and third have the same mean time
    for row, cells in enumerate(["qrs", "tuvwx", "zy", "z", "y", "x"]):
        np.testing.assert_allclose(data.X[row], CELLS.loc[[*cells]].mean())
    np.testing.assert_allclose(data.obs["time"], [5 / 3, 2, 3.5, 3, 5, 11])
    fewer = pd.Series([2, 5], PSEUDOTIME.columns)
    fewer = read_pseudotime(CELLS, PSEUDOTIME, fewer, scaled=False)
    assert fewer.obs["sample"].tolist() == ["0"] * 2 + ["1"] * 3


def test_an_infinite_pseudotime_is_refused():
    with pytest.raises(ValueError, match="pseudotime contains infinity"):
        read_pseudotime(CELLS, PSEUDOTIME.replace(11, np.inf))


def test_genes_and_times_are_scaled_over_all_trajectories():
    plain = read_pseudotime(CELLS, PSEUDOTIME, scaled=False)
    scaled = read_pseudotime(CELLS, PSEUDOTIME)
    largest = np.abs(plain.X).max(axis=0)
    np.testing.assert_allclose(scaled.X, plain.X / [largest[0], 1, largest[2]])
    times = plain.obs["time"]
    np.testing.assert_allclose(scaled.obs["time"], 9 * (times - times.min()) / np.ptp(times))
