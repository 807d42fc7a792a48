"""Executes the committed notebooks in place; their images are stored in few colors.

.venv/bin/python benchmarks/notebooks.py [notebooks/02_paper.ipynb ...]
"""

import base64
import sys

import nbformat
import papermill

from sbnn.plotting.common import in_few_colors
from sbnn.study.command import REPOSITORY


def execute(paths):
    """Execute notebooks, by default all."""
    for path in paths or sorted((REPOSITORY / "notebooks").glob("0*.ipynb")):
        notebook = papermill.execute_notebook(path, path, cwd=REPOSITORY / "notebooks")
        for part in (notebook, *notebook.cells):
            for key in ("execution", "papermill", "widgets"):  # widgets are progress bars
                part.metadata.pop(key, None)
            for output in part.get("outputs", ()):
                content = output.get("data", {})
                if "image/png" in content:
                    small = in_few_colors(base64.b64decode(content["image/png"]))
                    content["image/png"] = base64.b64encode(small).decode()
        nbformat.write(notebook, path)


if __name__ == "__main__":
    execute(sys.argv[1:])
