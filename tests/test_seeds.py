"""The same seed gives the same numbers and another seed others, of whatever has a seed."""

import inspect

import pytest
from material.calls import entries, functions_with
from material.comparisons import digest

SEEDS = ("seed", "random_state", "seeds")


def seed_of(entry, value):
    """Argument with the seed."""
    for name in SEEDS:
        if name in inspect.signature(entry.function).parameters:
            return {name: (value, value + 10) if name == "seeds" else value}
    raise AssertionError("has no seed")


@pytest.fixture(params=functions_with(*SEEDS))
def entry(request):
    return entries()[request.param]


def test_the_same_seed_gives_the_same_numbers(entry):
    assert digest(entry(**seed_of(entry, 1))) == digest(entry(**seed_of(entry, 1)))


def test_another_seed_gives_other_numbers(entry):
    assert digest(entry(**seed_of(entry, 1))) != digest(entry(**seed_of(entry, 2)))
