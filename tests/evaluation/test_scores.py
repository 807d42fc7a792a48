"""Scores of several records in one table, and means as text."""

import numpy as np
import pandas as pd
import pytest
from material.records import made_up

from sbnn.evaluation.scores import label_rows, mean_sd, scores_table


def score_record(seeds, **scores):
    """Scores by seed."""
    table = pd.DataFrame({"seed": seeds, **scores})
    return made_up({"scores": table})


@pytest.fixture
def table():
    of_b = score_record([4, 2], f1=[0.1, 0.3])
    of_a = score_record([4], mcc=[0.5])
    return scores_table({"b": of_b, "a": of_a})


def test_rows_are_methods_in_their_order_and_seeds(table):
    assert table.index.names == ["method", "seed"]
    assert table.index.tolist() == [("b", 4), ("b", 2), ("a", 4)]


def test_a_score_that_a_method_lacks_is_missing(table):
    assert table["f1"].dropna().tolist() == [0.1, 0.3]
    assert table["mcc"].dropna().tolist() == [0.5]


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.5, 0.7], "0.600 ± 0.141"), ([0.5], "0.500"), ([np.nan, np.nan], "")],
)
def test_means_are_written_with_the_sample_sd(values, text):
    assert mean_sd(values) == text


def test_rounding_errors_are_no_sd():
    assert mean_sd([0.1 + 0.2, 0.3], "#.3g", ".1g") == "0.300 ± 0"


def test_methods_with_results_are_in_the_labels_order():
    columns = {"F1": pd.Series({"b": 0.1, "a": 0.2}), "MCC": pd.Series({"a": 0.3})}
    table = label_rows(columns, {"a": "first", "c": "without", "b": "second"})
    assert table.index.tolist() == ["first", "second"]
    assert table["F1"].tolist() == [0.2, 0.1]
