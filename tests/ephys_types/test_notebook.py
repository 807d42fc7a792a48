"""The notebook of electrophysiology -> type runs top to bottom in fast mode, on simulated and on real cells."""

from pathlib import Path

import nbformat
import pytest

from sbnn import results
from sbnn.data.datasets import load_dataset
from sbnn.ephys_types.models import MODELS
from sbnn.ephys_types.study import STUDY
from sbnn.study.notebooks import run_notebook

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "05_ephys_types.ipynb"


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["simulated_ephys", "lee_human"])
def test_it_computes_saves_and_shows_everything(dataset, tmp_path):
    try:
        load_dataset(dataset, download=False, verbose=False) if dataset == "lee_human" else None
    except FileNotFoundError:
        pytest.skip("the human cells are not on this machine")
    places = {"saved_models": str(tmp_path / "saved_models"), "figures": str(tmp_path / "figures")}
    run_notebook(NOTEBOOK, tmp_path / "run.ipynb", dataset=dataset, fast=True, n_jobs=1, **places)
    outputs = [output for cell in nbformat.read(tmp_path / "run.ipynb", 4).cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if "image/png" in output.get("data", {})]
    records = STUDY.load(tmp_path / "saved_models" / f"{dataset}-fast")
    drawn = {path.name for path in (tmp_path / "figures" / f"{dataset}-fast").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in STUDY.figure_names(records) for ending in ("pdf", "png")}
    assert len(shown) == len(STUDY.figure_names(records))
    assert {f"types_{name}" for name in MODELS} < set(records)
    assert {"types_cells", "types_families_lightgbm", "transfer_zero_shot", "transfer_curves"} < set(records)
    for path in (tmp_path / "saved_models").rglob("*.pickle"):
        assert results.load(path).values
