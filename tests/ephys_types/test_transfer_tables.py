"""Gains of transfer are paired fold by fold, after the draws of a fold were averaged."""

import numpy as np
import pandas as pd
import pytest

from sbnn.ephys_types.report import CONTROL, by_size, curves_table, zero_shot_table
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
                rows.append(key | {"model": "source", "method": "transfer", "macro_f1": 0.4})
                rows.append(key | {"model": "trees", "method": "human only", "macro_f1": base})
                rows.append(key | {"model": "trees", "method": CONTROL, "macro_f1": base + 0.04 * (fold + 1)})
                rows.append(key | {"model": "trees", "method": "transfer", "macro_f1": base + extra + shift * draw})
    scores = {"scores": pd.DataFrame(rows)}
    return Record("learning-curves", "d", "s", [{}], settings={"sizes": [25, None]}, values=scores)


def test_draws_are_averaged_and_folds_are_paired():
    record = curves(shift=0.02)
    assert len(by_size(record)) == 4 * 2 * 4
    gain, low, high = "gain", "low", "high"
    table = curves_table(record)
    found = table.loc[("25", "trees", "transfer"), [gain, low, high]]
    assert tuple(found) == pytest.approx(corrected_difference(np.array([0.11, 0.21, 0.01, 0.11]), 0.25)[:3])
    over_two = table.loc[("25", "trees", "transfer"), [f"{name} over two" for name in (gain, low, high)]]
    assert tuple(over_two) == pytest.approx(corrected_difference(np.array([0.07, 0.13, -0.03, 0.03]), 0.25)[:3])
    assert table.loc[("all", "trees", "transfer"), gain] == pytest.approx(0.1)
    assert table.loc[("25", "trees", CONTROL), gain] == pytest.approx(0.06)
    expected = {("trees", CONTROL), ("trees", "transfer")}  # the others have no counterpart
    assert set(table[gain].dropna().index.droplevel(0)) == expected
    assert set(table["gain over two"].dropna().index.droplevel(0)) == {("trees", "transfer")}


def test_the_table_has_every_size_model_and_method():
    table = curves_table(curves())
    kinds = [("source", "transfer"), ("trees", "human only"), ("trees", CONTROL), ("trees", "transfer")]
    assert list(table.index) == [(size, *kind) for size in ("25", "all") for kind in kinds]
    row = table.loc[("25", "trees", "transfer")]
    assert row["macro_f1"] == pytest.approx(0.655) and row["accuracy"] == pytest.approx(0.6)
    assert row["sd"] == pytest.approx(0.05 * np.sqrt(2))


def test_zero_shot_is_told_by_direction():
    rows = [("m -> h", "shift", 0.6, 0.6), ("m -> h", "own", 0.4, 0.5), ("m -> h", "shift", 0.5, 0.8)]
    scores = pd.DataFrame([*rows, ("h -> m", "shift", 0.7, 0.7)], columns=["way", "method", "macro_f1", "accuracy"])
    table = zero_shot_table(Record("zero-shot", "h", "s", [{}], values={"scores": scores}))
    assert list(table.index) == [("m -> h", "shift"), ("m -> h", "own"), ("h -> m", "shift")]
    assert table.loc[("m -> h", "shift")].tolist() == pytest.approx([0.55, np.sqrt(0.005), 0.7])
