"""Which models are run on a data set: the published ones, and what there is to compare them with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sbnn.results import Record, load, save
from sbnn.study import experiments, published, report

SAVED = Path(__file__).parents[2] / "saved_models"


@pytest.mark.parametrize(("name", "ranks"), [("gouwens", [2, 5]), ("simulated", [2, 5]), ("scala", [2, 5])])
def test_published_data_sets_are_scaled_as_published_too(data, name, ranks):
    specs = experiments.cross_validations(replace(data, name=name))
    leaky = [spec for spec in specs if spec.endswith(experiments.LEAK)]
    assert len(leaky) == {"scala": 4, "gouwens": 3}.get(name, 0)
    assert [spec for spec in specs if specs[spec].n_folds == 3] == (
        [experiments.THREE_FOLDS] if name == "scala" else []
    )
    assert all((specs[spec].scaling == "all") == (spec in leaky) for spec in specs)
    assert specs["cv_srrr"].param_grid["rank"] == ranks  # of five outputs
    lassos = {a for spec in specs if "network" in spec for a in _lassos(specs[spec].param_grid)}
    assert lassos == {1e-4, 1e-2, 1e-1, 1.0}


def _lassos(grid):
    return [a for part in (grid if isinstance(grid, list) else [grid]) for a in part["group_lasso"]]


def test_ranks_and_genes_are_the_published_ones():
    assert published.srrr_genes("scala") == {2: [24], 16: [24, 33, 83]}
    assert published.srrr_genes("mine") == {}


def test_ion_channels_are_scaled_as_published_where_all_of_them_are_there(data):
    few = experiments.cross_validations(replace(data, name="scala_ion_channels"))
    assert not [name for name in few if name.endswith(experiments.LEAK)]


def test_penalties_fall_so_that_each_starts_from_the_one_before():
    for path in (experiments.ALPHAS, *published.ALPHAS.values()):
        assert path == sorted(path, reverse=True) and path[0] / path[-1] > 10


@pytest.fixture
def folder(tmp_path):
    """Results of one data set, as small as they can be."""
    kept = {"test_r2": np.array([[0.5]]), "seconds": np.array([[60.0]])}
    for name, experiment, sha256 in [
        ("cv_ridge", "cross-validation", "ab"),
        ("fit", "fit", "ab"),
        ("gene_selection", "gene-selection", "counts"),
        ("interpretation", "interpretation", "ab"),
        ("noise", "noise", ""),
    ]:
        save(Record(experiment, "mine", sha256, [{}], values=kept), tmp_path / f"{name}.pickle")
    return tmp_path


def test_results_of_one_data_set_are_loaded_together(folder):
    assert list(experiments.load_records(folder)) == ["cv_ridge", "fit", "gene_selection", "interpretation", "noise"]
    assert list(experiments.load_records(folder, ["noise", "fit"])) == ["noise", "fit"]
    with pytest.raises(FileNotFoundError, match="other.pickle"):
        experiments.load_records(folder, ["fit", "other"])
    with pytest.raises(FileNotFoundError, match="no results in"):
        experiments.load_records(folder / "none")


@pytest.mark.parametrize(
    ("name", "experiment", "dataset", "sha256"),
    [
        ("cv_srrr", "cross-validation", "other", "ab"),
        ("cv_srrr", "cross-validation", "mine", "cd"),
        ("a", "fit", "mine", "cd"),
        ("gene_selection", "gene-selection", "other", "ab"),
        ("noise", "noise", "simulated", ""),
        ("interpretation", "interpretation", "other", "ab"),
        ("interpretation", "interpretation", "mine", "cd"),
    ],
)
def test_results_of_other_data_in_the_folder_are_refused(folder, name, experiment, dataset, sha256):
    values = {"seconds": np.array([[60.0]])}
    save(Record(experiment, dataset, sha256, [{}], values=values), folder / f"{name}.pickle")
    both = rf"(?=.*{name}.pickle of '{dataset}' \({sha256}\))(?=.*\.pickle of 'mine')"
    with pytest.raises(ValueError, match=both):
        experiments.load_records(folder)
    with pytest.raises(ValueError, match=both):
        report.all_tables(folder)
    if name.startswith("cv_"):
        with pytest.raises(ValueError, match=both):
            report.computing_minutes(folder)


@pytest.mark.parametrize("table", [report.accuracy_table, report.feature_table])
def test_tables_of_cross_validations_do_not_mix_data_sets(folder, table):
    for name in ("cv_network", "cv_srrr"):
        save(Record("cross-validation", "other", "ab", [{}]), folder / f"{name}.pickle")
    with pytest.raises(ValueError, match="are of different data"):
        table(folder)


def test_genes_may_be_selected_on_the_counts_of_other_cells(folder):
    for path in folder.glob("*.pickle"):
        record = load(path)
        record.dataset = "scala_34c_counts" if path.stem == "gene_selection" else "scala"
        save(record, path)
    assert len(experiments.load_records(folder)) == 5
    (folder / "cv_ridge.pickle").unlink(), (folder / "fit.pickle").unlink()
    assert len(experiments.load_records(folder)) == 3


@pytest.mark.parametrize("path", sorted(SAVED.glob("*/cv_default.pickle")), ids=lambda path: path.parent.name)
def test_committed_results_of_a_folder_are_of_one_data_set(path):
    assert len(experiments.load_records(path.parent)) == len(list(path.parent.glob("*.pickle")))
