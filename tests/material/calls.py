"""A small call of everything that draws random numbers or stores a result, for tests of a kind.

Which functions these are is read from the signatures of the package: one without a call here fails.
"""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

import sbnn
from material.cells import cells, courses, screened_cells, two_folds, typed_cells
from material.estimators import QUICK, few_trees, network
from sbnn import DistilledBottleneckRegressor, SparseBottleneckRegressor, StackedRegressor
from sbnn.dynamics import PhoenixRegressor
from sbnn.dynamics.baselines import PriorAlone
from sbnn.dynamics.simulate import prior_table
from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    SparsePCAForest,
    cross_validate_classifier,
)
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import fit_full, stability_selection
from sbnn.mechanism_shift import LinearShift, SparseShiftVAE

#: The first two make an estimator that is not fitted, the third has the seed of
#: `simulate_network`, the last runs what `cross_validate` asks for.
WITHOUT_A_CALL = ("kernel_logistic", "lightgbm", "read_grn", "fit_all")


@dataclass(frozen=True)
class Entry:
    """A function or an estimator, with the arguments of a small call."""

    function: Any
    arguments: dict[str, Any]
    #: Arguments of ``fit``, if it is an estimator.
    fit_arguments: tuple[Any, ...] = ()

    def __call__(self, **changes):
        """Return the result of a call with some other arguments; of an estimator, its answer."""
        result = self.function(**{**self.arguments, **changes})
        if not isinstance(result, BaseEstimator) or not self.fit_arguments:
            return result
        return answer(result.fit(*self.fit_arguments), self.fit_arguments[0])


def answer(fitted, X):
    """The edges that an estimator infers or, by the names of outputs, what it says of cells."""
    if hasattr(fitted, "edge_scores_"):
        return fitted.edge_scores_
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(fitted, method):
            values = getattr(fitted, method)(X)
            return pd.DataFrame(values, columns=getattr(fitted, "output_names_", None))
    raise TypeError(f"{fitted} answers nothing")


@cache
def modules():
    """Every module of the package, by name."""
    names = [module.name for module in pkgutil.walk_packages(sbnn.__path__, "sbnn.")]
    return {name: importlib.import_module(name) for name in names if name != "sbnn.__main__"}


@cache
def functions_and_estimators():
    """Every public function of the package and every class of estimators, by name."""
    found = {}
    for module, home in modules().items():
        for name, value in vars(home).items():
            if getattr(value, "__module__", None) != module or name.startswith("_"):
                continue
            is_estimator = inspect.isclass(value) and issubclass(value, BaseEstimator)
            if is_estimator or inspect.isfunction(value):
                found[name] = value
    return {name: found[name] for name in sorted(found)}


def functions_with(*parameters):
    """Those with one of the parameters and a default for it."""
    found = {}
    for name, value in functions_and_estimators().items():
        for parameter in inspect.signature(value).parameters.values():
            if parameter.name in parameters and parameter.default is not parameter.empty:
                found[name] = value
    return {name: found[name] for name in found if name not in WITHOUT_A_CALL}


def storing_functions():
    """What stores a result: in the file `results`, or by ``**options`` of `cross_validate`."""
    passing_on = {
        "cross_validate_classifier": cross_validate_classifier,
        "stability_selection": stability_selection,
    }
    return {**functions_with("results"), **passing_on}


# --- data


@cache
def record_of_fit():
    return fit_full(network(random_state=0), cells())


@cache
def record_of_folds():
    return cross_validate(network(random_state=0), cells(), 3, verbose=False)


@cache
def record_of_halves():
    return stability_selection(network(), cells(), 2, verbose=False)


# --- calls


