"""Runs the code of a notebook in the process of a test, where it can be watched and patched."""

import contextlib
import json
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import display

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def run_cells(name, **parameters):
    """Execute the code cells of a notebook with these parameters; its variables."""
    variables = {"display": display}  # as in IPython
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    # a notebook sets the style of figures for itself alone
    with contextlib.chdir(NOTEBOOKS), plt.ioff(), plt.rc_context():
        for cell in (cell for cell in cells if cell["cell_type"] == "code"):
            code = "".join(line for line in cell["source"] if not line.startswith("%"))
            exec(compile(code, f"{name}.ipynb", "exec"), variables)
            if "parameters" in cell["metadata"].get("tags", ()):
                variables.update(parameters)
    plt.close("all")
    return variables
