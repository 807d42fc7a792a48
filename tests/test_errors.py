"""An error in the code of a model or of a caller comes through, whatever catches errors."""

import ast
import inspect
from pathlib import Path
from unittest.mock import Mock

import pytest
from material.calls import entries, storing_functions

import sbnn

PACKAGE = Path(sbnn.__file__).parent
METHODS = ("fit", "predict", "predict_proba", "transform", "score", "get_support")
#: What a model is called.
MODELS = ("estimator", "model")


def functions_of_models():
    """Names of those that store a result of a model."""
    for name, function in storing_functions().items():
        if not {*inspect.signature(function).parameters}.isdisjoint(MODELS):
            yield name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*functions_of_models()])
def test_an_error_inside_of_a_model_comes_through(name, method, monkeypatch):
    call = entries()[name]
    [model] = [call.arguments[argument] for argument in MODELS if argument in call.arguments]
    inside = Mock(side_effect=TypeError("inside of the model"))
    if not hasattr(model, method):
        return
    monkeypatch.setattr(type(model), method, inside)
    try:
        call()
    except TypeError as error:
        assert str(error) == "inside of the model"
    else:
        assert not inside.called


def catches_type_errors(names):
    """Whether classes of errors, or a bare `except`, catch a TypeError."""
    return names is None or any(
        isinstance(node, ast.Name) and node.id in ("TypeError", "Exception", "BaseException")
        for node in ast.walk(names)
    )


def test_no_type_error_gets_lost():
    """What is raised in its place has it as the cause."""
    for path in {*PACKAGE.rglob("*.py")} - {PACKAGE / "ephys_types" / "traces.py"}:  # of IPFX
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                assert not catches_type_errors(node), f"{path}, line {node.lineno}"
            if isinstance(node, ast.ExceptHandler) and catches_type_errors(node.type):
                *_, last = node.body
                assert isinstance(last, ast.Raise), f"{path}, line {node.lineno}"
                assert last.exc is None or ast.unparse(last.cause) == node.name
