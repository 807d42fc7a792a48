"""Public names that are imported on first use."""

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path


def public_names(package, file):
    """`__getattr__`, `__dir__` and `__all__` of a package, from the imports in its stub.

    Reading a record or a table then does not wait for torch, and type checkers see the same names.
    """
    homes = {}
    for node in ast.parse(Path(file).with_suffix(".pyi").read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            homes |= {alias.name: node.module for alias in node.names}

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = importlib.import_module(homes[name])
        submodule = f"{homes[name]}.{name}"
        if hasattr(home, "__path__") and find_spec(submodule):
            return importlib.import_module(submodule)
        return getattr(home, name)

    return get, lambda: sorted(homes), list(homes)
