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
from material.calls import entries, functions_and_estimators, storing_functions
from material.cells import cells, courses, two_folds, typed_cells
from material.comparisons import digest
from material.estimators import distilled, few_trees, network
from scipy import sparse

from sbnn.data.fingerprint import NOT_DECISIVE, WORKER_PARAMETERS, fingerprint
from sbnn.data.paired import as_paired, paired
from sbnn.dynamics.baselines import AutoRegression
from sbnn.evaluation import runs
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


def decisive_parameters():
    """Estimator and parameter, of every estimator of the package."""
    pairs = []
    for value in functions_and_estimators().values():
        if inspect.isclass(value):
            names = [*inspect.signature(value).parameters]
            pairs.extend((value, name) for name in names if name not in WORKER_PARAMETERS)
    return pairs


@pytest.mark.parametrize(("estimator", "parameter"), decisive_parameters())
def test_every_parameter_of_an_estimator_is_in_its_identity(estimator, parameter):
    required = inspect.signature(estimator).parameters.values()
    usual = {item.name: None for item in required if item.default is item.empty}
    prints = [
        fingerprint(estimator(**{**usual, parameter: value})) for value in (None, "one", "other")
    ]
    assert len({*prints}) == 3


def keep_parts():
    """Functions that keep each finished fit of a run that was interrupted, and their arguments."""
    keeping = [name for name, function in storing_functions().items() if is_in_parts(function)]
    return [pair for pair in decisive_arguments() if pair[0] in keeping]


def is_in_parts(function):
    """Whether the function stores more than its whole result, as `store_result` does."""
    return not hasattr(function, "__wrapped__")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """Folder of a run that was interrupted after its first fit, by the name of the function."""
    write_file = runs.write_file

    @cache
    def interrupt(name):
        folder = tmp_path_factory.mktemp(name)

        def write_one(values, path):
            if any(folder.rglob("*.parts/*")):
                raise KeyboardInterrupt
            write_file(values, path)

        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(runs, "write_file", write_one)
            entries()[name](results=folder / "result.pickle.xz")
        return folder

    return interrupt


@pytest.mark.parametrize(("name", "argument"), keep_parts())
def test_an_interrupted_run_goes_on_only_with_its_arguments(name, argument, interrupted, tmp_path):
    folder = shutil.copytree(interrupted(name), tmp_path / "run")
    other = {**OTHER["any"], **OTHER[name]}[argument]
    change = {argument: other() if callable(other) else other}
    resumed = partial(entries()[name], **change, results=folder / "result.pickle.xz")
    assert outcome(resumed) == outcome(partial(entries()[name], **change))


def outcome(call):
    """What was computed, or the error."""
    try:
        return digest(call())
    except ValueError as error:
        return str(error)


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
