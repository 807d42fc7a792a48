"""Readers go by the names of rows and columns in published files, whatever their order."""

import importlib
import pkgutil
from types import SimpleNamespace
from unittest.mock import patch

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from material.comparisons import assert_alike, backwards, named
from material.layouts import (
    HUMAN,
    MOTOR_CORTEX,
    MOUSE,
    SCREEN,
    TRAJECTORIES,
    TURNED_TRAJECTORIES,
    as_published,
    blood_clustering,
    blood_tables,
    human_features,
    mouse_features,
    visual_cortex_fields,
)
from scipy import sparse
from scipy.io import savemat

import sbnn
from sbnn.data.readers import citeseq


def turned(table):
    """The table with rows and columns from the last to the first."""
    for axis in range(len(table.shape)):
        table = backwards(table, axis)
    return table


def as_it_is(table):
    return table


def tables_of_readers():
    """Tables in the order in which readers take them; one of them has another cell or gene."""
    counts, proteins = blood_tables(np.random.default_rng(0))
    proteins["CD4_stained"] = 1
    mouse, human = as_published(MOUSE), as_published(HUMAN)
    labels = as_published(MOTOR_CORTEX, "\t")
    rng = np.random.default_rng(0)
    names = [f"20180918sample{i}" for i in range(4)]
    ephys = pd.DataFrame(rng.normal(size=(4, 2)), names, ["AP width", "Tau"])
    cells = [f"20180918_sample_{i}_S1" for i in range(4)]
    genes = pd.DataFrame(rng.integers(5, 500, (4, 4)), list("xyzw"), cells)
    terms = as_published("Symbol\tName\ny\tsodium\nz\tpotassium\nother\tcalcium\n", "\t")
    return {
        "read_cd8": [counts, proteins],
        "read_cell_labels": [labels],
        "read_cord_blood": [counts, proteins, blood_clustering(counts)],
        "read_gouwens_ephys": [mouse_features(), mouse],
        "read_lee_human": [human_features(), human],
        "read_scala": [genes, ephys, labels, terms],
        "read_scala_34c_counts": [genes, labels],
    }


def read_tables(reader, folder, order):
    paths = []
    for table in tables_of_readers()[reader.__name__]:
        path = folder / f"{len(paths)}.csv"
        has_names = not isinstance(table.index, pd.RangeIndex)
        order(table).to_csv(path, sep=table.attrs.get("separator", ","), index=has_names)
        paths.append(path)
    is_cite_seq = reader.__module__.endswith("citeseq")
    return reader(*paths, n_genes=3) if is_cite_seq else reader(*paths)


def read_r_file(reader, folder, order):
    """The objects in the file are given, as its package may be missing."""
    counts, proteins = blood_tables(np.random.default_rng(0))
    controls = [proteins.head(1).set_axis([name]) for name in citeseq.ISOTYPE_CONTROLS]
    stained = order(pd.concat([proteins, *controls]))
    tumours = np.log2(1 + counts.T)
    # subtypes have no names, and are in the order of the transcripts
    subtypes = pd.Series(["Basal", "Her2"] * len(tumours), [*tumours.index] * 2)[: len(tumours)]
    expression = order(tumours)
    tumour_tables = {
        "mrna": SimpleNamespace(to_pandas=lambda: expression),
        "protein": SimpleNamespace(to_pandas=lambda: order(order(proteins.T))),
        "subtype": subtypes[expression.index],
    }
    objects = {
        "CITEseq_example": {"RNA": as_in_r(order(counts)), "ADT": as_in_r(stained)},
        "breast.TCGA": {"data.train": tumour_tables},
    }
    options = {"n_genes": 3} if reader.__name__ == "read_citefuse" else {}
    with patch.object(citeseq, "r_objects", return_value=objects):
        return reader(folder / "objects.rda", **options)


def as_in_r(table):
    """Counts of cells, and names, of a table of genes x cells."""
    return sparse.csr_array(table.T.to_numpy()), table.columns, table.index


def read_trajectories(reader, folder, order):
    """Files that go by the position of genes."""
    texts = TRAJECTORIES if order is as_it_is else TURNED_TRAJECTORIES
    paths = {name: folder / name for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
    files = {
        "read_breast": list(texts)[:7],
        "read_grn": ["equations", "names", "test", "prior"],
        "read_measured": ["train", "test", "names", "prior"],
        "read_trajectories": ["test", "names"],
    }
    data = reader(*[paths[name] for name in files[reader.__name__]])
    if reader.__name__ == "read_grn":  # draws training samples by the position of genes
        data = data[data.obs["split"] == "test"]
    return data


def read_pbmc(reader, folder, order):
    counts, proteins = blood_tables(np.random.default_rng(0))
    adata = order(ad.AnnData(counts.T.astype("f4")))
    proteins = order(proteins.T)
    adata.X = sparse.csr_matrix(adata.X)
    adata.obsm["protein_expression"] = proteins.to_numpy()
    adata.uns["protein_names"] = proteins.columns.to_numpy()
    adata.write_h5ad(folder / "pbmc.h5ad")
    return reader(folder / "pbmc.h5ad", n_genes=3)


def read_visual_cortex(reader, folder, order):
    fields, names = visual_cortex_fields(np.random.default_rng(0))
    cells = order(pd.Series(range(4)))
    for name, values in fields.items():
        if len(values) == len(cells):
            fields[name] = np.array(values, dtype=object)[cells]
    savemat(folder / "release.mat", fields)
    order(pd.Series(names | {"raw_other": "other"})).to_json(folder / "names.json")
    return reader(folder / "release.mat", folder / "names.json")


def read_screen(reader, folder, order):
    """Cells are named by their row in the file, and here by their counts of the guide."""
    labels = order(as_published(SCREEN))
    counts = order(pd.DataFrame(np.arange(12).reshape(4, 3), columns=["CD274", "IRF1", "STAT1"]))
    sparse.save_npz(folder / "counts.npz", sparse.csr_matrix(counts))
    (folder / "genes.txt").write_text("\n".join(counts.columns))
    labels.to_csv(folder / "cells.csv", index=False)
    adata = reader(folder / "counts.npz", folder / "genes.txt", folder / "cells.csv")
    adata.obs_names = adata.obs["guide_umi"].astype(str)
    return adata


#: By module.
FILES = {
    "sbnn.data.readers.citeseq": read_tables,
    "sbnn.data.readers.gouwens": read_visual_cortex,
    "sbnn.data.readers.scala": read_tables,
    "sbnn.dynamics.reader": read_trajectories,
    "sbnn.ephys_types.reader": read_tables,
    "sbnn.mechanism_shift.reader": read_screen,
}
OTHER_FILES = {
    "read_citefuse": read_r_file,
    "read_pbmc": read_pbmc,
    "read_tcga_breast": read_r_file,
}


def published_readers():
    """By name, those of every room."""
    found = {}
    for module in pkgutil.walk_packages(sbnn.__path__, "sbnn."):
        if ".reader" not in module.name:
            continue
        home = importlib.import_module(module.name)
        for name, value in vars(home).items():
            if name.startswith("read_") and getattr(value, "__module__", None) == module.name:
                found[name] = value
    return found


@pytest.mark.filterwarnings("ignore:1 of 4 cells have no type")
@pytest.mark.parametrize("name", published_readers())
def test_files_are_read_by_name(name, tmp_path):
    reader = published_readers()[name]
    read = OTHER_FILES.get(name, FILES[reader.__module__])
    usual = named(read(reader, tmp_path, as_it_is))
    assert_alike(named(read(reader, tmp_path, turned)), usual)
