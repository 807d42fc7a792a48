"""Every published data set that is on this machine is read as it always was."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sbnn import load_dataset, results

SAVED = Path(__file__).parents[3] / "saved_models"
#: Shape, the largest group of cells or times, and projections of X, counts, outputs, prior and
#: truth, as far as there are any.
KNOWN = {
    "scala": ((1213, 1000), ("Pvalb", 286), [1509.20903, 573184.169, 177.577381]),
    "scala_34c_counts": ((185, 30749), ("Sst", 110), [96142.9803, 96142.9803]),
    "citeseq_cd8": ((1774, 1000), ("CD8 off", 522), [-249.585996, -340.56606, -6.71600944]),
    "pbmc_5k_protein": ((200, 1000), ("unknown", 200), [143.741021, 2948.83808, 97.7802958]),
    "pbmc_10k_protein": ((200, 1000), ("unknown", 200), [-218.026861, -1646.83562, -165.154588]),
    "gouwens_ephys": ((4215, 45), ("SST", 1823), [18884.0992]),
    "gouwens_ephys_relative": ((4215, 45), ("SST", 1823), [19229.1201]),
    "lee_human": ((702, 93), ("PVALB", 369), [1603.0713]),
    "papalexi": ((16093, 299), ("non-targeting", 1912), [353.252259]),
    "yeast_pramila": ((48, 500), ("train", 24), [-6.14983911, 10.8488555]),
    "breast_desmedt": ((186, 500), ("train", 178), [-0.190975607, 13.3802489, -39.2707315]),
    "grn_350": ((800, 350), ("train", 750), [0.699490829, 6.4047017, -3.95114165]),
    "grn_690": ((800, 690), ("train", 750), [24.6565871, -4.86926271, -7.34351968]),
}
SLOW = ("grn_350", "grn_690")  # simulated from a published network
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in KNOWN]


def projection(values):
    """One number that changes with every entry, and with the order of rows and columns."""
    if sparse.issparse(values):
        values = values.toarray()
    values = np.nan_to_num(np.asarray(values, dtype=float))
    n_rows, n_columns = values.shape
    return np.cos(np.arange(n_rows)) @ values @ np.cos(np.arange(n_columns))


def tables_of(adata):
    tables = [adata.X, adata.layers.get("counts"), adata.obsm.get("outputs")]
    tables += [adata.varp.get("prior"), adata.varp.get("truth")]
    return [table for table in tables if table is not None]


def groups_of(adata):
    for column in ("perturbation", "split", "family", "type"):
        if column in adata.obs:
            return adata.obs[column].value_counts()
    raise KeyError("no groups")


@pytest.mark.parametrize("name", NAMES)
def test_published_data_are_read_as_they_were(name):
    plain = name.removesuffix("_relative")
    options = {} if plain == name else {"relative": True}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* replaces .*")
            adata = load_dataset(plain, download=False, verbose=False, **options)
    except FileNotFoundError:
        pytest.skip(f"the files of {name} are not on this machine")
    shape, (group, size), projections = KNOWN[name]
    assert adata.shape == shape
    assert adata.uns["sbnn"]["name"] == name
    sizes = groups_of(adata)
    assert (sizes.index[0], sizes.iloc[0]) == (group, size)
    found = [projection(table) for table in tables_of(adata)]
    assert found == pytest.approx(projections, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("name", ["scala", "citeseq_cd8", "lee_human", "papalexi"])
def test_committed_records_are_of_the_same_data(name):
    try:
        adata = load_dataset(name, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip(f"the files of {name} are not on this machine")
    records = map(results.load, sorted((SAVED / name).glob("*.pickle")))
    assert any(record.sha256 == adata.uns["sbnn"]["sha256"] for record in records)
