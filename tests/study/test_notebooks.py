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

SAVED, FIGURES = (reproduce.ROOT / folder for folder in ("saved_models", "figures"))
COMMITTED = sorted(
    p.name for p in SAVED.iterdir() if p.name in reproduce.DATASETS and reproduce._notebooks(p.name)
)


def run_all(dataset, figures, **parameters):
    """Run the notebooks of a data set; names of the figures they have saved."""
    here = list_datasets()[dataset][0].split()[0] == "available"
    for path in reproduce._notebooks(dataset):
        if here or path.stem.startswith(reproduce.REDRAW):
            run_cells(path.stem, dataset=dataset, figures=str(figures), **parameters)
        elif not here:
            pytest.skip("the data are not on this machine")
    return {path.stem for path in figures.glob(f"{dataset}*/*.png")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dataset", COMMITTED)
def test_committed_results_are_taken_and_committed_figures_drawn(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(
        runs, "save", lambda record, path: pytest.fail(f"{path} was computed again")
    )
    assert run_all(dataset, tmp_path) == {path.stem for path in (FIGURES / dataset).glob("*.png")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "dataset", ["simulated", "scala", "simulated_ephys", "simulated_screen", "simulated_grn"]
)
def test_a_quick_run_computes_saves_and_shows_everything(dataset, tmp_path):
    drawn = run_all(dataset, tmp_path, saved_models=str(tmp_path), fast=True, n_jobs=1)
    saved = {path.stem for path in (tmp_path / f"{dataset}-fast").glob("*.pickle")}
    assert saved and all(
        results.load(tmp_path / f"{dataset}-fast" / f"{name}.pickle").values for name in saved
    )
    committed = {path.stem for path in (FIGURES / dataset).glob("*.png")}
    assert len(drawn) > 1 and drawn <= {path.stem for path in FIGURES.glob("*/*.png")}
    assert drawn == committed or reproduce.DATASETS[dataset].study != "sbnn"


@pytest.mark.slow
def test_the_command_executes_a_notebook_and_keeps_it_small(tmp_path):
    reproduce.reproduce("04", "simulated", figures=tmp_path)
    made = reproduce.ROOT / "build" / "notebooks" / "simulated" / "04_figures.ipynb"
    notebook = nbformat.read(made, as_version=4)
    assert all("papermill" not in part.metadata for part in (notebook, *notebook.cells))
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert (
        sum("image/png" in output.get("data", {}) for output in shown)
        == len(list(tmp_path.glob("*/*.png")))
        > 5
    )


def test_what_takes_space_or_differs_between_runs_is_dropped():
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(content := io.BytesIO(), "png")
    image, view = (
        base64.b64encode(content.getvalue()).decode(),
        "application/vnd.jupyter.widget-view+json",
    )
    output = nbformat.v4.new_output(
        "display_data", {"image/png": image, view: {}, "text/plain": "50%"}
    )
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("draw()", outputs=[output])]
    )
    notebook.metadata |= {
        "widgets": {"a": 1},
        "papermill": {"time": 3},
        "kernelspec": {"name": "python3"},
    }
    make_small(notebook)
    data = notebook.cells[0].outputs[0].data
    assert set(notebook.metadata) == {"kernelspec"} and set(data) == {"image/png", "text/plain"}
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as small:
        assert small.size == (60, 40) and small.mode == "P"
