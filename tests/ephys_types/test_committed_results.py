"""Committed results are what the code gives: one fold of each is fitted again."""

from functools import cache
from pathlib import Path

import pytest
from made_up import assert_tidy
from notebook import run_cells
from numpy.testing import assert_array_equal
from same import assert_same

from sbnn import plotting, results
from sbnn.data.datasets import list_datasets
from sbnn.ephys_types import cross_validate_classifier, report
from sbnn.evaluation import runs

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
DATASETS = ["simulated_ephys"]
DATASETS += [pytest.param("lee_human", marks=pytest.mark.slow)]
MODELS = results.load_folder(SAVED / "simulated_ephys", "types_")
# every model, and the default on real cells
RECORDS = [
    ("simulated_ephys", "types", name)
    for name in sorted(MODELS)
    if name in report.CLASSIFIER_LABELS
]
RECORDS += [("lee_human", "types", "ephys_type")]


@cache
def study(name):
    """Variables of the notebook on committed results, and the figures that it has drawn."""
    if list_datasets().loc[name, "state"] != "here":
        pytest.skip(f"the data of {name} are not on this machine")
    drawn = {}

    def keep(figure, path):
        figure.draw_without_rendering()  # as before it is saved: fixes the layout
        drawn[path.name] = figure

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(plotting, "save_figure", keep)
        changed.setattr(runs, "save", lambda record, path: pytest.fail(f"{path}: computed again"))
        return run_cells("04_ephys_types", dataset=name), drawn


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "model"), RECORDS)
def test_a_fold_that_is_fitted_again_gives_the_same_numbers(name, kind, model, tmp_path):
    told = study(name)[0]
    record = results.load(SAVED / name / f"{kind}_{model}.pickle.xz")
    # some fold, another for each model
    f = len(record.folds) - 1 - sum(map(ord, model)) % len(record.folds)
    again = cross_validate_classifier(
        told["compared"][model],
        told["cells"],
        {int(record.repeats[f]): [record.folds[f]]},
        target=told["kinds"][kind],
        results=tmp_path / "again.pickle.xz",
        verbose=False,
    )
    assert again.settings["keys"][0][0] == record.settings["keys"][0][f], (
        "settings or data are others"
    )
    assert_array_equal(again.test_predictions[0][0], record.test_predictions[0][f])
    assert_same(again.test_probabilities[0][0], record.test_probabilities[0][f])
    for metric in ("macro_f1", "accuracy", "balanced_accuracy", "log_loss"):
        assert_same(again.values[metric][0, 0], record.values[metric][f, 0])


@pytest.mark.parametrize("name", DATASETS)
def test_figures_are_those_that_are_committed_and_tidy(name):
    drawn = study(name)[1]
    folder = SAVED.parent / "figures" / name
    assert {path.stem for path in folder.glob("*.png")} == drawn.keys()
    for figure in drawn.values():
        assert_tidy(figure)
