"""The notebook of gene-regulatory dynamics runs top to bottom in fast mode, on simulated and on real samples."""

from pathlib import Path

import nbformat
import pytest

from sbnn.data.datasets import load_dataset
from sbnn.dynamics.study import STUDY
from sbnn.study.notebooks import run_notebook

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "07_dynamics.ipynb"


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["grn_350", "yeast_pramila"])
def test_it_computes_saves_and_shows_everything(dataset, tmp_path):
    try:
        load_dataset(dataset, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip("the data are not on this machine")
    places = {"saved_models": str(tmp_path), "figures": str(tmp_path / "figures")}
    run_notebook(NOTEBOOK, tmp_path / "run.ipynb", dataset=dataset, fast=True, **places)
    outputs = [output for cell in nbformat.read(tmp_path / "run.ipynb", 4).cells for output in cell.get("outputs", [])]
    names = STUDY.figure_names(STUDY.load(tmp_path / f"{dataset}-fast"))
    drawn = {path.name for path in (tmp_path / "figures" / f"{dataset}-fast").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in names for ending in ("pdf", "png")}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(names) > 1
