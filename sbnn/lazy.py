"""Public names that are imported on first use."""

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path


def public_names(package, file):
    """Return what a package defines to import its public names on first use.

    These are `__getattr__`, `__dir__` and `__all__`. The names are those that the stub imports,
    which type checkers read, too. Reading a record or a table then does not wait for torch.
    """
    homes = {}
    for node in ast.parse(Path(file).with_suffix(".pyi").read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            homes |= {alias.name: node.module for alias in node.names}

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = importlib.import_module(homes[name])
        submodule = f"{homes[name]}.{name}"  # as in `from sbnn import metrics`
        if hasattr(home, "__path__") and find_spec(submodule):
            return importlib.import_module(submodule)
        return getattr(home, name)

    return get, lambda: sorted(homes), list(homes)
