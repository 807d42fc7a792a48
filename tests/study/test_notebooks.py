"""The notebooks load every committed result, draw every committed figure, and compute anew."""

import base64
import io

import nbformat
import numpy as np
import pytest
from notebook import run_cells
from PIL import Image

from sbnn import results
from sbnn.data.datasets import list_datasets
from sbnn.evaluation import runs
from sbnn.study import reproduce
from sbnn.study.notebooks import make_small

SAVED = reproduce.ROOT / "saved_models"
FIGURES = reproduce.ROOT / "figures"
# of each study one; those of types and of dynamics are run by the tests of these studies
COMMITTED = ["scala", "papalexi"]


def run_all(dataset, figures, **parameters):
    """Run the notebooks of a data set; names of the figures they have saved."""
    if list_datasets().loc[dataset, "state"] != "here":
        pytest.skip("the data are not on this machine")
    for path in reproduce._notebooks(dataset):
        run_cells(path.stem, dataset=dataset, figures=str(figures), **parameters)
    return {path.stem for path in figures.glob(f"{dataset}*/*.png")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dataset", COMMITTED)
def test_committed_results_are_taken_and_committed_figures_drawn(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "save", lambda record, path: pytest.fail(f"{path}: computed again"))
    assert run_all(dataset, tmp_path) == {path.stem for path in (FIGURES / dataset).glob("*.png")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "dataset", ["simulated", "simulated_ephys", "simulated_screen", "simulated_grn"]
)
def test_a_quick_run_computes_saves_and_shows_everything(dataset, tmp_path):
    drawn = run_all(dataset, tmp_path, saved_models=str(tmp_path), fast=True, n_jobs=1)
    saved = [*(tmp_path / f"{dataset}-fast").glob("*.pickle")]
    assert saved
    for path in saved:
        assert results.load(path).values
    assert len(drawn) > 1
    assert drawn <= {path.stem for path in FIGURES.glob("*/*.png")}
    if reproduce.DATASETS[dataset].study == "sbnn":
        assert drawn == {path.stem for path in (FIGURES / dataset).glob("*.png")}


@pytest.mark.slow
def test_the_command_executes_a_notebook_and_keeps_it_small(tmp_path):
    reproduce.reproduce("03", "simulated", figures=tmp_path)
    made = reproduce.ROOT / "build" / "notebooks" / "simulated" / "03_model.ipynb"
    notebook = nbformat.read(made, as_version=4)
    assert "papermill" not in notebook.metadata
    assert made.read_text().count('"image/png"') > 5
    saved = {path.stem for path in (tmp_path / "simulated").glob("*.png")}
    assert saved == {path.stem for path in (FIGURES / "simulated").glob("*.png")}


def test_what_takes_space_or_differs_between_runs_is_dropped():
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "png")
    shown = {"image/png": base64.b64encode(content.getvalue()).decode(), "text/plain": "50%"}
    shown["application/vnd.jupyter.widget-view+json"] = {}
    output = nbformat.v4.new_output("display_data", shown)
    cell = nbformat.v4.new_code_cell("draw()", outputs=[output], metadata={"execution": {}})
    metadata = {"widgets": {"a": 1}, "papermill": {"time": 3}, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata=metadata)
    make_small(notebook)
    data = notebook.cells[0].outputs[0].data
    assert (set(notebook.metadata), notebook.cells[0].metadata) == ({"language_info"}, {})
    assert set(data) == {"image/png", "text/plain"}
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as small:
        assert (small.size, small.mode) == ((60, 40), "P")


def test_dots_of_similar_colours_stay_apart():
    """A dot in one of two similar colours beside a shaded bar, which has most of the colours."""
    bar = np.linspace(0, 255, 400).astype(np.uint8)
    picture = np.full((100, 400, 3), 255, np.uint8)
    picture[:80] = np.stack([bar, bar[::-1], np.full_like(bar, 128)], axis=1)
    dots = {10: (230, 159, 0), 60: (213, 94, 0)}
    for x, color in dots.items():
        picture[88:92, x : x + 4] = color
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "png")
    shown = {"image/png": base64.b64encode(content.getvalue()).decode()}
    output = nbformat.v4.new_output("display_data", shown)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    make_small(notebook)
    stored = base64.b64decode(notebook.cells[0].outputs[0].data["image/png"])
    with Image.open(io.BytesIO(stored)) as small:
        found = np.asarray(small.convert("RGB"), int)
    for x, color in dots.items():
        assert np.abs(found[90, x + 2] - color).max() < 20
