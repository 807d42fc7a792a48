"""Notebooks, executed with parameters by this Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sbnn.errors import require
from sbnn.files import replacing

#: Folder of a checkout; an installed package has none.
REPOSITORY = Path(__file__).resolve().parents[1]
#: Beginning of a notebook.
NOTEBOOK = rb'\s*\{\s*"cells":'
KERNEL_OPTIONS = (
    "--log-level=CRITICAL",  # a kernel warns of connections, and of being ended
    # files in the current folder, such as a clone called sbnn, would be imported
    "--InteractiveShellApp.ignore_cwd=True",
)


def run_notebook(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    *,
    cwd: Path | None = None,
) -> None:
    """Execute a notebook with parameters and write it; ValueError if a cell fails."""
    require("papermill")
    import papermill

    failure = None
    with replacing(target, beginning=NOTEBOOK) as temporary:
        # papermill fills in what is in braces
        source_path, target_path = (
            str(path).replace("{", "{{").replace("}", "}}") for path in (source, temporary)
        )
        try:
            papermill.execute_notebook(
                source_path,
                target_path,
                parameters,
                cwd=cwd,
                progress_bar=False,  # of cells, one of which may take an hour
                kernel_manager_class=_manager_of_this_python(),
                extra_arguments=KERNEL_OPTIONS,
            )
        except papermill.PapermillExecutionError as error:  # the notebook shows where
            failure = error
        except RuntimeError as error:  # of nbclient and jupyter_client, about the kernel
            raise ValueError(
                f"{source.name}: {error}; the memory may have run out: free some, or use fewer "
                "--jobs, and give the same command again"
            ) from error
    if failure is not None:
        message = f"{failure.ename}: {failure.evalue}"
        raise ValueError(message.removeprefix("ValueError: ")) from failure


def _manager_of_this_python():
    """Class of managers whose kernel is this Python, whatever is registered as ``python3``."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class ManagerOfThisPython(AsyncKernelManager):
        def __init__(self, **options):
            own_kernels = KernelSpecManager(kernel_dirs=[])
            super().__init__(kernel_spec_manager=own_kernels, **options)

    return ManagerOfThisPython
