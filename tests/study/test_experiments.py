"""Which models are run on a data set, and which saved results answer the question that a step asks."""

from pathlib import Path

import pytest
from made_up import changed

from sbnn import LeaveOneOutRidge, SparseBottleneckRegressor, SparseReducedRankRegression
from sbnn.results import Record, save
from sbnn.study import experiments
from sbnn.study.study import STUDY

SAVED = Path(__file__).parents[2] / "saved_models"


@pytest.mark.parametrize(
    ("name", "n_leaky", "n_of_thirds"),
    [("gouwens", 3, 0), ("simulated", 0, 0), ("scala", 4, 1), ("scala_ion_channels", 0, 0)],
)
def test_published_data_sets_are_scaled_as_published_too(data, name, n_leaky, n_of_thirds):
    """Those of ion channels with as many genes alone."""
    specs = experiments.cross_validations(changed(data, name=name))
    leaky = [spec for spec in specs if spec.endswith(experiments.LEAK)]
    thirds = [spec for spec in specs if len(specs[spec].folds) == 3]
    assert len(leaky) == n_leaky and thirds == [experiments.THREE_FOLDS] * n_of_thirds
    assert all((specs[spec].scaling == "all") == (spec in leaky) for spec in specs)
    assert specs["cv_srrr"].param_grid["rank"] == [2, 5]  # of five outputs
    grids = [grid for spec in specs if "network" in spec for grid in [specs[spec].param_grid]]
    parts = [part for grid in grids for part in (grid if isinstance(grid, list) else [grid])]
    assert {strength for part in parts for strength in part["group_lasso"]} == {1e-4, 1e-2, 1e-1, 1.0}


@pytest.mark.parametrize(("name", "dataset", "sha256"), [("cv_srrr", "other", "ab"), ("interpretation", "mine", "cd")])
def test_results_of_other_data_in_the_folder_are_refused(tmp_path, name, dataset, sha256):
    for file, its in (("cv_ridge", "ab"), ("gene_selection", "counts"), ("noise", "")):
        save(Record(file.replace("_", "-"), "mine", its, [{}]), tmp_path / f"{file}.pickle")
    assert len(STUDY.load(tmp_path)) == 3
    save(Record("any", dataset, sha256, [{}]), tmp_path / f"{name}.pickle")
    with pytest.raises(ValueError, match=rf"{name}.pickle of '{dataset}' \({sha256}\)"):
        STUDY.load(tmp_path)


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
