"""Typed neurons are checked once, and every fact stays with its cell or feature."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.typed_cells import as_typed, typed_cells

CELLS = ["c1", "c2", "c3", "c4"]
TABLE = pd.DataFrame(
    {"vrest": [-70.0, -60, np.nan, -65], "sag": [0.1, np.nan, np.nan, 0.3], "tau": 1}, index=CELLS
)
LABELS = pd.DataFrame(
    {"type": ["VIP", None, "SST", "SST"], "donor": [1, 2, 1, 1], "depth": [0.1, 0.2, 0.3, 0.4]},
    index=["c4", "c3", "c2", "c1"],
)
FAMILIES = {"sag": "sag", "passive": ["vrest", "tau"]}


@pytest.fixture
def adata():
    return typed_cells(TABLE, LABELS, FAMILIES, {"vrest": "mV"}, name="mine")


def test_labels_families_and_units_follow_cells_and_features(adata):
    cells = as_typed(adata)
    assert cells.cell_names.tolist() == CELLS and cells.y.tolist() == [
        "SST",
        "SST",
        "unknown",
        "VIP",
    ]
    assert (
        cells.labels["donor"].tolist() == ["1", "1", "2", "1"]
        and cells.labels["depth"].tolist()[3] == 0.1
    )
    assert cells.families.tolist() == ["passive", "sag", "passive"] and cells.units.tolist() == [
        "mV",
        "",
        "",
    ]
    assert cells.X.dtype == np.float64 and cells.name == "mine" and cells.n_cells == 4
    np.testing.assert_array_equal(cells.X, TABLE)
    assert LABELS["type"].isna().any(), "the table of the caller is left as it was"
    part = as_typed(adata[["c4", "c1"], ["tau", "sag"]].copy())
    assert part.y.tolist() == ["VIP", "SST"] and part.families.tolist() == ["passive", "sag"]
    np.testing.assert_array_equal(part.X, [[1, 0.3], [1, 0.1]])
    bare = as_typed(typed_cells(np.eye(2)))
    assert bare.cell_names.tolist() == ["cell_0", "cell_1"] and bare.y.tolist() == ["unknown"] * 2
    assert (
        bare.feature_names.tolist() == ["feature_0", "feature_1"]
        and bare.families.tolist() == ["all"] * 2
    )


def test_the_fingerprint_is_of_the_content_or_given_for_it(adata):
    lists = {"cells": CELLS, "features": list(TABLE), "types": ["SST", "SST", "unknown", "VIP"]}
    content = fingerprint_parameters({"values": fingerprint_arrays(TABLE.to_numpy(float)), **lists})
    assert as_typed(adata).sha256 == content
    given = typed_cells(TABLE, LABELS, sha256="of the files")
    assert as_typed(given).sha256 == "of the files" == as_typed(given.copy()).sha256
    assert as_typed(given[:2].copy()).sha256 not in ("of the files", content)
    given.obs["type"] = given.obs["type"].replace("SST", "VIP")
    assert as_typed(given).sha256 not in ("of the files", content)


def test_an_anndata_of_another_maker_and_one_from_a_file(adata, tmp_path):
    assert as_typed(ad.AnnData(adata.X, adata.obs, adata.var)).sha256 == as_typed(adata).sha256
    plain = ad.AnnData(adata.X, adata.obs, adata.var[["family"]], uns=adata.uns)  # without units
    assert as_typed(plain).units.tolist() == [""] * 3
    adata.write_h5ad(tmp_path / "cells.h5ad")
    back = as_typed(ad.read_h5ad(tmp_path / "cells.h5ad"))
    assert back.sha256 == as_typed(adata).sha256 and back.families.tolist() == [
        "passive",
        "sag",
        "passive",
    ]
    assert as_typed(back) is back
    with pytest.raises(TypeError, match="^data: .*DataFrame"):
        as_typed(TABLE)
