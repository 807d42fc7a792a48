"""Scores of several records in one table, and their means as text."""

import pandas as pd


def scores_table(records):
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


def mean_sd(values, digits=".3f", sd_digits=".3f"):
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
    values = pd.Series(values).dropna()
    if values.empty:
        return ""
    text = format(values.mean(), digits)
    if len(values) > 1:
        sd = round(values.std(), 9)  # equal values have an SD of 0, not of the rounding errors
        text += f" ± {sd:{sd_digits}}"
    return text


def label_rows(columns, labels):
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
