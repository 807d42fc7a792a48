"""Committed results are what the code gives: one fold of each is fitted again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from same import assert_same

from sbnn import results
from sbnn.ephys_types import study, transfer_study
from sbnn.ephys_types.models import KINDS, MODELS, estimator
from sbnn.evaluation import classification, family_importance
from sbnn.evaluation.classification import cross_validate_classifier

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
DATASETS = ("lee_human", "gouwens_ephys", "simulated_ephys")
RECORDS = [
    (name, kind, model)
    for name in DATASETS
    for kind in KINDS
    for model in MODELS
    if (SAVED / name / f"{kind}_{model}.pickle").exists()
]


@pytest.fixture(scope="module")
def cells():
    loaded = {}

    def load(name):
        try:
            if name not in loaded:
                loaded[name] = study.load_cells(name, **_offline(name))
            return loaded[name]
        except FileNotFoundError:
            pytest.skip(f"the data of {name} are not on this machine")

    return load


def _offline(name):
    return {"verbose": False} if name == "simulated_ephys" else {"verbose": False, "download": False}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "model"), RECORDS)
def test_a_fold_that_is_fitted_again_gives_the_same_numbers(name, kind, model, cells):
    record = results.load(SAVED / name / f"{kind}_{model}.pickle")
    data = cells(name)
    assert (record.dataset, record.sha256) == (data.uns["sbnn"]["name"], data.uns["sbnn"]["sha256"])
    f = len(record.folds) - 1 - sum(map(ord, model)) % len(record.folds)  # some fold, another for each model
    again = cross_validate_classifier(
        estimator(MODELS[model]),
        data,
        [record.folds[f]],
        target=KINDS[kind],
        seed=int(record.repeats[f]),
        verbose=False,
    )
    assert again.settings["keys"][0][0] == record.settings["keys"][0][f], "settings or data are others"
    for value in ("test_predictions", "test_probabilities"):
        if value in record.values:
            if value == "test_predictions":
                np.testing.assert_array_equal(again.values[value][0][0], record.values[value][0][f])
            else:
                assert_same(again.values[value][0][0], record.values[value][0][f])
    for metric in ("macro_f1", "accuracy", "balanced_accuracy", "log_loss"):
        assert_same(again.values[metric][0, 0], record.values[metric][f, 0])


@pytest.mark.parametrize("name", [name for name in DATASETS if (SAVED / name / "types_lightgbm.pickle").exists()])
def test_the_study_loads_what_is_committed(name, cells, tmp_path, monkeypatch):
    """Nothing is left to compute: every record answers the question that the study asks today."""
    monkeypatch.setattr(classification, "_fit_and_score", lambda *_: pytest.fail("fitted again"))
    monkeypatch.setattr(family_importance, "_of_fold", lambda *_: pytest.fail("fitted again"))
    monkeypatch.setattr(transfer_study, "_curves", lambda *_: pytest.fail("fitted again"))
    monkeypatch.setattr(study.SparsePCAForest, "transform", lambda *_: pytest.fail("fitted again"))
    data = cells(name)
    folder = shutil.copytree(SAVED / name, tmp_path / name)
    records = study.STUDY.run(data, folder, "cv", verbose=False)
    if name == "simulated_ephys":
        records |= study.STUDY.run(data, folder, "transfer", verbose=False)
    donor = data.obs["donor"].to_numpy()
    for record in records.values():
        for train, test in record.folds:
            assert not set(donor[train]) & set(donor[test])
