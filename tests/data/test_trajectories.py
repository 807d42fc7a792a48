"""Trajectories: what is given is kept, samples have any length, and wrong input is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.trajectories import Samples, as_trajectories, prior_matrix, trajectories

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="time"), "no column time among A, B, sample"),
        (lambda table: table[["A", "time"]], r"no column sample among .*assign\(sample=0\)"),
        (lambda table: table[["A", "B"]], "no column sample and time"),
        (lambda table: table.assign(B="low"), "got 'low' in row '0', column 'B'"),
        (lambda table: table.assign(time="0h"), "got '0h' in row '0', column 'time'"),
        (lambda table: table.assign(sample=None), "NaN in the columns sample"),
        (lambda table: pd.concat([table, table]), r"sample y.*\.groupby\(\['sample', 'time'\]"),
        (lambda table: table.rename(columns={"A": "Unnamed: 0"}), "Unnamed: 0 is no gene"),
        (lambda table: table.assign(A=table["A"] + 99), "no log values; use np.log2"),
    ],
)
def test_mistakes_in_a_table_are_named_with_what_to_do(table, change, message):
    with pytest.raises(ValueError, match=message):
        trajectories(change(table))


def test_rows_in_any_order_can_be_sorted_and_averaged(table):
    again = pd.concat([table[::-1], table])
    sorted_table = again.groupby(["sample", "time"], as_index=False).mean()
    np.testing.assert_array_equal(
        trajectories(sorted_table).X, trajectories(table.sort_values(["sample", "time"])).X
    )


def test_values_without_times_are_refused(values):
    with pytest.raises(TypeError, match=r"times: .*pd.read_csv"):
        trajectories(values)


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
