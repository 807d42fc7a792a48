"""A stored result belongs to cells, genes and settings, whatever contains them."""

import inspect

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    cross_validate,
    fit_full,
    map_trust,
    stability_selection,
)
from sbnn.data.paired import as_paired, paired
from sbnn.evaluation import crossval, fits, interpretation, maps, runs
from sbnn.evaluation.fits import gene_selection
from sbnn.evaluation.interpretation import interpret_held_out
from sbnn.evaluation.maps import tsne_maps

CELLS = [f"c{i}" for i in range(60)]
GENES = [f"g{j}" for j in range(12)]
RNG = np.random.default_rng(0)
COUNTS = pd.DataFrame(RNG.poisson(1.5, (60, 12)), CELLS, GENES)
X = COUNTS.astype(float)
Y = X.iloc[:, :3].set_axis(["a", "b", "c"], axis=1) + RNG.integers(0, 3, (60, 3))
SHORT = DistilledSettings(n_teachers=2, n_trees=2, steps_of_teachers=3, steps_of_student=5)
MODEL = DistilledBottleneckRegressor(n_genes=4, distillation=SHORT, random_state=0)
HALVES = stability_selection(MODEL, (X, Y), 2, verbose=False)
FIT = fit_full(MODEL, (X, Y))
FOLDS = cross_validate(MODEL, (X, Y), 3, verbose=False)

#: Every function of the package that stores a result about paired cells.
STORING = {
    "cross_validate": lambda model, data, path: cross_validate(
        model, data, 3, results=path, verbose=False
    ),
    "stability_selection": lambda model, data, path: stability_selection(
        model, data, 2, results=path, verbose=False
    ),
    "fit_full": lambda model, data, path: fit_full(model, data, results=path),
    "interpret_held_out": lambda model, data, path: interpret_held_out(
        model, data, HALVES, results=path
    ),
    "map_trust": lambda model, data, path: map_trust(model, data, FIT, FOLDS, [1], results=path),
    "tsne_maps": lambda model, data, path: tsne_maps(data, results=path),
    "gene_selection": lambda model, data, path: gene_selection(data, 5, results=path),
}


def test_no_function_that_stores_a_result_is_missing():
    found = set()
    for module in (crossval, fits, interpretation, maps):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            parameters = inspect.signature(function).parameters
            stores = {"data", "results"} <= {*parameters} or {"data", "options"} <= {*parameters}
            if stores and function.__module__ == module.__name__:
                found.add(name)
    assert found == {*STORING}


def bare(values, **parts):
    """An AnnData that no function of the package made."""
    return anndata.AnnData(values, pd.DataFrame(index=CELLS), pd.DataFrame(index=GENES), **parts)


OUTPUTS = {"outputs": Y}
#: The same cells in other containers.
SAME_CELLS = {
    "names of an index": (
        X.rename_axis("cell"),
        Y.rename_axis("cell").rename_axis(columns="ephys"),
    ),
    "whole numbers": (X.astype(int), Y.astype(int)),
    "an AnnData of paired": paired(X, Y),
    "a bare AnnData": bare(X.to_numpy(), obsm=OUTPUTS),
    "a sparse AnnData of whole numbers": bare(sparse.csr_matrix(COUNTS), obsm=OUTPUTS),
    "a key of obsm": (bare(X.to_numpy(), obsm={"ephys": Y}), "ephys"),
    "outputs beside": (bare(X.to_numpy()), Y),
    "converted before": as_paired((X, Y)),
}
OTHER_CELLS = {
    "another value": (X + np.eye(60, 12), Y),
    "another name of a gene": (X.rename(columns={"g0": "g99"}), Y),
    "another name of an output": (X, Y.rename(columns={"a": "d"})),
}
LOGS = np.log2(1 + X)
SAME_COUNTS = {
    "counts of single precision": bare(LOGS, layers={"counts": COUNTS.to_numpy(np.float32)}),
    "sparse counts": bare(LOGS, layers={"counts": sparse.csr_matrix(COUNTS)}),
    "an AnnData of paired": paired(LOGS, counts=COUNTS),
}
OTHER_COUNTS = {"another value": bare(LOGS, layers={"counts": COUNTS.to_numpy() + 1})}


def containers(name, same):
    if name == "gene_selection":
        return SAME_COUNTS if same else OTHER_COUNTS
    return SAME_CELLS if same else OTHER_CELLS


def usual_data(name):
    return bare(LOGS, layers={"counts": COUNTS.to_numpy()}) if name == "gene_selection" else (X, Y)


@pytest.fixture(params=STORING)
def stored(request, tmp_path, monkeypatch):
    """Name of a function, and what calls it with the file of a result that is there."""
    path = tmp_path / "result.pickle.xz"
    STORING[request.param](MODEL, usual_data(request.param), path)
    monkeypatch.setattr(runs, "save", lambda record, path: pytest.fail("computed again"))
    return request.param, lambda data, model=MODEL: STORING[request.param](model, data, path)


def test_the_same_cells_in_another_container_are_the_same_call(stored):
    name, call = stored
    for container, data in containers(name, same=True).items():
        try:
            call(data)
        except ValueError as error:
            pytest.fail(f"{container}: {error}")


def test_other_cells_are_another_call(stored):
    name, call = stored
    for change, data in containers(name, same=False).items():
        if name == "map_trust" and "gene" in change:  # which is not that of the fit
            continue
        with pytest.raises(ValueError, match="differs? in data"):
            call(data)
            pytest.fail(change)


PANEL = ["g3", "g5"]
WITH_PANEL = ["cross_validate", "fit_full", "interpret_held_out", "map_trust"]


@pytest.mark.parametrize("parameter", ["required_genes", "candidate_genes"])
@pytest.mark.parametrize("name", WITH_PANEL)
def test_names_of_genes_in_any_list_are_the_same_call(name, parameter, tmp_path, monkeypatch):
    def call(names):
        model = DistilledBottleneckRegressor(**MODEL.get_params(deep=False) | {parameter: names})
        return STORING[name](model, (X, Y), tmp_path / "result.pickle.xz")

    genes = PANEL if parameter == "required_genes" else GENES[:6]
    call(genes)
    monkeypatch.setattr(runs, "save", lambda record, path: pytest.fail("computed again"))
    for same in (tuple(genes), np.array(genes), pd.Index(genes, name="gene"), pd.Series(genes)):
        call(same)
    with pytest.raises(ValueError, match="differs? in (estimator|model)"):
        call(pd.Index([*genes[1:], "g9"]))
