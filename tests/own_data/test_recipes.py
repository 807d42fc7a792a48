"""Recipes of docs/own_data.md run on the files that they are for, and give their cells.

The programs that the recipes name wrote the files (`files/make.py`, `files/make.R`).
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from material.paths import ROOT

from sbnn.own_data.names import PAGE
from sbnn.own_data.tables import read_tables

FILES = Path(__file__).parent / "files"
DOCS = ROOT / "docs"
[SECTION] = re.findall(
    r"^## Prepare your files\n(.*?)^## ", (DOCS / "own_data.md").read_text(), re.M | re.S
)
IMPORTS, *RECIPES = re.findall(r"^```python\n(.*?)^```$", SECTION, re.M | re.S)

COUNTS, EPHYS, PROTEINS, DRUGS, REGIONS = (
    pd.read_csv(FILES / f"{name}.csv", index_col=0)
    for name in ("counts", "ephys", "proteins", "drugs", "methylation")
)
LOGS = np.log2(PROTEINS + 1)
CODED, MISSING = (
    pd.read_csv(FILES / f"ephys_{name}.csv", index_col=0) for name in ("coded", "missing")
)
KINDS = {kind: REGIONS.filter(like=kind).mean(axis=1) for kind in ("enhancer", "promoter")}
#: What recipes give that do not give the cells of ephys.csv, by a text of the recipe.
OUTPUTS = {
    "protein": LOGS,
    "mine.h5mu": LOGS,
    "drugs.csv": np.minimum(DRUGS, np.quantile(DRUGS, 0.99, axis=0)),
    "methylation.csv": pd.DataFrame(KINDS),
    "ephys_coded.csv": CODED[CODED["Rheobase"] != -999],
    "ephys_missing.csv": MISSING.drop(columns="Tau").fillna(MISSING.median()),
}
#: The log values of recipes that do not give counts.
EXPRESSION = {
    "tcga_rna.csv": np.log2(COUNTS + 1),
    "scaled.h5ad": np.log1p(COUNTS.div(COUNTS.sum(axis=1), axis=0) * 1e4),
}
PATIENTS = [f"TCGA-OR-A5J{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWX"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The current folder, with a copy of the files."""
    monkeypatch.chdir(shutil.copytree(FILES, tmp_path / "files"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda code: code.splitlines()[-1])
@pytest.mark.filterwarnings("ignore:.* left out")
@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_a_recipe_gives_the_cells_of_its_file(recipe, files):
    for package in re.findall(r"^import (\w+)", recipe, re.M):
        pytest.importorskip(package)
    if "read_loom" in recipe:
        pytest.importorskip("loompy")
    names = {"expression": COUNTS, "outputs": EPHYS}
    exec(IMPORTS + recipe, names)
    data = read_tables(names["expression"], names["outputs"], names.get("labels"))
    barcodes = dict(zip(PATIENTS, COUNTS.index, strict=True))
    cells = [barcodes.get(name, name) for name in data.obs_names]
    [outputs] = [OUTPUTS[text] for text in OUTPUTS if text in recipe] or [EPHYS]
    np.testing.assert_allclose(data.obsm["outputs"], outputs.loc[cells], rtol=1e-6)
    logs = [EXPRESSION[text] for text in EXPRESSION if text in recipe]
    for expression in logs:
        np.testing.assert_allclose(data.X, expression.loc[cells], rtol=1e-6)
    if not logs:
        np.testing.assert_array_equal(data.to_df("counts"), COUNTS.loc[cells])


def test_semicolons_and_decimal_commas_are_read_together(files, tmp_path):
    data = read_tables(COUNTS, "ephys_semicolons.csv")
    np.testing.assert_allclose(data.obsm["outputs"], EPHYS, rtol=1e-6)
    both = tmp_path / "both.csv"
    both.write_text(Path("ephys_semicolons.csv").read_text().replace(",", ".", 1))
    with pytest.raises(ValueError, match="expected numbers, got '.*,.*'"):
        read_tables(COUNTS, both)


@pytest.mark.parametrize(
    "name",
    [
        "filtered_feature_bc_matrix",
        "filtered_feature_bc_matrix.h5",
        "filtered_feature_bc_matrix/matrix.mtx.gz",
        "mine.h5mu",
        "mine.loom",
        "mine.RData",
        "mine.xlsx",
        "ephys_spaces.txt",
        "ephys_commas.txt",
        "ephys_thousands.csv",
        "ephys_long.csv",
        "ephys_numbered.csv",
        "proteins_as_genes.csv",
        "methylation.csv",
        "tcga_proteins.csv",
    ],
)
@pytest.mark.filterwarnings("ignore:.* left out")
def test_a_file_that_needs_a_recipe_is_refused_with_the_section(name, files):
    page, section = PAGE.split(", ")
    heading = section.strip('"')
    assert f"## {heading}\n" in (DOCS.parent / page).read_text()
    with pytest.raises(ValueError, match=f"see {PAGE}$"):
        read_tables(COUNTS, name)
