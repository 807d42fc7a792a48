"""Scores of several records in one table, and means as text."""

import numpy as np
import pandas as pd

from sbnn.evaluation.scores import label_rows, mean_sd, scores_table
from sbnn.results import Record


def record(seeds, **scores):
    """Scores by seed."""
    table = pd.DataFrame({"seed": seeds, **scores})
    return Record("made up", "d", "s", [{}], values={"scores": table})


def test_rows_are_methods_in_their_order_and_seeds():
    """A score that a method lacks is missing."""
    table = scores_table({"b": record([4, 2], f1=[0.1, 0.3]), "a": record([4], mcc=[0.5])})
    assert table.index.names == ["method", "seed"]
    assert table.index.tolist() == [("b", 4), ("b", 2), ("a", 4)]
    assert table["f1"].dropna().tolist() == [0.1, 0.3]
    assert table["mcc"].dropna().tolist() == [0.5]


def test_one_value_has_no_sd_and_missing_ones_no_text():
    assert mean_sd([0.5, 0.7]) == "0.600 ± 0.141"
    assert mean_sd([0.5]) == "0.500"
    assert mean_sd([np.nan, np.nan]) == ""
    assert mean_sd([0.1 + 0.2, 0.3], "#.3g", ".1g") == "0.300 ± 0"


def test_only_methods_with_results_are_shown_in_the_order_of_the_labels():
    columns = {"F1": pd.Series({"b": 0.1, "a": 0.2}), "MCC": pd.Series({"a": 0.3})}
    table = label_rows(columns, {"a": "first", "c": "without", "b": "second"})
    assert table.index.tolist() == ["first", "second"]
    assert table["F1"].tolist() == [0.2, 0.1]
