"""No fit remembers another: a model is the same whatever was fitted before in the process."""

import copy
import inspect

import numpy as np
import pandas as pd
import pytest
from material.calls import answer, entries, modules
from material.cells import courses, typed_cells
from material.comparisons import digest

from sbnn.dynamics.simulate import prior_table

#: Arguments of ``fit`` that no entry gives.
OPTIONAL = {
    "groups": lambda: typed_cells().obs["donor"],
    "source": lambda: (typed_cells().to_df() + 1, typed_cells().obs["type"].to_numpy(str)),
    "control": lambda: "perturbation_0",
    "interactions": lambda: prior_table(courses()),
}
#: Parameters with which an argument counts.
WITH = {
    "source": {"transfer": "pretrained"},
    "prior": {"data_weight": 0.5},
    "interactions": {"pruning": "biological", "epochs": 7, "schedule": (1, 0.5, 1, 0.5)},
}
#: Arguments that do not change what is answered: numbers of the history, and of independent
#: components, which are the same for all perturbations.
WITHOUT_EFFECT = {
    ("DistilledBottleneckRegressor", "eval_set"),
    ("SparseBottleneckRegressor", "eval_set"),
    ("LinearShift", "perturbation"),
    ("LinearShift", "control"),
}


def containers():
    """Dicts, lists, sets and cached functions of the modules of the package."""
    for home in modules().values():
        for name, value in vars(home).items():
            if name[:2] != "__" and (isinstance(value, dict | list | set) or is_cached(value)):
                yield value


def is_cached(value):
    return hasattr(value, "cache_clear")


#: What they hold when the tests are collected, before any fit.
AT_IMPORT = [(value, None if is_cached(value) else copy.copy(value)) for value in containers()]


def forget():
    """Let the package hold only what it held at its import."""
    for container, content in AT_IMPORT:
        if is_cached(container):
            container.cache_clear()
            continue
        container.clear()
        add = container.extend if isinstance(container, list) else container.update
        add(content)


def arguments_of_fits():
    """Estimator and argument of its ``fit``, of every estimator with a seed."""
    pairs = []
    for name, entry in entries().items():
        if entry.fit_arguments:
            of_fit = [*inspect.signature(entry.function.fit).parameters][1:]
            pairs.extend((name, argument) for argument in of_fit)
    return [pair for pair in pairs if pair not in WITHOUT_EFFECT]


def others(value):
    """Other values of an argument: in another order of rows or columns, or one part changed."""
    if isinstance(value, tuple):
        [other_first], [other_second] = map(others, value)
        return [(other_first, value[1]), (value[0], other_second)]
    if isinstance(value, pd.DataFrame):
        return [pd.DataFrame(value.to_numpy()[::-1], value.index, value.columns)]
    if isinstance(value, pd.Series):
        return [pd.Series(value.to_numpy()[::-1], value.index)]
    if isinstance(value, np.ndarray):
        return [value[::-1]]
    if isinstance(value, str):
        return [value.replace("0", "1")]
    other = value.copy()  # an AnnData
    other.X = other.X * 1.1
    return [other]


@pytest.mark.parametrize(("name", "argument"), arguments_of_fits())
def test_a_fit_does_not_remember_another(name, argument):
    entry = entries()[name]
    parameters = {**entry.arguments, **WITH.get(argument, {}), "random_state": 0}
    model = entry.function(**parameters)
    names = [*inspect.signature(model.fit).parameters]
    usual = dict(zip(names, entry.fit_arguments, strict=False))
    if argument not in usual:
        usual[argument] = OPTIONAL[argument]()

    def fit(arguments):
        return digest(answer(copy.deepcopy(model).fit(**arguments), entry.fit_arguments[0]))

    for other in others(usual[argument]):
        changed = {**usual, argument: other}
        forget()
        alone = fit(changed)
        forget()
        assert fit(usual) != alone
        assert fit(changed) == alone
