import re
import warnings

import numpy as np
import pandas as pd
import pytest

from sbnn import LeaveOneOutRidge
from sbnn.data.checks import check_outliers, dates_among
from sbnn.data.paired import as_paired, paired
from sbnn.data.preprocessing import log2p1, normalize_library_size, select_genes
from sbnn.data.readers.tables import read_tables
from sbnn.data.screens import screen
from sbnn.data.typed_cells import typed_cells
from sbnn.evaluation.folds import folds_of, later_fold


@pytest.mark.parametrize("n_genes", [5, 200])  # in one block and in several
@pytest.mark.parametrize("value", [1e30, -1e30, np.nan, -np.inf])
def test_values_beyond_arithmetic_are_refused_by_cell_and_gene(rng, n_genes, value):
    X = rng.normal(size=(40, n_genes)).astype("f4")
    X[3, n_genes - 2] = value
    with pytest.raises(
        ValueError, match=re.escape(f" of cell 'c3' in column 'g{n_genes - 2}' is {value:g}")
    ):
        check_outliers(X, "X", [f"c{i}" for i in range(40)], [f"g{j}" for j in range(n_genes)])


def test_rare_genes_and_great_units_are_no_outliers(rng):
    rare = np.zeros((40, 3))
    rare[5, 0] = 12.0  # one cell expresses it
    rare[:, 2] = 7.0
    large = 1e9 + 1e9 * rng.normal(size=(40, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in (rare, large, rng.standard_cauchy((1000, 3)), np.zeros((1, 3))):
            check_outliers(values, "X")


def tables():
    rng = np.random.default_rng(0)
    counts = pd.DataFrame(
        rng.poisson(9, (40, 6)) + 1, [f"c{i}" for i in range(40)], [f"g{i}" for i in range(6)]
    )
    X = pd.DataFrame(log2p1(normalize_library_size(counts)), counts.index, counts.columns)
    return X, pd.DataFrame(rng.normal(-50, 3, (40, 2)), X.index, ["Vrest", "Rin"]), counts


X, Y, COUNTS = tables()
FOLD = np.arange(20, 40), np.arange(20)
MASKED = np.ma.masked_array(Y.to_numpy(), Y.to_numpy() < -55)


def marked(value, every=9):
    return Y.assign(Rin=Y["Rin"].where(np.arange(40) % every > 0, value))


def test_what_is_probably_a_mistake_is_named():
    for message, call in (
        ("Y: .*: -999 in 5 cells of column 'Rin'", lambda: read_tables(X, marked(-999))),
        ("Y: .*: -999 in 1 cell ", lambda: paired(X, marked(-999, 40))),
        ("Y: .*: -99 in 5 cells", lambda: paired(X, marked(-99))),
        ("Y: .*: 9999 in 5 cells", lambda: LeaveOneOutRidge().fit(X, marked(9999))),
        ("X: .*: 999 in 5 cells of column 'Rin'", lambda: typed_cells(marked(999).where(Y < -40))),
        ("IDs of the cells: ID", lambda: read_tables(X, Y.assign(ID=range(2, 82, 2)))),
        (
            "!dates instead of column names, such as 1-Mar",
            lambda: read_tables(X.rename(columns={"g1": "1-Mar"}), Y),
        ),
        (
            "!row names, such as 2024-03-01",
            lambda: read_tables(X.rename(columns={"g1": "2024-03-01"}).T, Y),
        ),
        ("instead of gene names.*Sep-02", lambda: paired(X.rename(columns={"g1": "Sep-02"}), Y)),
        ("!Y: .* masked", lambda: LeaveOneOutRidge().fit(X, MASKED)),
        ("!Y: .* masked", lambda: paired(X.to_numpy(), MASKED)),
        ("!X: .* masked", lambda: LeaveOneOutRidge().fit(MASKED, X)),
        ("!X: .* masked", lambda: typed_cells(MASKED)),
        ("!counts: .* masked", lambda: screen(MASKED, ["a"] * 40)),
        ("counts: correlation with X", lambda: paired(X, Y, counts=COUNTS[::-1])),
        ("counts: correlation with X", lambda: paired(X, Y, counts=COUNTS.iloc[:, ::-1])),
        ("swapped", lambda: read_tables(Y, X)),
        ("!labels: .*subclass", lambda: read_tables(X, Y, type_key="subclass")),
        (
            "!fold 1 has the same cells as fold 0",
            lambda: folds_of([FOLD, (FOLD[0][::-1], FOLD[1])], 40),
        ),
        ("!tests a cell twice", lambda: folds_of([(FOLD[0], [1, 1])], 40)),
        ("!times: .*'9'", lambda: later_fold(["9", "10"])),
        ("!times: .*'1.2.2020'", lambda: later_fold(["1.2.2020", "3.1.2020"])),
        ("!share", lambda: later_fold([1, 2], share=2)),
        ("counts: .* log values", lambda: select_genes(X.where(COUNTS > 9, 0), 2)),
    ):
        error = message.startswith("!")
        with (
            pytest.raises(ValueError, match=message[1:])
            if error
            else pytest.warns(UserWarning, match=message)
        ):
            call()


def test_usual_tables_give_no_alarm():
    assert [dates_among(["1-Mar", *others]) for others in (["Sst"], ["Sst", "Vip"])] == [
        [],
        ["1-Mar"],
    ]
    percent = Y.assign(Rin=np.minimum(99, np.arange(40) * 3 % 100 + 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paired(X, percent, counts=COUNTS)
        as_paired(
            (
                X.set_axis([f"2024-03-{i:02}" for i in range(1, 7)], axis=1),
                Y[::-1].set_axis(X.index),
            )
        )
        later_fold(["2018-09-17", "2018-10-01"])
        select_genes(COUNTS.where(COUNTS > 9, 0), 2)
