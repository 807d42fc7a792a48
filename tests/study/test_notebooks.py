"""The notebooks load every committed result, draw every committed figure, and compute anew."""

import pytest
from notebook import NOTEBOOKS, run_cells

from sbnn import cli
from sbnn.data.datasets import list_datasets
from sbnn.evaluation import runs

FIGURES = cli.REPOSITORY / "figures"
# of each study one; those of types and of dynamics are run by the tests of these studies
COMMITTED = ["scala", "papalexi", "own_data/simulated"]


def run_all(dataset, figures, **parameters):
    """Run the notebooks of a data set; names of the figures they have saved."""
    if list_datasets()["state"].get(dataset, "here") != "here":
        pytest.skip("the data are not on this machine")
    for number, names in cli.NOTEBOOKS.items():
        for path in NOTEBOOKS.glob(f"{number}_*") if dataset in names else ():
            run_cells(path.stem, dataset=dataset, figures=str(figures), **parameters)
    return {path.stem for path in figures.glob(f"{dataset}*/*.png")}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", COMMITTED)
def test_committed_results_are_taken_and_committed_figures_drawn(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "save", lambda record, path: pytest.fail(f"{path}: computed again"))
    assert run_all(dataset, tmp_path) == {path.stem for path in (FIGURES / dataset).glob("*.png")}


# of few cells, epochs and seeds
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:n_components > n_samples:UserWarning")
@pytest.mark.filterwarnings("ignore:.* of the shifts may or may not be edges:UserWarning")
@pytest.mark.filterwarnings("ignore:the one-step error of the network in held-out:UserWarning")
@pytest.mark.filterwarnings(
    "ignore:(divide by zero|invalid value) encountered:RuntimeWarning:scipy"
)
@pytest.mark.parametrize(
    "dataset", ["scala", "simulated", "simulated_ephys", "simulated_screen", "simulated_grn"]
)
def test_a_quick_run_computes_saves_and_shows_everything(dataset, tmp_path):
    drawn = run_all(dataset, tmp_path, saved_models=str(tmp_path), fast=True, n_jobs=1)
    assert [*(tmp_path / f"{dataset}-fast").glob("*.pickle.xz")]
    assert drawn and drawn <= {path.stem for path in FIGURES.glob("*/*.png")}
