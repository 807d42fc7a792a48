"""Notebook 07 takes the committed results, one of each kind of which is made again."""

import pandas as pd
import pytest
from material.comparisons import assert_among_starts
from material.notebooks import run_cells
from material.paths import SAVED_MODELS

from sbnn import results
from sbnn.data.datasets import list_datasets
from sbnn.dynamics import evaluation
from sbnn.evaluation.runs import configure

# that of the package, which the fixture replaces
FIT_AND_SCORE = evaluation.fit_and_score_network
# endings of the names of records in the notebook
FOLDERS = {
    "grn_350": "",
    "grn_690": "_690",
    "yeast_pramila": "_yeast",
    "breast_desmedt": "_breast",
    "hematopoiesis": "_blood",
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def variables(tmp_path_factory):
    """What the notebook makes of committed results, if nothing is computed anew."""
    if not (list_datasets()["state"][[*FOLDERS]] == "here").all():
        pytest.skip("the data are not here")
    figures = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "fit_and_score_network", None)
        return run_cells(
            "07_dynamics", dataset="grn_350", saved_models=SAVED_MODELS, figures=figures
        )


@pytest.mark.parametrize(("folder", "ending"), [*FOLDERS.items()])
def test_committed_results_are_recognised(variables, folder, ending):
    stored = results.load_folder(SAVED_MODELS / folder, "dynamics_", data_of=lambda record: None)
    targets = {name for name in stored if name.startswith("targets_")}
    of_benchmark = {name for name in stored if name.startswith("published_sparsity_")}
    assert variables[f"records{ending}"].keys() == stored.keys() - targets - of_benchmark
    if targets:  # beside correlation, which has no record
        assert len(variables["of_targets"]) == len(targets) + 1


@pytest.mark.filterwarnings("ignore:no sample was held out")
@pytest.mark.parametrize(
    ("models", "data", "record"),
    [
        ("everything", "data", "grn_350/dynamics_noise_5_dash"),
        ("of_yeast", "yeast", "yeast_pramila/dynamics_real_path_reg"),
    ],
)
def test_committed_results_come_out_the_same(variables, models, data, record):
    stored = results.load(SAVED_MODELS / f"{record}.pickle.xz")
    method = stored.params[0]["method"]
    model = configure(variables[models][method], {}, 0)
    scores = FIT_AND_SCORE(model, variables[data][0])
    # records of PHOENIX were saved before precision was a score; tables derive it
    compared = [name for name in scores if name in stored.scores and name != "seconds"]
    assert_among_starts(pd.Series(scores)[compared].astype(float), stored.scores[compared])
