"""Public signatures are annotated."""

import importlib
import inspect
from pathlib import Path

import pytest

import sbnn

PACKAGE = Path(sbnn.__file__).parent
ROOMS = ["sbnn", "sbnn.ephys_types", "sbnn.mechanism_shift", "sbnn.dynamics", "sbnn.plotting"]


def functions_of(room):
    """Public functions and methods of the package, by name."""
    found = {}
    for name in importlib.import_module(room).__all__:
        public = getattr(importlib.import_module(room), name)
        found[name] = public
        for base in inspect.getmro(public) if inspect.isclass(public) else ():
            if base.__module__.startswith("sbnn."):
                found.update({f"{name}.{key}": value for key, value in vars(base).items()})
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_parameter_and_result_has_a_type(room):
    for name, function in functions_of(room).items():
        function = inspect.unwrap(getattr(function, "__func__", function))
        own = name.rpartition(".")[2]
        if not inspect.isfunction(function) or own.startswith("_") and own != "__init__":
            continue
        if not function.__code__.co_filename.startswith(str(PACKAGE)):
            continue  # methods that dataclasses write
        parameters = set(inspect.signature(function).parameters) - {"self", "cls"}
        assert parameters | {"return"} <= function.__annotations__.keys(), name
