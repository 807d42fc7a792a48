"""Whatever a stored result depends on: with another value, it is refused or computed again."""

import inspect
import shutil
from functools import cache, partial

import numpy as np
import pytest
from entries import (
    cells,
    courses,
    digest,
    entries,
    few_trees,
    network,
    storing_functions,
    two_folds,
    typed_cells,
)

from sbnn.data.fingerprint import NOT_DECISIVE
from sbnn.dynamics.baselines import AutoRegression
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import fit_full, stability_selection


def scaled_cells():
    """The same cells with other outputs."""
    other = cells().copy()
    other.obsm["outputs"] = other.obsm["outputs"] ** 2
    return other


def other_typed_cells():
    other = typed_cells().copy()
    other.X = other.X * np.linspace(0.5, 2, other.n_vars)
    return other


def other_courses():
    other = courses().copy()
    other.varp["prior"] = other.varp["prior"].T.copy()
    return {0: other}


#: Another value of each argument, by function; those of any function come first.
OTHER = {}
OTHER["any"] = {
    "preselect": 8,
    "scaling": "all",
    "seed": 1,
    "groups": "donor",
    "data": scaled_cells,
    "estimator": partial(network, group_lasso=1.0, random_state=3),
}
OTHER["cross_validate"] = {"folds": 4, "param_grid": {"n_genes": [4]}}
OTHER["stability_selection"] = {"n_pairs": 3, "estimator": partial(network, group_lasso=1.0)}
OTHER["fit_full"] = {}
OTHER["tsne_maps"] = {}
OTHER["gene_selection"] = {"n_genes": 4, "threshold": 1}
OTHER["interpret_held_out"] = {
    "halves": lambda: stability_selection(network(), cells(), 3, verbose=False)
}
OTHER["map_trust"] = {
    "fit": lambda: fit_full(network(random_state=9), cells()),
    "folds": lambda: cross_validate(network(random_state=9), cells(), 4, verbose=False),
    "seeds": (3, 4),
    "data": scaled_cells,
}
OTHER["cross_validate_classifier"] = {
    "data": other_typed_cells,
    "estimator": partial(few_trees, n_estimators=4),
    "folds": {1: two_folds(120)},
    "target": "donor",
    "source": typed_cells,
    "compact": True,
}
OTHER["family_importance"] = {
    "data": other_typed_cells,
    "estimator": partial(few_trees, n_estimators=4),
    "folds": two_folds(120)[:1],
    "target": "donor",
    "n_shuffles": 2,
}
OTHER["evaluate"] = {
    "model": AutoRegression,
    "data": other_courses,
    "method": "another",
    "condition": "another",
    "details": True,
}
OTHER["known_targets_test"] = {
    name: OTHER["evaluate"][name] for name in ("model", "data", "method")
}


NOT_ONE_VALUE = NOT_DECISIVE | {"options"}
#: Arguments by keyword only that are in no signature.
IN_KEYWORDS = {"stability_selection": ["scaling", "preselect"]}


def decisive_arguments():
    """Function and argument, of everything that stores a result."""
    pairs = []
    for name, function in storing_functions().items():
        parameters = [*inspect.signature(function).parameters, *IN_KEYWORDS.get(name, [])]
        pairs.extend((name, argument) for argument in parameters if argument not in NOT_ONE_VALUE)
    return pairs


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Path of a result by the name of the function, computed once, and its digest."""
    folder = tmp_path_factory.mktemp("stored")

    @cache
    def store(name):
        path = folder / f"{name}.pickle.xz"
        return path, digest(entries()[name](results=path))

    return store


@pytest.mark.parametrize(("name", "argument"), decisive_arguments())
def test_another_argument_is_refused_or_computed(name, argument, stored, tmp_path):
    original, before = stored(name)
    path = shutil.copy(original, tmp_path)
    other = {**OTHER["any"], **OTHER[name]}[argument]
    change = {argument: other() if callable(other) else other}
    try:
        after = digest(entries()[name](**change, results=path))
    except ValueError as error:
        assert "overwrite=True" in str(error)
    else:
        assert before != after == digest(entries()[name](**change))


@pytest.mark.parametrize("name", storing_functions())
def test_the_same_arguments_load_the_result(name, stored):
    path, before = stored(name)
    written = path.stat().st_mtime_ns
    assert digest(entries()[name](results=path)) == before
    assert path.stat().st_mtime_ns == written