@cache
def entries():
    """Entries by the name of the function or estimator."""
    every = {**functions_with("seed", "random_state", "seeds"), **storing_functions()}
    X, Y = cells().to_df(), cells().obsm["outputs"]
    types = typed_cells().obs["type"].astype(str)
    of_types = (typed_cells().to_df(), types, typed_cells().var["family"])
    of_screen = (screened_cells().to_df(), screened_cells().obs["perturbation"])
    calls = {}
    # estimators
    is_short = typed_cells().var["family"].isin(["passive", "rheobase", "sag"])
    data_of_fits = {
        AttentionBiLSTMClassifier: of_types,
        DistilledBottleneckRegressor: (X, Y),
        EphysTypeClassifier: of_types,
        FamilyAttentionClassifier: of_types,
        LinearShift: of_screen,
        PhoenixRegressor: (courses(), prior_table(courses())),
        SparseBottleneckRegressor: (X, Y),
        SparsePCAForest: (of_types[0].loc[:, is_short], types, of_types[2][is_short]),
        StackedRegressor: (X, Y),
        SparseShiftVAE: of_screen,
    }
    for estimator, data in data_of_fits.items():
        calls[estimator.__name__] = QUICK[estimator], data
    # made-up data
    calls["simulate_ephys_types"] = {"n_cells": 30}
    calls["simulate_network"] = {"n_genes": 12, "n_samples": 3, "n_test": 2}
    calls["simulate_patchseq"] = {"n_cells": 20, "n_genes": 30}
    calls["simulate_perturbations"] = {
        "n_cells_per": 5,
        "n_perturbations": 4,
        "n_latents": 2,
        "n_genes": 40,
    }
    # folds
    calls["choose_folds"] = {"data": cells()}
    calls["complementary_pairs"] = {"n": 40, "n_pairs": 3}
    calls["grouped_folds"] = {"groups": np.arange(40) // 2, "n_folds": 4}
    calls["paper_folds"] = {"n": 40, "n_folds": 4}
    calls["repeated_donor_folds"] = {"data": typed_cells(), "n_folds": 3}
    # fits
    calls["cross_validate"] = {
        "estimator": network(),
        "data": cells(),
        "folds": two_folds(80),
        "verbose": False,
    }
    calls["stability_selection"] = {
        "estimator": network(),
        "data": cells(),
        "n_pairs": 2,
        "verbose": False,
    }
    calls["fit_full"] = {"estimator": network(), "data": cells()}
    calls["gene_selection"] = {"data": cells(), "n_genes": 5}
    calls["interpret_held_out"] = {
        "estimator": network(random_state=0),
        "data": cells(),
        "halves": record_of_halves(),
    }
    calls["map_trust"] = {
        "estimator": network(random_state=0),
        "data": cells(),
        "fit": record_of_fit(),
        "folds": record_of_folds(),
        "seeds": (1, 2),
    }
    calls["tsne_maps"] = {"data": cells()}
    calls["embed"] = {"latent": np.random.default_rng(0).normal(size=(40, 3))}
    calls["cross_validate_classifier"] = {
        "estimator": few_trees(),
        "data": typed_cells(),
        "folds": {0: two_folds(120)},
        "verbose": False,
    }
    calls["family_importance"] = {
        "estimator": few_trees(),
        "data": typed_cells(),
        "folds": two_folds(120),
        "n_shuffles": 1,
        "verbose": False,
    }
    calls["unmix"] = {
        "latents": np.random.default_rng(0).normal(size=(60, 4)),
        "perturbation": np.arange(60) % 6,
    }
    calls["evaluate"] = {
        "model": PriorAlone(),
        "data": {0: courses()},
        "method": "prior",
        "condition": "as made",
    }
    calls["known_targets_test"] = {
        "model": PriorAlone(),
        "data": {0: courses()},
        "method": "prior",
    }
    calls["gene_set_test"] = {
        "values": pd.Series(np.arange(20.0), [f"g{i}" for i in range(20)]),
        "gene_sets": {"first": ["g0", "g1", "g7"]},
        "n_permutations": 19,
    }
    built = {}
    for name, call in calls.items():
        arguments, fit_arguments = call if isinstance(call, tuple) else (call, ())
        built[name] = Entry(every[name], arguments, fit_arguments)
    return built
