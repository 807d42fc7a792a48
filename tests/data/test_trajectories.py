"""Trajectories as AnnData: what is given is kept, samples have any length, wrong input is refused."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.trajectories import as_trajectories, trajectories

TIMES = [0.0, 1.0, 3.0]


@pytest.fixture
def values(rng):
    return rng.random((4, 3, 2))


def test_what_is_given_is_kept(values):
    data = trajectories(values.tolist(), TIMES, ["A", "B"], name="mine")
    arrays = as_trajectories(data)
    np.testing.assert_array_equal(arrays.values, values)
    np.testing.assert_array_equal(arrays.times, [TIMES] * 4)
    assert (
        data.shape == (12, 2)
        and data.X.dtype == np.float64
        and arrays.gene_names.tolist() == ["A", "B"]
    )
    assert data.obs["sample"].tolist() == ["0"] * 3 + ["1"] * 3 + ["2"] * 3 + ["3"] * 3
    assert data.uns["sbnn"]["name"] == "mine" and data.obs_names.is_unique
    mixed = trajectories(values, TIMES)[[3, 0, 4, 1, 5, 2]].copy()
    mixed.X = sparse.csr_array(mixed.X)
    np.testing.assert_array_equal(as_trajectories(mixed).values, values[[1, 0]])
    assert as_trajectories(mixed).gene_names.tolist() == ["gene_0", "gene_1"]


def test_a_long_table_is_read_in_the_order_of_its_samples(values):
    table = pd.DataFrame(values[:2].reshape(6, 2), columns=["A", "B"])
    table["sample"], table["time"] = ["y", "x"] * 3, np.repeat(TIMES, 2)
    arrays = as_trajectories(trajectories(table.iloc[:5]))
    assert [len(times) for times in arrays.times] == [3, 2] and arrays.gene_names.tolist() == [
        "A",
        "B",
    ]
    np.testing.assert_array_equal(arrays.values[0], table[["A", "B"]].iloc[[0, 2, 4]])
    assert trajectories(table).obs["sample"].unique().tolist() == ["y", "x"]


def test_a_long_table_is_refused_with_its_line_sample_and_gene():
    for row, column, value, problem in (
        (4, "B", np.nan, "line 6, sample y: B is nan"),
        (4, "B", "high", "line 6, sample y: B is high"),
        (4, "time", 0, "line 6, sample y: time is 0, expected a later"),
        (4, "sample", None, "line 6, sample None"),
        (5, "sample", "z", "sample z has one time"),
    ):
        table = pd.DataFrame(
            {"sample": [*"xxxyyy"], "time": TIMES * 2, "A": range(6), "B": range(6)}, dtype=object
        )
        table.loc[row, column] = value
        with pytest.raises(ValueError, match=problem):
            trajectories(table)


def test_the_fingerprint_is_of_values_times_and_names(values):
    def sha256(*given, **about):
        return trajectories(*given, **about).uns["sbnn"]["sha256"]

    known = sha256(values, TIMES, ["A", "B"])
    assert known == sha256(values, [TIMES] * 4, ["A", "B"], name="other")
    others = [
        sha256(values, TIMES),
        sha256(values, [0, 1, 4], ["A", "B"]),
        sha256(values + 0.1, TIMES, ["A", "B"]),
    ]
    ragged = [list(values[:3]) + [values[3, :2]], [TIMES] * 3 + [TIMES[:2]]]
    others += [sha256(*ragged), sha256(ragged[0][::-1], ragged[1][::-1])]
    assert len({known, *others}) == 6
    given = trajectories(values, TIMES, ["A", "B"], sha256="12").uns["sbnn"]
    assert given["sha256"] == "12" and given["content_sha256"] == known


@pytest.mark.parametrize(
    "times", [[0, 2, 1], [[0, 1, 2]] * 3 + [[0, 2, 2]], [0, 1], [0, 1, np.nan], [[0, 1, 2]] * 3]
)
def test_times_must_fit_and_increase(values, times):
    with pytest.raises(ValueError, match="times"):
        trajectories(values, times)


def test_wrong_values_names_and_objects_are_refused(values):
    for wrong in (values[:, :, 0], values[:0], [values[0], values[2, :, :1]]):
        with pytest.raises(ValueError, match="values"):
            trajectories(wrong, TIMES)
    with pytest.raises(ValueError, match="sample 2 is a copy of sample 0"):
        trajectories(values[[0, 1, 0]], TIMES)
    assert trajectories(values[[0, 0]], [[0, 1, 2], [0, 1, 3]]).n_obs == 6, "at other times"
    with pytest.raises(ValueError, match="gene_names: .*A"):
        trajectories(values, TIMES, ["A", "A"])
    for wrong in (values, ad.AnnData(values[0])):
        with pytest.raises(TypeError, match="trajectories: .* sample, time"):
            as_trajectories(wrong)
    values[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="cell '1_2' in column 'A'"):
        trajectories(values, TIMES, ["A", "B"])
