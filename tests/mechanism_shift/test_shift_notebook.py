"""The notebook of perturbation screens runs top to bottom in fast mode, on simulated and on real cells."""

from pathlib import Path

import nbformat
import pytest

from sbnn.data.datasets import load_dataset
from sbnn.mechanism_shift.study import STUDY
from sbnn.study.notebooks import run_notebook

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "06_mechanism_shift.ipynb"


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["simulated_screen", "papalexi"])
def test_it_computes_saves_and_shows_everything(dataset, tmp_path):
    try:
        load_dataset(dataset, download=False, verbose=False) if dataset == "papalexi" else None
    except FileNotFoundError:
        pytest.skip("the screen is not on this machine")
    places = {"saved_models": str(tmp_path / "saved_models"), "figures": str(tmp_path / "figures")}
    run_notebook(NOTEBOOK, tmp_path / "run.ipynb", dataset=dataset, fast=True, **places)
    outputs = [output for cell in nbformat.read(tmp_path / "run.ipynb", 4).cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if "image/png" in output.get("data", {})]
    records = STUDY.load(tmp_path / "saved_models" / f"{dataset}-fast")
    drawn = {path.name for path in (tmp_path / "figures" / f"{dataset}-fast").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in STUDY.figure_names(records) for ending in ("pdf", "png")}
    assert len(shown) == len(STUDY.figure_names(records)) > 2
