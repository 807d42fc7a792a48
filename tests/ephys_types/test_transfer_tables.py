"""Gains of transfer are paired fold by fold, after the draws of a fold were averaged."""

import numpy as np
import pandas as pd
import pytest

from sbnn.ephys_types.report import CONTROL, by_size, curves_table, gain, sizes_of, zero_shot_table
from sbnn.evaluation.verdict import corrected_difference
from sbnn.results import Record


def curves(gains=(0.1, 0.2, 0.0, 0.1), shift=0.0):
    """Two seeds of two folds, sizes 25 (two draws) and all (of 80 or 81 cells)."""
    rows = []
    for (seed, fold), extra in zip([(0, 0), (0, 1), (1, 0), (1, 1)], gains, strict=True):
        for n_cells, draws in ((25, 2), (80 + fold, 1)):
            for draw in range(draws):
                base = 0.5 + 0.01 * fold + 0.1 * draw
                key = {"n_cells": n_cells, "seed": seed, "fold": fold, "draw": draw, "accuracy": 0.6}
                rows.append(key | {"model": "trees", "method": "human only", "macro_f1": base})
                rows.append(key | {"model": "trees", "method": "transfer", "macro_f1": base + extra + shift * draw})
                rows.append(key | {"model": "trees", "method": CONTROL, "macro_f1": base + 0.04 * (fold + 1)})
                rows.append(key | {"model": "source", "method": "transfer", "macro_f1": 0.4})
    scores = pd.DataFrame(rows).sample(frac=1, random_state=0)
    return Record("learning-curves", "d", "s", [{}], settings={"sizes": [25, None]}, values={"scores": scores})


def test_draws_are_averaged_and_folds_are_paired():
    scores = by_size(curves(shift=0.02))
    assert sizes_of(scores) == [25, "all"] and len(scores) == 4 * 2 * 4
    found = gain(scores, "trees", "transfer", 25)
    assert found == pytest.approx(corrected_difference(np.array([0.11, 0.21, 0.01, 0.11]), 0.25))
    assert gain(scores, "trees", "transfer", "all").mean == pytest.approx(0.1)
    assert gain(scores, "trees", "transfer", "all", "accuracy").mean == 0
    assert gain(scores, "source", "transfer", 25) is None and gain(scores, "trees", "human only", 25) is None


def test_transfer_is_held_against_a_second_expert_of_the_same_cells_too():
    scores = by_size(curves())
    found = gain(scores, "trees", "transfer", 25, over=CONTROL)
    assert found == pytest.approx(corrected_difference(np.array([0.06, 0.12, -0.04, 0.02]), 0.25))
    assert gain(scores, "trees", CONTROL, 25).mean == pytest.approx(0.06)
    assert gain(scores, "trees", CONTROL, 25, over=CONTROL) is None
    assert gain(scores, "trees", "human only", 25, over=CONTROL) is None
    assert gain(scores, "source", "transfer", 25, over=CONTROL) is None
    table = curves_table(curves()).loc["25"]
    columns = ["gain over two", "low over two", "high over two"]
    assert tuple(table.loc[("trees", "transfer"), columns]) == pytest.approx(found[:3])
    assert table.drop(("trees", "transfer"))[columns].isna().all(axis=None)
    assert table.loc[("trees", CONTROL), "gain"] == pytest.approx(0.06)


def test_folds_that_lack_a_counterpart_are_refused():
    record = curves()
    gone = record.scores[["seed", "fold", "method", "model"]].eq([0, 1, "human only", "trees"]).all(axis=1)
    record.values["scores"] = record.scores[~gone]
    with pytest.raises(ValueError, match="folds of 'trees', 'transfer' and 'human only' at 25 cells"):
        gain(by_size(record), "trees", "transfer", 25)


def test_the_table_has_every_size_model_and_method():
    table = curves_table(curves())
    kinds = {("trees", "human only"), ("trees", CONTROL), ("trees", "transfer"), ("source", "transfer")}
    assert set(table.index) == {(size, *kind) for size in ("25", "all") for kind in kinds}
    assert list(table.index.get_level_values("cells")) == ["25"] * 4 + ["all"] * 4
    assert set(table.loc["25"].loc["trees"].index) == {"human only", CONTROL, "transfer"}
    assert table.loc["25"].loc["trees"].index[0] == "human only"
    without, row = table.loc[("25", "trees", "human only")], table.loc[("25", "trees", "transfer")]
    assert without["macro_f1"] == pytest.approx(0.555) and row["macro_f1"] == pytest.approx(0.655)
    assert row["sd"] == pytest.approx(0.05 * np.sqrt(2))
    assert row["gain"] == pytest.approx(0.1) and row["low"] < 0.1 < row["high"] and np.isnan(without["gain"])
    assert np.isnan(table.loc[("all", "source", "transfer"), "gain"])


def test_zero_shot_is_told_by_direction():
    scores = pd.DataFrame(
        {
            "way": ["m -> h"] * 3 + ["h -> m"],
            "method": ["shift", "own", "shift", "shift"],
            "seed": [0, 0, 1, 0],
            "macro_f1": [0.6, 0.4, 0.5, 0.7],
            "accuracy": [0.6, 0.5, 0.8, 0.7],
        }
    )
    table = zero_shot_table(Record("zero-shot", "h", "s", [{}], values={"scores": scores}))
    assert list(table.index) == [("m -> h", "shift"), ("m -> h", "own"), ("h -> m", "shift")]
    assert table.loc[("m -> h", "shift")].tolist() == pytest.approx([0.55, np.sqrt(0.005), 0.7])
