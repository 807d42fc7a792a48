"""Which models are run on a data set: the published ones, and what there is to compare them with."""

from pathlib import Path

import pytest
from made_up import changed

from sbnn import LeaveOneOutRidge, SparseBottleneckRegressor, SparseReducedRankRegression
from sbnn.results import Record, save
from sbnn.study import experiments
from sbnn.study.study import STUDY

SAVED = Path(__file__).parents[2] / "saved_models"


@pytest.mark.parametrize(("name", "ranks"), [("gouwens", [2, 5]), ("simulated", [2, 5]), ("scala", [2, 5])])
def test_published_data_sets_are_scaled_as_published_too(data, name, ranks):
    specs = experiments.cross_validations(changed(data, name=name))
    leaky = [spec for spec in specs if spec.endswith(experiments.LEAK)]
    assert len(leaky) == {"scala": 4, "gouwens": 3}.get(name, 0)
    assert [spec for spec in specs if len(specs[spec].folds) == 3] == (
        [experiments.THREE_FOLDS] if name == "scala" else []
    )
    assert all((specs[spec].scaling == "all") == (spec in leaky) for spec in specs)
    assert specs["cv_srrr"].param_grid["rank"] == ranks  # of five outputs
    lassos = {a for spec in specs if "network" in spec for a in _lassos(specs[spec].param_grid)}
    assert lassos == {1e-4, 1e-2, 1e-1, 1.0}


def _lassos(grid):
    return [a for part in (grid if isinstance(grid, list) else [grid]) for a in part["group_lasso"]]


def test_ion_channels_are_scaled_as_published_where_all_of_them_are_there(data):
    few = experiments.cross_validations(changed(data, name="scala_ion_channels"))
    assert not [name for name in few if name.endswith(experiments.LEAK)]


@pytest.fixture
def folder(tmp_path):
    """Results of one data set, as small as they can be."""
    for name, experiment, sha256 in [
        ("cv_ridge", "cross-validation", "ab"),
        ("fit", "fit", "ab"),
        ("gene_selection", "gene-selection", "counts"),
        ("noise", "noise", ""),
    ]:
        save(Record(experiment, "mine", sha256, [{}]), tmp_path / f"{name}.pickle")
    return tmp_path


@pytest.mark.parametrize(("name", "dataset", "sha256"), [("cv_srrr", "other", "ab"), ("interpretation", "mine", "cd")])
def test_results_of_other_data_in_the_folder_are_refused(folder, name, dataset, sha256):
    save(Record("any", dataset, sha256, [{}]), folder / f"{name}.pickle")
    with pytest.raises(ValueError, match=rf"{name}.pickle of '{dataset}' \({sha256}\)"):
        STUDY.load(folder)


@pytest.mark.parametrize("path", sorted(SAVED.glob("*/cv_default.pickle")), ids=lambda path: path.parent.name)
def test_committed_results_of_a_folder_are_of_one_data_set(path):
    assert len(STUDY.load(path.parent)) == len(list(path.parent.glob("*.pickle")))


@pytest.mark.parametrize("step", ["cv", "fit", "prior"])
def test_committed_results_are_recognised(step, tmp_path, monkeypatch):
    """Every committed record of simulated data answers the question that a step asks; nothing is computed again."""
    for path in (SAVED / "simulated").glob("*.pickle"):
        (tmp_path / path.name).symlink_to(path)
    for model in (SparseBottleneckRegressor, LeaveOneOutRidge, SparseReducedRankRegression):
        monkeypatch.setattr(model, "fit", lambda *_, **__: pytest.fail("fitted again"))
    records = STUDY.run("simulated", tmp_path, step)
    assert {"cv": "cv_ridge", "fit": "noise", "prior": "gene_prior"}[step] in records
    assert all(path.is_symlink() for path in tmp_path.iterdir())
