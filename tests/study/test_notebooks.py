"""The notebooks run top to bottom, computing everything in fast mode, on simulated and on real data."""

from pathlib import Path

import nbformat
import pytest

from sbnn import results
from sbnn.study.notebooks import run_notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[1-4]_*.ipynb"))  # 05: tests/ephys_types/test_notebook.py


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
    drawn = {path.name for path in (tmp_path / "figures" / f"{dataset}-fast").iterdir()}
    assert len(shown) == len(drawn) / 2, "the last notebook shows every figure"
    saved = tmp_path / "saved_models" / f"{dataset}-fast"
    for path in saved.glob("*.pickle"):
        assert results.load(path).values
    steps = {"cv_network", "cv_default", "cv_ridge", "cv_srrr", "fit_default_2d", "gene_selection", "interpretation"}
    assert steps <= {path.stem for path in saved.iterdir()}
    assert ("noise.pickle" in {path.name for path in saved.iterdir()}) == (dataset == "simulated")
    committed = {path.name for path in (ROOT / "figures" / dataset).iterdir()}
    assert drawn == committed, "the notebooks draw what is committed"


def test_a_failing_notebook_is_an_error(tmp_path):
    cell = nbformat.v4.new_code_cell("dataset = 'simulated'", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("1 / 0")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "bad.ipynb")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        run_notebook(tmp_path / "bad.ipynb", tmp_path / "out.ipynb", dataset="simulated")
