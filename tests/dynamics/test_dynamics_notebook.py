"""Notebook 06 takes the committed results, one of each kind of which is made again."""

import pandas as pd
import pytest
from notebook import run_cells
from same import ROOT, assert_among_starts

from sbnn import results
from sbnn.data.datasets import list_datasets
from sbnn.dynamics import evaluation
from sbnn.evaluation.runs import configure

SAVED = ROOT / "saved_models"
FIT = evaluation.fit_and_score  # that of the package, which the test replaces
# endings of the names of records in the notebook
FOLDERS = {
    "grn_350": "",
    "grn_690": "_690",
    "yeast_pramila": "_yeast",
    "breast_desmedt": "_breast",
    "hematopoiesis": "_blood",
}


@pytest.mark.slow
def test_committed_results_are_recognised_and_come_out_the_same(tmp_path, monkeypatch):
    if not (list_datasets()["state"][[*FOLDERS]] == "here").all():
        pytest.skip("the data are not here")
    monkeypatch.setattr(evaluation, "fit_and_score", None)  # nothing is computed anew
    committed = run_cells("06_dynamics", dataset="grn_350", saved_models=SAVED, figures=tmp_path)
    for name, ending in FOLDERS.items():
        stored = results.load_folder(SAVED / name, "dynamics_", data_of=lambda record: None)
        assert committed[f"records{ending}"].keys() == stored.keys()
    for models, data, record in (
        ("everything", "data", "grn_350/dynamics_noise_5_dash"),
        ("of_yeast", "yeast", "yeast_pramila/dynamics_real_path_reg"),
    ):
        stored = results.load(SAVED / f"{record}.pickle.xz")
        model = configure(committed[models][stored.params[0]["method"]], {}, 0)
        row = FIT(model, committed[data][0])
        # records of PHOENIX were saved before precision was a score; tables derive it
        compared = [column for column in row if column in stored.scores and column != "seconds"]
        assert_among_starts(pd.Series(row)[compared].astype(float), stored.scores[compared])
