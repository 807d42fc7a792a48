"""A stored result belongs to the content of all arguments, whatever contains it.

With another value, it is refused or computed again; the same in another container loads it.
"""

import inspect
import shutil
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from material.calls import entries, storing_functions
from material.cells import cells, courses, two_folds, typed_cells
from material.comparisons import digest
from material.estimators import distilled, few_trees, network
from scipy import sparse

from sbnn.data.fingerprint import NOT_DECISIVE
from sbnn.data.paired import as_paired, paired
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
OTHER["cross_validate"] = {"folds": 4, "param_grid": {"n_genes": [4]}, "keep": ()}
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


def bare(X, **parts):
    """An AnnData of the cells that no function of the package made."""
    rows, columns = cells().obs_names, cells().var_names
    return AnnData(X, pd.DataFrame(index=rows), pd.DataFrame(index=columns), **parts)


def pairs():
    """Whole numbers of the same cells in several containers."""
    X, Y = cells().to_df().round(), cells().obsm["outputs"].round()
    return [
        (X, Y),
        (X.rename_axis("cell").rename_axis(columns="gene"), Y.rename_axis("cell")),
        (X.astype(int), Y.astype(int)),
        paired(X, Y),
        as_paired((X, Y)),
        bare(X.to_numpy(), obsm={"outputs": Y}),
        bare(sparse.csr_matrix(X.astype(int)), obsm={"outputs": Y.astype(int)}),
        (bare(X.to_numpy(), obsm={"ephys": Y}), "ephys"),
        (bare(X.to_numpy()), Y),
    ]


def counted():
    """Counts of the same cells in several containers."""
    X, counts = cells().X, cells().layers["counts"]
    of_kinds = (counts, counts.astype(np.float32), sparse.csc_matrix(counts))
    return [bare(X, layers={"counts": of_kind}) for of_kind in of_kinds]


def indexed(adata):
    """The same AnnData, whose names of cells have a name, and whose labels are categories."""
    other = adata.copy()
    other.obs = other.obs.rename_axis("cell")
    other.strings_to_categoricals()
    return other


#: The same data in several containers, by function; those of any other come first.
SAME = {
    "any": pairs,
    "gene_selection": counted,
    "cross_validate_classifier": lambda: [typed_cells(), indexed(typed_cells())],
    "family_importance": lambda: [typed_cells(), indexed(typed_cells())],
    "evaluate": lambda: [{0: courses()}, {0: indexed(courses())}],
    "known_targets_test": lambda: [{0: courses()}, {0: indexed(courses())}],
}


@pytest.mark.parametrize("name", storing_functions())
def test_the_same_cells_in_another_container_load_the_result(name, tmp_path):
    path = tmp_path / "result.pickle.xz"
    first, *others = SAME.get(name, SAME["any"])()
    before = digest(entries()[name](data=first, results=path))
    written = path.stat().st_mtime_ns
    for other in others:
        assert digest(entries()[name](data=other, results=path)) == before
        assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize("parameter", ["required_genes", "candidate_genes"])
@pytest.mark.parametrize("name", ["cross_validate", "fit_full", "interpret_held_out", "map_trust"])
def test_names_of_genes_in_another_list_load_the_result(name, parameter, tmp_path):
    genes = [*cells().var_names[3:9]]
    path = tmp_path / "result.pickle.xz"
    written = set()
    for given in (genes, tuple(genes), np.array(genes), pd.Index(genes, name="gene")):
        model = distilled(n_genes=6, random_state=0)
        model.set_params(**{parameter: given})
        entries()[name](estimator=model, results=path)
        written.add(path.stat().st_mtime_ns)
    assert len(written) == 1
