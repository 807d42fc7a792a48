import dataclasses

import numpy as np
import pandas as pd
import pytest

from sbnn.data.trajectories import Trajectories, prior_matrix

TIMES = [0.0, 1.0, 3.0]


@pytest.fixture
def values(rng):
    return rng.random((4, 3, 2))


def test_what_is_given_is_kept(values):
    data = Trajectories(values.tolist(), TIMES, ["A", "B"], name="mine")
    np.testing.assert_array_equal(data.values, values)
    np.testing.assert_array_equal(data.times, [TIMES] * 4)
    assert data.values.dtype == data.times.dtype == np.float64
    assert (data.n_samples, data.n_genes, len(data)) == (4, 2, 4) and data.gene_names.tolist() == ["A", "B"]
    assert data.summary().startswith("mine: 4 samples x 3 times (0 to 3) x 2 genes\n")
    assert repr(data).startswith("Trajectories('mine': 4 samples x 3 times x 2 genes, sha256 ")
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"


def test_it_does_not_share_memory_with_the_caller(values):
    data = Trajectories(values, TIMES)
    values[0, 0, 0] = 9
    assert data.values[0, 0, 0] < 1


def test_samples_may_have_times_of_their_own(values):
    times = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(Trajectories(values, times).times, times)


def test_the_fingerprint_is_of_values_times_and_names(values):
    known = Trajectories(values, TIMES, ["A", "B"])
    assert known.sha256 == Trajectories(values, [TIMES] * 4, ["A", "B"], name="other").sha256
    others = [Trajectories(values, TIMES), Trajectories(values, [0, 1, 4], ["A", "B"])]
    others += [Trajectories(values + 0.1, TIMES, ["A", "B"])]
    assert len({known.sha256, *(other.sha256 for other in others)}) == 4
    assert Trajectories(values, TIMES, sha256="12").sha256 == "12"


def test_subset_takes_samples_and_genes_in_the_order_given(values):
    data = Trajectories(values, np.arange(12.0).reshape(4, 3), ["A", "B"])
    part = data.subset([2, 0], ["B"])
    np.testing.assert_array_equal(part.values, values[[2, 0]][:, :, [1]])
    np.testing.assert_array_equal(part.times, data.times[[2, 0]])
    assert part.gene_names.tolist() == ["B"] and part.sha256 != data.sha256
    np.testing.assert_array_equal(data.subset(genes=[False, True]).values, values[:, :, 1:])
    with pytest.raises(KeyError, match="genes holds names that are not in the data: Z"):
        data.subset(genes=["Z"])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 2, 1], "must increase, but in sample 0 the time 1 comes after 2"),
        ([[0, 1, 2]] * 3 + [[0, 2, 2]], "must increase, but in sample 3 the time 2 repeats"),
        ([0, 1], r"expected shape \(3,\) or \(4, 3\) as values have, got \(2,\)"),
        ([0, 1, np.nan], "expected finite numbers"),
    ],
)
def test_times_must_increase(values, times, message):
    with pytest.raises(ValueError, match=message):
        Trajectories(values, times)


def test_values_must_be_there(values):
    values[1, 2, 0] = np.nan
    values[3, 0, 1] = np.inf
    with pytest.raises(
        ValueError, match=r"2 are NaN or infinite \(8.33 %\), the first of gene 'A' at time 3 of sample 1"
    ):
        Trajectories(values, TIMES, ["A", "B"])
    with pytest.raises(ValueError, match=r"expected shape \(samples, times, genes\), got \(4, 3\)"):
        Trajectories(values[:, :, 0], TIMES)
    with pytest.raises(ValueError, match="two times or more of each sample, got 1"):
        Trajectories(values[:, :1], [0])
    with pytest.raises(ValueError, match="at least one sample and one gene"):
        Trajectories(values[:0], TIMES)
    with pytest.raises(TypeError, match="values: expected an array of numbers, got list"):
        Trajectories([[["a"]]], TIMES)


def test_nothing_is_given_twice(values):
    with pytest.raises(ValueError, match="some samples are the same twice"):
        Trajectories(values[[0, 1, 0]], TIMES)
    times = [[0, 1, 2], [0, 1, 3]]
    assert len(Trajectories(values[[0, 0]], times)) == 2, "at other times"
    with pytest.raises(ValueError, match="duplicate gene names in gene_names: A"):
        Trajectories(values, TIMES, ["A", "A"])


def test_negative_values_are_warned_of_unless_meant(values, recwarn):
    values[0, 0, 0] = -0.25
    Trajectories(values, TIMES, signed=True)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="4.17 % are negative, down to -0.25"):
        Trajectories(values, TIMES)


def test_a_prior_is_matched_by_name():
    genes = np.array(["A", "B", "C"])
    table = pd.DataFrame([[0, -1], [1, 0]], ["C", "A"], ["B", "C"])
    np.testing.assert_array_equal(prior_matrix(table, genes), [[0, 1, 0], [0, 0, 0], [0, 0, -1]])


@pytest.mark.parametrize(
    ("prior", "error", "message"),
    [
        (np.zeros((3, 2)), ValueError, r"expected shape \(3, 3\), \[regulator, target\], got \(3, 2\)"),
        (np.full((3, 3), np.nan), ValueError, "9 entries are NaN or infinite"),
        (pd.DataFrame(0, ["A", "Z"], ["A", "Y"]), ValueError, "the trajectories lack the genes Y, Z"),
        (pd.DataFrame(0, ["A", "A"], ["B", "C"]), ValueError, "names of genes repeat"),
        ("edges", TypeError, "prior: expected an array of numbers, got str"),
    ],
)
def test_a_wrong_prior_is_refused(prior, error, message):
    with pytest.raises(error, match=message):
        prior_matrix(prior, np.array(["A", "B", "C"]))
