"""Trajectories: what is given is kept, samples have any length, and wrong input is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sbnn.dynamics.data import Samples, as_trajectories, prior_matrix, trajectories

TIMES = [0.0, 1.0, 3.0]
ALL = slice(None)


@pytest.fixture
def values(rng):
    """Four samples of two genes."""
    return rng.random((4, 3, 2))


# --- arrays


@pytest.fixture
def course(values):
    return trajectories(values.tolist(), TIMES, ["A", "B"], name="mine")


def test_values_times_and_genes_are_kept(course, values):
    samples = as_trajectories(course)
    assert_array_equal(samples.values, values)
    assert_array_equal(samples.times, [TIMES] * 4)
    assert samples.gene_names.tolist() == ["A", "B"]


def test_values_have_double_precision(course):
    assert course.X.dtype == np.float64


def test_rows_are_named_by_sample_and_position(course):
    assert course.obs_names.tolist()[2:5] == ["0_2", "1_0", "1_1"]


def test_a_data_set_has_its_name(course):
    assert course.uns["sbnn"]["name"] == "mine"


def test_times_may_be_a_part_of_a_table(values):
    """Whose rows have other numbers."""
    part = pd.Series(TIMES, index=[5, 6, 7])
    assert as_trajectories(trajectories(values, part)).times[0].tolist() == TIMES


def test_genes_of_tables_are_matched_by_name(values):
    first, second = (pd.DataFrame(sample, columns=["A", "B"]) for sample in values[:2])
    course = trajectories([first, second[["B", "A"]]], TIMES)
    assert_array_equal(as_trajectories(course).values, values[:2])
    assert course.var_names.tolist() == ["A", "B"]


def change_column(course, **columns):
    """The same trajectories with other columns in obs."""
    changed = course.copy()
    changed.obs = course.obs.assign(**columns)
    return changed


HOURS = pd.to_timedelta(TIMES * 4, unit="h")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"time": ["0h", "1h", "3h"] * 4}, "time: expected numbers, got '0h' in row '0_0'"),
        ({"time": HOURS}, "time: Timedelta.* not supported"),
        ({"sample": [None] * 3 + ["b"] * 9}, "sample: there is none for the rows 0_0, 0_1, 0_2"),
    ],
    ids=["text", "spans", "sample"],
)
def test_columns_of_an_anndata_are_checked(course, columns, message):
    with pytest.raises(ValueError, match=message):
        as_trajectories(change_column(course, **columns))


def test_columns_are_in_the_order_of_stored_results(course):
    assert [*course.obs] == ["sample", "time"]


def test_values_of_an_anndata_are_logarithms(course):
    course.X = course.X + 99
    with pytest.raises(ValueError, match="values: up to .* no log values"):
        as_trajectories(course)


# --- tables


@pytest.fixture
def table(values):
    """Rows of the samples y and x in turn."""
    table = pd.DataFrame(values[:2].reshape(6, 2), columns=["A", "B"])
    return table.assign(sample=["y", "x"] * 3, time=np.repeat(TIMES, 2))


def test_samples_of_a_table_have_any_length(table):
    samples = as_trajectories(trajectories(table.iloc[:5]))
    assert [times.tolist() for times in samples.times] == [TIMES, TIMES[:2]]


def test_samples_of_a_table_keep_their_order(table):
    samples = as_trajectories(trajectories(table))
    assert_array_equal(samples.values[0], table[["A", "B"]].iloc[::2])


def test_columns_of_a_table_are_genes(table):
    assert trajectories(table).var_names.tolist() == ["A", "B"]


def test_values_may_be_sparse(table):
    data = trajectories(table)
    expected = as_trajectories(data).values
    data.X = sparse.csr_array(data.X)
    assert_array_equal(as_trajectories(data).values, expected)


@pytest.mark.parametrize(
    ("column", "rows", "value", "message"),
    [
        ("B", 4, np.nan, "values: NaN in cell 'y_2', column 'B'"),
        ("B", ALL, "low", "got 'low' in row '0', column 'B'"),
        ("A", ALL, 99, "up to 99, .* no log values"),
        ("time", 4, 0, "sample y"),
        ("sample", 4, "z", "sample z"),
        ("time", 4, None, "trajectories: NaN in cell 'y_2', column 'time'"),
        ("sample", ALL, None, "sample: there is none for the rows None_0"),
    ],
)
def test_wrong_values_of_a_table_are_named(table, column, rows, value, message):
    table = table.astype({column: object})
    table.loc[rows, column] = value
    with pytest.raises(ValueError, match=message):
        trajectories(table)


ARRAY = np.eye(3, 2)
NAMED = pd.DataFrame(ARRAY, columns=["A", "B"])
ONE_SAMPLE = NAMED.assign(sample=0, time=TIMES)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([ONE_SAMPLE.drop(columns="time")], ValueError, "no column time among A, B, sample"),
        ([NAMED.assign(time=0)], ValueError, "no column sample among A, B, time"),
        ([NAMED], ValueError, "no column sample and time"),
        (
            [pd.concat([ONE_SAMPLE, ONE_SAMPLE])],
            ValueError,
            "increasing times in sample 0, got 0.0, 1.0, 3.0, 0.0",
        ),
        (
            [ONE_SAMPLE.rename(columns={"A": "Unnamed: 0"})],
            ValueError,
            "Unnamed: 0 is no gene",
        ),
        ([ONE_SAMPLE, None, ["B", "A"]], ValueError, "gene_names: "),
        ([ONE_SAMPLE, TIMES], TypeError, "times: "),
        ([[ARRAY]], TypeError, "times: expected the times of each sample"),
        ([[ARRAY], TIMES[:2]], ValueError, "times: expected a time for each row"),
        (
            [[ARRAY, ARRAY[:, :1]], TIMES],
            ValueError,
            r"values: expected the same genes .* got \[1, 2\]",
        ),
        (
            [[NAMED, NAMED.rename(columns={"A": "C"})], TIMES],
            ValueError,
            "values: .*missing: A; not expected: C",
        ),
        ([ARRAY[np.newaxis].astype("m8[h]"), TIMES], ValueError, "values: .* not supported"),
        ([[1j * ARRAY], TIMES], ValueError, "values: "),
        ([[np.ma.masked_equal(ARRAY, 1)], TIMES], ValueError, "values: "),
        ([[ARRAY], np.arange(3).astype("M8[D]")], ValueError, "times: Datetime64"),
        ([[ARRAY], ["0h", "1h", "3h"]], ValueError, "times: expected numbers, got '0h'"),
        (
            [[ARRAY], pd.to_timedelta(TIMES, unit="h")],
            ValueError,
            "times: Timedelta.* not supported",
        ),
    ],
)
def test_mistakes_of_whole_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        trajectories(*arguments)


# --- priors


@pytest.fixture
def prior():
    """Of the genes b and 1, in another order of the targets."""
    return pd.DataFrame([[0, 2.0], [-2.0, 0]], index=["b", 1], columns=[1, "b"])


def test_genes_missing_from_a_prior_have_no_edge(prior):
    part = prior.loc[["b"], ["b"]]
    assert_array_equal(prior_matrix(part, ["1", "b"]), [[0, 0], [0, 2]])


@pytest.mark.parametrize(
    ("edges", "genes", "message"),
    [
        (np.empty((0, 2)), ["1", "b"], r"expected the shape .*2 by 2, got \(0, 2\)"),
        ([[0, 0.3], [0, -1]], ["1", "b"], "expected signs of one size.* from 0.3 to 1"),
        (pd.DataFrame(0, [*"bab"], [*"ab"]), [*"ab"], ".* repeated gene names: 'b'"),
        (pd.DataFrame(np.nan, [*"ab"], [*"ab"]), [*"ab"], "NaN"),
        (pd.DataFrame("+", [*"ba"], [*"ab"]), [*"ab"], "expected numbers, got '\\+' in row 'b'"),
        (
            pd.DataFrame(0, ["z", 1], [1, "b"]),
            ["1", "b"],
            "z are not among the genes, which are 1, b",
        ),
    ],
    ids=["shape", "sizes", "twice", "missing", "text", "unknown"],
)
def test_priors_of_another_form_are_refused(edges, genes, message):
    with pytest.raises(ValueError, match=f"prior: {message}"):
        prior_matrix(edges, genes)


def test_priors_may_be_sparse():
    edges = np.array([[0, 1.0], [-1.0, 0]])
    assert_array_equal(prior_matrix(sparse.csr_array(edges), "ab"), edges)


# --- the arrays that models use


@pytest.fixture
def samples(rng):
    """Of four and of two times."""
    return Samples(
        values=[rng.random((4, 2)), rng.random((2, 2))],
        times=[np.array([0.0, 1, 3, 4]), np.array([2.0, 5])],
        gene_names=np.array(["a", "b"]),
    )


def test_intervals_lie_between_consecutive_times(samples):
    _, _, times = samples.intervals()
    assert_array_equal(times, [[0, 1], [1, 3], [3, 4], [2, 5]])


def test_intervals_have_values_at_both_ends(samples):
    before, after, _ = samples.intervals()
    long, short = samples.values
    assert_array_equal(before, [*long[:-1], short[0]])
    assert_array_equal(after, [*long[1:], short[1]])


def test_samples_are_selected_by_position(samples):
    short = samples.select([1])
    assert_array_equal(short.values, [samples.values[1]])
    assert_array_equal(short.times, [[2, 5]])


def test_short_samples_are_padded(samples):
    """With their last values."""
    values, times = samples.pad()
    assert_array_equal(times, [[0, 1, 3, 4], [2, 5, 5, 5]])
    assert_array_equal(values[0], samples.values[0])
    assert_array_equal(values[1], samples.values[1][[0, 1, 1, 1]])


def test_the_layout_in_memory_is_kept(samples):
    """In another layout, sums are rounded differently."""
    gene_major = Samples(samples.values, samples.times, samples.gene_names, gene_major=True)
    values, _ = samples.pad()
    other_values, _ = gene_major.pad()
    assert_array_equal(other_values, values)
    assert values.strides == (64, 16, 8)
    assert other_values.strides == (64, 8, 32)
