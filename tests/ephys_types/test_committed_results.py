"""Committed results are what the code gives: one fold of each is fitted again."""

from functools import cache

import pytest
from material.comparisons import assert_same
from material.drawn import assert_tidy
from material.notebooks import run_cells
from material.paths import ROOT, SAVED_MODELS
from numpy.testing import assert_array_equal

from sbnn import plotting, results
from sbnn.data.datasets import list_datasets
from sbnn.ephys_types import cross_validate_classifier, report
from sbnn.evaluation import runs

pytestmark = pytest.mark.slow

DATASETS = ["simulated_ephys", "lee_human"]
SIMULATED = results.load_folder(SAVED_MODELS / "simulated_ephys", "types_")
CLASSIFIERS = sorted(SIMULATED.keys() & report.CLASSIFIER_LABELS.keys())
# every model, and the default on real cells
RECORDS = [("simulated_ephys", "types", name) for name in CLASSIFIERS]
RECORDS += [("lee_human", "types", "ephys_type")]


@cache
def run_study(name):
    """Variables of the notebook on committed results, and the figures that it has drawn."""
    if list_datasets().loc[name, "state"] != "here":
        pytest.skip(f"the data of {name} are not on this machine")
    figures = {}

    def keep_figure(figure, path):
        figure.draw_without_rendering()  # as before it is saved: fixes the layout
        figures[path.name] = figure

    with pytest.MonkeyPatch.context() as changed:
        for module in (plotting, plotting.common):  # `show_and_save` is in the latter
            changed.setattr(module, "save_figure", keep_figure)
        changed.setattr(runs, "save", lambda record, path: pytest.fail(f"{path}: computed again"))
        return run_cells("05_ephys_types", dataset=name), figures


@pytest.mark.parametrize(("name", "kind", "model"), RECORDS)
def test_a_fold_that_is_fitted_again_agrees(name, kind, model, tmp_path):
    variables, _ = run_study(name)
    record = results.load(SAVED_MODELS / name / f"{kind}_{model}.pickle.xz")
    # some fold, another for each model
    n_folds = len(record.folds)
    f = n_folds - 1 - sum(map(ord, model)) % n_folds
    again = cross_validate_classifier(
        variables["compared"][model],
        variables["cells"],
        {int(record.repeats[f]): [record.folds[f]]},
        target=variables["kinds"][kind],
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
def test_figures_are_those_that_are_committed(name):
    _, figures = run_study(name)
    folder = ROOT / "figures" / name
    assert {path.stem for path in folder.glob("*.png")} == figures.keys()


@pytest.mark.parametrize("name", DATASETS)
def test_figures_are_tidy(name):
    _, figures = run_study(name)
    for figure in figures.values():
        assert_tidy(figure)
