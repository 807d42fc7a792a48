"""Which models are run on a data set: the published ones, and what there is to compare them with."""

from dataclasses import replace

import pytest

from sbnn.study import experiments, published


@pytest.mark.parametrize(("name", "ranks"), [("gouwens", [2, 5]), ("simulated", [2, 5]), ("scala", [2, 5])])
def test_published_data_sets_are_scaled_as_published_too(data, name, ranks):
    specs = experiments.cross_validations(replace(data, name=name))
    leaky = [spec for spec in specs if spec.endswith(experiments.LEAK)]
    assert len(leaky) == (3 if name in published.R2 else 0)
    assert all((specs[spec].scaling == "all") == (spec in leaky) for spec in specs)
    assert specs["cv_srrr"].param_grid["rank"] == ranks  # of five outputs
    lassos = {a for spec in specs if "network" in spec for a in _lassos(specs[spec].param_grid)}
    assert lassos == {1e-4, 1e-2, 1e-1, 1.0}


def _lassos(grid):
    return [a for part in (grid if isinstance(grid, list) else [grid]) for a in part["group_lasso"]]


def test_every_published_number_has_a_model():
    for name, models in published.R2.items():
        for model in models:
            assert {"test_r2", "n_genes"} < model.keys() and ("rank" in model) != ("n_components" in model), name
    assert published.srrr_genes("scala") == {2: [24], 16: [24, 33, 83]}
    assert published.srrr_genes("mine") == {}


def test_penalties_fall_so_that_each_starts_from_the_one_before():
    for path in (experiments.ALPHAS, *published.ALPHAS.values()):
        assert path == sorted(path, reverse=True) and path[0] / path[-1] > 10
