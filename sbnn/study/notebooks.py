"""Run a notebook with parameters; needs the extra ``notebooks`` (papermill and a kernel)."""

import logging
import os
from pathlib import Path

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from traitlets import CaselessStrEnum


class LocalKernelManager(AsyncKernelManager):
    """Talks to the kernel through files rather than network ports, where the system can: nobody else can listen."""

    transport = CaselessStrEnum(["tcp", "ipc"], default_value="ipc" if os.name == "posix" else "tcp", config=True)


def run_notebook(source, target, **parameters):
    """Execute a notebook in its own folder.

    Parameters
    ----------
    source, target : path-like
        The notebook, and where to write it with its outputs; they may be the same.
    **parameters
        Values for its cell of parameters.

    Raises
    ------
    papermill.PapermillExecutionError
        If a cell fails; the notebook is written up to there.
    """
    source, target = Path(source), Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    notebook = papermill.execute_notebook(
        str(source),
        str(target),
        parameters=parameters,
        cwd=str(source.parent),
        progress_bar=False,
        kernel_manager_class=LocalKernelManager,
    )
    for part in (notebook, *notebook.cells):  # times and paths of this run, which would differ in the next one
        for entry in ("papermill", "execution"):
            part.metadata.pop(entry, None)
    nbformat.write(notebook, str(target))
