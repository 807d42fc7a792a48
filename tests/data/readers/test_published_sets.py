"""Every published data set that is on this machine is read as it always was."""

import hashlib
import warnings

import numpy as np
import pytest
from scipy import sparse

from sbnn import load_dataset

#: Shape, projections of X, counts, outputs, prior and truth as far as there are any, and a
#: fingerprint of all text.
KNOWN = {
    "scala": ((1213, 1000), [1509.20903, 573184.169, 177.577381], "7f3879bc2656"),
    "scala_34c_counts": ((185, 30749), [96142.9803, 96142.9803], "132f2017f09f"),
    "citeseq_cd8": ((1774, 1000), [-249.585996, -340.56606, -6.71600944], "8b8a3444070e"),
    "pbmc_5k_protein": ((200, 1000), [143.741021, 2948.83808, 97.7802958], "26a390b66be4"),
    "pbmc_10k_protein": ((200, 1000), [-218.026861, -1646.83562, -165.154588], "e4b8fac80bae"),
    "gouwens_ephys": ((4215, 45), [18884.0992], "9fc844ee03b4"),
    "gouwens_ephys_relative": ((4215, 45), [19229.1201], "034506b1f78e"),
    "lee_human": ((702, 93), [1603.0713], "90bb35d81856"),
    "papalexi": ((16093, 299), [353.252259], "307d8beaa410"),
    "yeast_pramila": ((48, 500), [-6.14983911, 10.8488555], "3e0c2dd017ae"),
    "breast_desmedt": ((186, 500), [-0.190975607, 13.3802489, -39.2707315], "9b312c3369a5"),
    "grn_350": ((800, 350), [0.699490829, 6.4047017, -3.95114165], "a668b69d5cf2"),
    "grn_690": ((800, 690), [24.6565871, -4.86926271, -7.34351968], "0620e2258448"),
}
SLOW = ("grn_350", "grn_690")  # simulated from a published network


def projection(values):
    """One number that changes with every entry, and with the order of rows and columns."""
    values = np.asarray(values.toarray() if sparse.issparse(values) else values, dtype=float)
    rows, columns = (np.cos(np.arange(size)) for size in values.shape)
    return float(rows @ np.nan_to_num(values) @ columns)


def described(adata):
    tables = [
        adata.X,
        adata.layers.get("counts"),
        adata.obsm.get("outputs"),
        *map(adata.varp.get, ("prior", "truth")),
    ]
    about = adata.uns["sbnn"]
    text = [
        adata.obs.to_csv(),
        adata.var.to_csv(),
        *adata.obsm.get("outputs", []),
        *adata.uns.get("type_colors", []),
    ]
    text += [about["name"], about["sha256"], *map(str, about["files"].items())]
    text += map(str, about.get("dropped", {}).items())
    numbers = [projection(table) for table in tables if table is not None]
    return adata.shape, numbers, hashlib.sha256("\n".join(text).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in KNOWN]
)
def test_published_data_are_read_as_they_were(name):
    plain = name.removesuffix("_relative")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* replaces .*")
            options = {} if plain == name else {"relative": True}
            shape, numbers, text = described(
                load_dataset(plain, download=False, verbose=False, **options)
            )
    except FileNotFoundError:
        pytest.skip(f"the files of {name} are not on this machine")
    assert (shape, text) == KNOWN[name][::2]
    assert numbers == pytest.approx(KNOWN[name][1], rel=1e-5, abs=1e-4)
