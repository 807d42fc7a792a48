"""The same seed gives the same numbers and another seed others, whoever does the work."""

import inspect
import sys
import time
from collections import Counter
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from material.calls import entries, functions_with, storing_functions
from material.comparisons import digest

from sbnn.evaluation import runs

SEEDS = ("seed", "random_state", "seeds")


def seed_of(entry, value):
    """Argument with the seed, if there is one."""
    for name in SEEDS:
        if name in inspect.signature(entry.function).parameters:
            return {name: (value, value + 10) if name == "seeds" else value}
    return {}


@pytest.fixture(params=functions_with(*SEEDS))
def entry(request):
    return entries()[request.param]


def test_the_same_seed_gives_the_same_numbers(entry):
    assert digest(entry(**seed_of(entry, 1))) == digest(entry(**seed_of(entry, 1)))


def test_another_seed_gives_other_numbers(entry):
    assert digest(entry(**seed_of(entry, 1))) != digest(entry(**seed_of(entry, 2)))


class SlowFirst(joblib.Parallel):
    """Workers; the first call ends when others, which started later, have ended."""

    def __call__(self, calls):
        (function, args, kwargs), *others = calls

        def slowly():
            time.sleep(0.3)
            return function(*args, **kwargs)

        return super().__call__([(slowly, (), {}), *others])


def functions_with_workers():
    """Those with a number of workers, also among the options that they pass on."""
    functions = functions_with("n_jobs")
    for name, function in storing_functions().items():
        kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
        if inspect.Parameter.VAR_KEYWORD in kinds:
            functions[name] = function
    return functions


@pytest.mark.parametrize("name", functions_with_workers())
def test_workers_change_no_number_whoever_ends_first(name, monkeypatch):
    alone = digest(entries()[name]())
    monkeypatch.setattr(runs, "Parallel", SlowFirst)
    with joblib.parallel_config(backend="threading"):
        together = digest(entries()[name](n_jobs=2))
    assert together == alone


#: Functions that draw the same random numbers again by intention.
SAME_NUMBERS = {
    "fit",  # the networks of all folds start with the same weights
    "elbo_of_cells",  # bounds differ by their cells or models, not by chance
    "iwelbo_of_cells",
}


@pytest.fixture
def seeds_of_generators(monkeypatch):
    """How often each function of the package has made a generator with each seed."""
    seeds = Counter()
    default_rng = np.random.default_rng

    def note(seed):
        code = sys._getframe(2).f_code
        if "sbnn" in Path(code.co_filename).parts and not isinstance(seed, np.random.Generator):
            seeds[code.co_name, repr(seed)] += 1

    def noted_rng(seed=None):
        note(seed)
        return default_rng(seed)

    class NotedGenerator(torch.Generator):
        def manual_seed(self, seed):
            note(seed)
            return super().manual_seed(seed)

    monkeypatch.setattr(np.random, "default_rng", noted_rng)
    monkeypatch.setattr(torch, "Generator", NotedGenerator)
    return seeds


@pytest.mark.parametrize("name", entries())
def test_no_random_numbers_are_drawn_twice(name, seeds_of_generators):
    entry = entries()[name]
    seeds_of_generators.clear()  # of the making of the data
    entry(**seed_of(entry, 0))
    again = {place for place, n in seeds_of_generators.items() if n > 1}
    assert {place for place in again if place[0] not in SAME_NUMBERS} == set()
