"""Every published data set that is on this machine is read as it always was."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sbnn import load_dataset
from sbnn.data.checks import dense

pytestmark = pytest.mark.filterwarnings("ignore:8 of 185 cells have no type")

#: Shape, the largest group of cells or times, and projections of X, counts, outputs, prior and
#: truth, as far as there are any.
KNOWN = pd.read_csv(Path(__file__).with_name("published_sets.csv"), index_col="name")
#: The first two are simulated from a published network; the last has 16,093 cells.
SLOW = ("grn_350", "grn_690", "papalexi")
OF_R = ("citefuse", "tcga_breast")
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in KNOWN.index]


@pytest.fixture(scope="module", params=NAMES)
def known(request):
    """What is known about one of the data sets."""
    return KNOWN.loc[request.param]


@pytest.fixture(scope="module")
def adata(known):
    name = known.name.removesuffix("_relative")
    options = {"relative": True} if name != known.name else {}
    if name in OF_R:
        pytest.importorskip("rdata")
    try:
        return load_dataset(name, download=False, verbose=False, **options)
    except FileNotFoundError:
        pytest.skip(f"the files of {name} are not on this machine")


def test_published_data_have_their_shape_and_name(adata, known):
    assert adata.shape == (known["n_rows"], known["n_columns"])
    assert adata.uns["sbnn"]["name"] == known.name


def test_the_largest_group_is_the_known_one(adata, known):
    groups = adata.obs.columns.intersection(["perturbation", "split", "family", "type"])
    sizes = adata.obs[groups[0]].value_counts()
    assert sizes.index[0] == known["largest"]
    assert sizes.iloc[0] == known["size"]


def projection(values):
    """One number that changes with every entry, and with the order of rows and columns."""
    values = np.nan_to_num(dense(values))
    n_rows, n_columns = values.shape
    return np.cos(np.arange(n_rows)) @ values @ np.cos(np.arange(n_columns))


def test_published_values_are_read_as_they_were(adata, known):
    tables = [adata.X, *adata.layers.values(), *adata.obsm.values()]
    tables += [adata.varp[key] for key in ("prior", "truth") if key in adata.varp]
    projections = [projection(table) for table in tables]
    expected = [float(number) for number in known["projections"].split()]
    assert projections == pytest.approx(expected, rel=1e-5, abs=1e-4)


#: Median totals; where no number is given, `X` was not computed from counts.
LIBRARY_SIZES = {
    "scala": 364168,
    "citeseq_cd8": 196,
    "pbmc_5k_protein": 614,
    "pbmc_10k_protein": 395.5,
    "citefuse": 271,
}


def test_readers_note_the_library_size(adata, known):
    assert adata.uns["sbnn"].get("library_size") == LIBRARY_SIZES.get(known.name)
