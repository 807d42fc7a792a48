"""Tables of later dates: intervals over days, and R2 without the mean error of each output."""

import numpy as np
import pandas as pd
import pytest
from material.records import made_up

from sbnn.study.later_dates import intervals_over_days, r2_without_offsets

TRAIN, TEST = np.arange(20), np.arange(20, 60)


@pytest.fixture
def outputs():
    values = np.random.default_rng(0).normal(5, 3, size=(60, 2))
    return pd.DataFrame(values, [f"cell{i}" for i in range(60)], ["Tau", "AHP"])


@pytest.fixture
def measured(outputs):
    """Outputs of the test cells, in SD of the training cells."""
    of_training = outputs.iloc[TRAIN]
    scaled = (outputs - of_training.mean()) / of_training.std(ddof=0)
    return scaled.iloc[TEST].to_numpy()


def record_of(predicted):
    return made_up({"test_predictions": [[predicted]]}, folds=[(TRAIN, TEST)])


def test_without_offsets_a_shifted_prediction_is_perfect(outputs, measured):
    table = r2_without_offsets({"shifted": record_of(measured - [0.2, -0.7])}, outputs)
    expected = 1 - 40 * (0.2**2 + 0.7**2) / np.square(measured).sum()
    assert table.loc["shifted", "test R²"] == pytest.approx(expected)
    assert table.loc["shifted", "without offsets"] == pytest.approx(1)
    assert table.loc["shifted", "largest offset"] == "AHP, 0.7 SD"


def test_days_are_resampled_not_cells(outputs, measured):
    """One day of ten is predicted at all; it is drawn up to some times, and often not."""
    days = pd.Series(np.repeat(range(15), 4), outputs.index)
    one_day = measured * (days.iloc[TEST] == 7).to_numpy()[:, np.newaxis]
    records = {"one day": record_of(one_day), "ridge": record_of(np.zeros_like(measured))}
    table = intervals_over_days(records, outputs, days)
    assert table.loc["one day", "low"] == 0
    share = np.square(one_day).sum() / np.square(measured).sum()
    assert 1.5 * share < table.loc["one day", "high"] < 6 * share
