"""Scores of several records in one table, and their means as text."""

from collections.abc import Mapping

import pandas as pd
from numpy.typing import ArrayLike

from sbnn.results import Record


def scores_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Scores of all fits: a row for each method and seed, and a column for each score.

    Parameters
    ----------
    records : dict of str to Record
        By method, each with a table of ``scores`` by ``seed``. For a cross-validation, see
        `sbnn.results.Record.to_frame`.

    Returns
    -------
    DataFrame
        The index is ``method``, in the order of `records`, and ``seed``.
    """
    scores = {method: record.scores.set_index("seed") for method, record in records.items()}
    return pd.concat(scores, names=["method"])


def mean_sd(values: ArrayLike, digits: str = ".3f", sd_digits: str = ".3f") -> str:
    """Mean ± sample SD as text.

    A single value has no SD. The text is empty if all values are missing.

    Parameters
    ----------
    values : array-like
        Over folds, repeats or seeds.
    digits, sd_digits : str
        Format specifications of the mean and the SD.

    Examples
    --------
    >>> mean_sd([0.4, 0.5, 0.6])
    '0.500 ± 0.100'
    """
    present = pd.Series(values).dropna()
    if present.empty:
        return ""
    text = format(present.mean(), digits)
    if len(present) > 1:
        sd = round(present.std(), 9)  # equal values have an SD of 0, not of the rounding errors
        text += f" ± {sd:{sd_digits}}"
    return text


def label_rows(columns: Mapping[str, pd.Series], labels: Mapping[str, str]) -> pd.DataFrame:
    """Table with a row for each method that has results, under its label.

    Parameters
    ----------
    columns : dict of str to Series
        By title, each indexed by method.
    labels : dict of str to str
        Labels of methods, in display order.
    """
    table = pd.DataFrame(columns, index=list(labels)).dropna(how="all")
    return table.rename(labels).rename_axis("method")
