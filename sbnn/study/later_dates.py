"""Tables of models that are tested on cells of later dates, a single split."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sbnn.results import Record

N_RESAMPLES = 1000


def intervals_over_days(
    records: Mapping[str, Record], outputs: pd.DataFrame, days: pd.Series, reference: str = "ridge"
) -> pd.DataFrame:
    """95 % interval of the difference in test R2 from a model; days of test cells are resampled.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations over the split of `sbnn.later_fold`, by the title of their model.
    outputs : DataFrame
        Of all cells.
    days : Series
        Of all cells.
    reference : str
        Title of a model.

    Returns
    -------
    DataFrame
        Columns ``low`` and ``high``, a row for each other model.
    """
    measured = _scaled_test_outputs(records[reference], outputs)
    squares = {"total": np.square(measured).sum(axis=1)}
    for title, record in records.items():
        error = measured - record.test_predictions[0][0]
        squares[title] = np.square(error).sum(axis=1)
    of_days = pd.DataFrame(squares).groupby(days[measured.index].to_numpy()).sum()
    draws = [of_days.sample(frac=1, replace=True, random_state=i) for i in range(N_RESAMPLES)]
    sums = pd.DataFrame([draw.sum() for draw in draws])
    test_r2 = 1 - sums.drop(columns="total").div(sums["total"], axis=0)
    differences = test_r2.drop(columns=reference).sub(test_r2[reference], axis=0)
    return differences.quantile([0.025, 0.975]).T.set_axis(["low", "high"], axis=1)


def r2_without_offsets(records: Mapping[str, Record], outputs: pd.DataFrame) -> pd.DataFrame:
    """Test R2 with and without the mean error of each output, and the largest of these offsets.

    Parameters
    ----------
    records, outputs
        As in `intervals_over_days`.

    Returns
    -------
    DataFrame
        A row for each model. Offsets are measured minus predicted, in SD of the training cells.
    """
    rows = {}
    for title, record in records.items():
        measured = _scaled_test_outputs(record, outputs)
        error = measured - record.test_predictions[0][0]
        offset = error.mean()
        total = np.square(measured).sum().sum()
        rows[title] = {
            "test R²": 1 - np.square(error).sum().sum() / total,
            "without offsets": 1 - np.square(error - offset).sum().sum() / total,
            "largest offset": f"{offset.abs().idxmax()}, {offset.abs().max():.1f} SD",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _scaled_test_outputs(record, outputs):
    """Outputs of the test cells, z-scored with the training cells."""
    [(train, test)] = record.folds
    of_training = outputs.iloc[train]
    scaled = (outputs - of_training.mean()) / of_training.std(ddof=0)
    return scaled.iloc[test]
