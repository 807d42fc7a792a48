"""Run a notebook with parameters; this needs the extra ``notebooks`` (papermill and a kernel)."""

import base64
import logging
import os
import tempfile
from pathlib import Path
from uuid import uuid4

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from traitlets import CaselessStrEnum, default

from sbnn.plotting.common import in_few_colors


class LocalKernelManager(AsyncKernelManager):
    """Connects to the kernel through files, which other users cannot read, if possible."""

    transport = CaselessStrEnum(
        ["tcp", "ipc"], default_value="ipc" if os.name == "posix" else "tcp", config=True
    )

    @default("ip")
    def _files_of_its_own(self):
        # by default, kernels in a folder that start at the same time would share a connection
        if self.transport == "ipc":
            return f"{tempfile.gettempdir()}/kernel-{uuid4()}"
        return "127.0.0.1"


def run_notebook(source, target, **parameters):
    """Execute a notebook in its own folder."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    notebook = papermill.execute_notebook(
        str(source),
        str(target),
        parameters=parameters,
        cwd=str(Path(source).parent),
        progress_bar=False,
        kernel_manager_class=LocalKernelManager,
    )
    make_small(notebook)
    nbformat.write(notebook, str(target))


def make_small(notebook):
    """Remove what differs between runs, and store images in few colors."""
    for part in (notebook, *notebook.cells):
        for entry in ("papermill", "execution", "widgets"):
            part.metadata.pop(entry, None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in data:
                image = in_few_colors(base64.b64decode(data["image/png"]))
                data["image/png"] = base64.b64encode(image).decode()
