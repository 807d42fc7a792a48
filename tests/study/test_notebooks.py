"""The notebooks run top to bottom, computing everything in fast mode, on simulated and on real data."""

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from sbnn import load_dataset, results
from sbnn.dynamics.study import STUDY as DYNAMICS
from sbnn.ephys_types.study import STUDY as TYPES
from sbnn.mechanism_shift.study import STUDY as SCREENS
from sbnn.study import reproduce
from sbnn.study.notebooks import make_small, run_notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [ROOT / "notebooks" / name for name in reproduce.NOTEBOOKS["sbnn"]]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["simulated", "scala"])
def test_all_notebooks_run_top_to_bottom(dataset, tmp_path, request):
    if dataset == "scala":
        request.getfixturevalue("real_scala")
    places = {"saved_models": str(tmp_path / "saved_models"), "figures": str(tmp_path / "figures")}
    for path in NOTEBOOKS:
        run_notebook(path, tmp_path / path.name, dataset=dataset, fast=True, n_jobs=1, **places)
        notebook = nbformat.read(tmp_path / path.name, as_version=4)
        assert all("papermill" not in part.metadata for part in (notebook, *notebook.cells))
    shown = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    drawn = {path.name for path in (tmp_path / "figures" / f"{dataset}-fast").glob("*.png")}
    assert len(shown) == len(drawn), "the last notebook shows every figure"
    assert drawn == {path.name for path in (ROOT / "figures" / dataset).glob("*.png")}, "what is committed"
    saved = tmp_path / "saved_models" / f"{dataset}-fast"
    for name in ("cv_network", "cv_default", "cv_ridge", "cv_srrr", "fit_default_2d", "gene_selection", "gene_prior"):
        assert results.load(saved / f"{name}.pickle").values
    assert (saved / "noise.pickle").exists() == (dataset == "simulated")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "dataset"),
    [
        (TYPES, "simulated_ephys"), (TYPES, "lee_human"), (SCREENS, "simulated_screen"), (SCREENS, "papalexi"),
        (DYNAMICS, "grn_350"), (DYNAMICS, "yeast_pramila"),
    ],
)  # fmt: skip
def test_the_notebook_of_a_companion_computes_saves_and_shows_everything(study, dataset, tmp_path):
    try:
        load_dataset(dataset, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip("the data are not on this machine")
    [name] = reproduce.NOTEBOOKS[study.name]
    places = {"saved_models": str(tmp_path / "saved_models"), "figures": str(tmp_path / "figures")}
    run_notebook(ROOT / "notebooks" / name, tmp_path / name, dataset=dataset, fast=True, **places)
    outputs = [output for cell in nbformat.read(tmp_path / name, 4).cells for output in cell.get("outputs", [])]
    names = study.figure_names(study.load(tmp_path / "saved_models" / f"{dataset}-fast"))
    drawn = {path.name for path in (tmp_path / "figures" / f"{dataset}-fast").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in names for ending in ("pdf", "png")}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(names) > 1


def test_what_takes_space_or_differs_between_runs_is_dropped():
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(content := io.BytesIO(), "png")
    image, view = base64.b64encode(content.getvalue()).decode(), "application/vnd.jupyter.widget-view+json"
    output = nbformat.v4.new_output("display_data", {"image/png": image, view: {}, "text/plain": "50%"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("draw()", outputs=[output])])
    notebook.metadata |= {"widgets": {"a": 1}, "papermill": {"time": 3}, "kernelspec": {"name": "python3"}}
    make_small(notebook)
    data = notebook.cells[0].outputs[0].data
    assert set(notebook.metadata) == {"kernelspec"} and set(data) == {"image/png", "text/plain"}
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as small:
        assert small.size == (60, 40) and small.mode == "P"
