"""Tables as spreadsheets, R and other countries write them: either the right numbers, or an error that says why.

The form of a table is drawn at random; each function gives how often that was tried.
"""

import random
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn import read_tables

CELLS = ["zelle 1", "c2", "c3", "Ünit", "c5", "c6", "c7", "c8"]


def tables(rng):
    """Expression and outputs of eight cells; one gene looks like a missing value, one like a date."""
    draws = np.random.default_rng(rng.randrange(2**32))
    X = pd.DataFrame(draws.normal(5, 2, size=(8, 4)).round(3), index=CELLS, columns=["Gad1", "NA", "MARCH1", "Vip"])
    Y = pd.DataFrame(draws.normal(size=(8, 2)).round(4) * 10, index=CELLS, columns=["Tau (µs)", "AP width"])
    return X, Y


def text(table, rng):
    """A table as bytes of a random dialect, and the dialect."""
    dialect = {"sep": rng.choice([",", ";", "\t"]), "decimal": rng.choice([".", ","])}
    dialect |= {"lineterminator": rng.choice(["\n", "\r\n"]), "quoting": rng.choice([0, 1, 2])}
    encoding = rng.choice(["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
    content = table.to_csv(**dialect)
    if rng.random() < 0.2:
        content = content[content.index(dialect["sep"]) + 1 :]  # R names no column of row names
    return content.encode(encoding), dialect | {"encoding": encoding}


def in_any_dialect(folder, seed, times=40):
    """Separators, decimal commas, line ends, quotes, byte-order marks and encodings; cells in another order."""
    rng = random.Random(seed)
    for _ in range(times):
        X, Y = tables(rng)
        shuffled = Y.loc[rng.sample(CELLS, len(CELLS))]
        paths = {"expression": X, "outputs": shuffled}
        for what, table in paths.items():
            content, dialect = text(table.T if rng.random() < 0.3 else table, rng)
            path = Path(folder, f"{what}.{'tsv' if rng.random() < 0.2 else 'csv'}")
            path.write_bytes(content)
            paths[what] = path
        right_or_refused(paths, X, Y, dialect)
    return times


def right_or_refused(paths, X, Y, told):
    """Nothing else: a table that is read has, for every cell that is kept, its own values under their own names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = read_tables(**paths)
        except ValueError as error:
            named = any(what in str(error) for what in ("expression", "outputs", "Y holds"))  # the last with its cell
            assert named, f"{error} does not name the table: {told}"
            return
    outputs, left_out = data.obsm["outputs"], set().union(*data.uns["sbnn"]["dropped"].values())
    assert set(data.obs_names) <= set(X.index) <= {*data.obs_names, *left_out}, f"cells vanished: {told}"
    assert set(data.var_names) == set(X.columns) and set(outputs) == set(Y.columns), told
    np.testing.assert_array_equal(data.X, X.loc[data.obs_names, data.var_names].astype("f4"), str(told))
    np.testing.assert_array_equal(outputs, Y.loc[data.obs_names, outputs.columns].astype("f4"), str(told))
