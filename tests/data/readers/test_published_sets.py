"""Every published data set that is on this machine is read as it always was."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sbnn import load_dataset
from sbnn.data.counts import dense

#: Shape, the largest group of cells or times, and projections of X, counts, outputs, prior and
#: truth, as far as there are any.
KNOWN = pd.read_csv(Path(__file__).with_name("published_sets.csv"), index_col="name")
SLOW = ("grn_350", "grn_690")  # simulated from a published network
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in KNOWN.index]


def loaded(name, **options):
    try:
        return load_dataset(name, download=False, verbose=False, **options)
    except FileNotFoundError:
        pytest.skip(f"the files of {name} are not on this machine")


def projection(values):
    """One number that changes with every entry, and with the order of rows and columns."""
    values = np.nan_to_num(dense(values))
    n_rows, n_columns = values.shape
    return np.cos(np.arange(n_rows)) @ values @ np.cos(np.arange(n_columns))


@pytest.mark.parametrize("name", NAMES)
def test_published_data_are_read_as_they_were(name):
    plain = name.removesuffix("_relative")
    adata = loaded(plain, **({"relative": True} if plain != name else {}))
    known = KNOWN.loc[name]
    assert adata.shape == (known["n_rows"], known["n_columns"])
    assert adata.uns["sbnn"]["name"] == name
    [column, *_] = adata.obs.columns.intersection(["perturbation", "split", "family", "type"])
    sizes = adata.obs[column].value_counts()
    assert (sizes.index[0], sizes.iloc[0]) == (known["largest"], known["size"])
    tables = [adata.X, *adata.layers.values(), *adata.obsm.values()]
    tables += [adata.varp[key] for key in ("prior", "truth") if key in adata.varp]
    expected = list(map(float, known["projections"].split()))
    assert list(map(projection, tables)) == pytest.approx(expected, rel=1e-5, abs=1e-4)
