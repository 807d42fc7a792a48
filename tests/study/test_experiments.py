"""Which models are run on a data set: the published ones, and what there is to compare them with."""

from dataclasses import replace

import pytest

from sbnn.study import experiments, published


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
