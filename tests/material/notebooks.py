"""Runs the code of a notebook in the process of a test, where it can be watched and patched."""

import ast
import contextlib
import json
import re

import matplotlib.pyplot as plt
from IPython.display import display

from material.paths import NOTEBOOKS
from sbnn.study.report import format_numbers


def run_cells(name, **parameters):
    """Execute the code cells of a notebook with these parameters; its variables."""
    return execute(code_cells(NOTEBOOKS / f"{name}.ipynb"), parameters)


def run_proof(text, **parameters):
    """Execute the cell with this text, and only those before it that it needs; its variables."""
    of_notebooks = map(code_cells, NOTEBOOKS.glob("0*.ipynb"))
    [cells] = [cells for cells in of_notebooks if any(text in code for code, _ in cells)]
    while text not in cells[-1][0]:
        cells.pop()
    needed, chosen = set(), []
    for code, tags in reversed(cells):
        defined, used = names_in(code)
        if not chosen or defined & needed or "parameters" in tags:
            chosen.insert(0, (code, tags))
            needed = (needed - defined) | (used - defined)
    return execute(chosen, parameters)


def read_cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def shown_rows(name):
    """Rows of all tables that a notebook shows, each a list of the texts of its cells."""
    rows = []
    for cell in read_cells(NOTEBOOKS / f"{name}.ipynb"):
        for output in cell.get("outputs", ()):
            html = "".join(output.get("data", {}).get("text/html", ""))
            for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL):
                rows.append(re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL))
    return rows


def rows_of(table, digits=3):
    """Rows of a table with numbers of so many digits, in the form of `shown_rows`."""
    return [
        [name, *map(str, row)] for name, *row in format_numbers(table, digits).itertuples(name=None)
    ]


def code_cells(path):
    """Code of the cells of a notebook without lines of IPython, and their tags."""
    of_code = []
    for cell in (cell for cell in read_cells(path) if cell["cell_type"] == "code"):
        code = "".join(line for line in cell["source"] if not line.startswith("%"))
        of_code.append((code, cell["metadata"].get("tags", ())))
    return of_code


def names_in(code):
    """Names that a piece of code defines, and those that it uses."""
    defined, used = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.alias):
            defined.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
    return defined, used


def execute(cells, parameters):
    """Execute pieces of code, with parameters in place of those of the cell with this tag."""
    variables = {"display": display}  # as in IPython
    # a notebook sets the style of figures for itself alone
    with contextlib.chdir(NOTEBOOKS), plt.ioff(), plt.rc_context():
        for code, tags in cells:
            exec(compile(code, "notebook", "exec"), variables)
            if "parameters" in tags:
                variables.update(parameters)
    plt.close("all")
    return variables
