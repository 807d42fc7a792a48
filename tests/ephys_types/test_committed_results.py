"""Committed results are what the code gives: one fold of each is fitted again."""

import shutil
from functools import cache
from hashlib import sha256
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from same import assert_same

from sbnn import results
from sbnn.ephys_types import report, study, transfer_study
from sbnn.ephys_types.models import KINDS, MODELS, estimator
from sbnn.evaluation import classification
from sbnn.evaluation.classification import cross_validate_classifier
from sbnn.tables import to_markdown

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
DATASETS = ("lee_human", "gouwens_ephys", "simulated_ephys")
RECORDS = [
    (path.parent.name, *path.stem.split("_", 1))
    for name in DATASETS
    for path in sorted((SAVED / name).glob("types*_*.pickle"))
    if path.stem.split("_", 1)[1] in MODELS
]


@cache
def cells(name):
    try:
        return study.load_cells(name, verbose=False, **{} if name == "simulated_ephys" else {"download": False})
    except FileNotFoundError:
        pytest.skip(f"the data of {name} are not on this machine")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "model"), RECORDS)
def test_a_fold_that_is_fitted_again_gives_the_same_numbers(name, kind, model):
    record, data = results.load(SAVED / name / f"{kind}_{model}.pickle"), cells(name)
    assert (record.dataset, record.sha256) == (data.uns["sbnn"]["name"], data.uns["sbnn"]["sha256"])
    f = len(record.folds) - 1 - sum(map(ord, model)) % len(record.folds)  # some fold, another for each model
    how = {"target": KINDS[kind], "seed": int(record.repeats[f]), "verbose": False}
    again = cross_validate_classifier(estimator(MODELS[model]), data, [record.folds[f]], **how)
    assert again.settings["keys"][0][0] == record.settings["keys"][0][f], "settings or data are others"
    if "test_predictions" in record.values:
        np.testing.assert_array_equal(again.test_predictions[0][0], record.test_predictions[0][f])
    if "test_probabilities" in record.values:
        assert_same(again.test_probabilities[0][0], record.test_probabilities[0][f])
    for metric in ("macro_f1", "accuracy", "balanced_accuracy", "log_loss"):
        assert_same(again.values[metric][0, 0], record.values[metric][f, 0])


@pytest.mark.parametrize("name", DATASETS)
def test_the_study_loads_what_is_committed(name, tmp_path, monkeypatch):
    """Nothing is left to compute: every record answers the question that the study asks today."""
    computing = [(classification, "_fit_and_score"), (classification, "_of_fold"), (transfer_study, "_curves")]
    for where, function in [*computing, (study.SparsePCAForest, "transform")]:
        monkeypatch.setattr(where, function, lambda *_: pytest.fail("fitted again"))
    data = cells(name)
    folder = shutil.copytree(SAVED / name, tmp_path / name)
    records = study.STUDY.run(data, folder, "cv", verbose=False)
    if name == "simulated_ephys":
        records |= study.STUDY.run(data, folder, "transfer", verbose=False)
    donor = data.obs["donor"].to_numpy()
    for record in records.values():
        for train, test in record.folds:
            assert not set(donor[train]) & set(donor[test])


def test_tables_of_committed_results_stay_as_they_are():
    """Means, paired differences, published numbers, families and transfer, by a fingerprint."""
    folders = [SAVED / name for name in DATASETS[:2]]
    text = "\n".join(
        to_markdown(table) for folder in folders for table in report.all_tables(study.STUDY.load(folder)).values()
    )
    assert sha256(text.encode()).hexdigest()[:12] == "f8b06e72f8ac"
    with pytest.raises(FileNotFoundError, match="sbnn ephys-types cv"):
        report.overview_table(folders[0])


def test_figures_of_committed_results_show_the_same_numbers():
    """Lines, bars, images and written numbers of all figures of a data set, by a fingerprint."""
    shown = []
    for name, figure in study.STUDY.draw(study.STUDY.load(SAVED / "lee_human")):
        for ax in figure.axes:
            numbers = [line.get_xydata() for line in ax.lines] + [image.get_array() for image in ax.images]
            numbers += [bar.get_width() for bar in ax.patches if hasattr(bar, "get_width")]
            drawn = [f"{x:.3g}" for some in numbers for x in np.round(np.ravel(some).astype(float), 5) + 0.0]
            shown.append(" ".join([name, *drawn, *(text.get_text() for text in ax.texts)]))
        plt.close(figure)
    assert len({line.split()[0] for line in shown}) == 11
    assert sha256("\n".join(shown).encode()).hexdigest()[:12] == "fe7ba3482b21"
