"""The main job: run the notebooks top to bottom on every data set of the project that is here, and on simulated data.

    python -m sbnn.study.reproduce [--dataset all] [--fresh] [--fast] [--in-place]

The figures of data sets that are not here are redrawn from the saved results, which need no data.
Executed notebooks go to ``build/notebooks/<data set>``, results to ``saved_models``, figures to ``figures``. What is
saved is loaded, unless ``--fresh`` asks to compute it anew.
"""

import argparse
import logging
import os
import time
from pathlib import Path

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from traitlets import CaselessStrEnum

from sbnn.data.datasets import DATASETS, default_dataset
from sbnn.data.inventory import list_datasets

ROOT = Path(__file__).resolve().parents[2]
REDRAW = "04_figures.ipynb"


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


def reproduce(dataset="all", *, fresh=False, fast=False, in_place=False):
    """Run all notebooks.

    Parameters
    ----------
    dataset : str
        Its name; or "all", those with saved results: where the data are not here, only the figures are drawn.
    fresh, fast : bool
        Passed on to the notebooks.
    in_place : bool
        Execute the committed notebooks themselves, with the parameters that stand in them.
    """
    for path, name in _jobs(dataset):
        started = time.monotonic()
        target = path if in_place else ROOT / "build" / "notebooks" / name / path.name
        run_notebook(path, target, **({} if in_place else {"dataset": name, "fresh": fresh, "fast": fast}))
        print(f"{path.name} on {name}: {time.monotonic() - started:.0f} s -> {target.relative_to(ROOT)}", flush=True)


def _jobs(dataset):
    """Notebooks to run, each with its data set."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    if dataset != "all":
        return [(path, dataset) for path in paths]
    here = {state.name for state in list_datasets() if state.state in ("here", "here in part", "made here")}
    here.add(default_dataset())  # which downloads it, where that is possible
    saved = [name for name in DATASETS if (ROOT / "saved_models" / name / "cv_network.pickle").exists()]
    return [(path, name) for name in saved for path in paths if name in here or path.name == REDRAW]


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sbnn.study.reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="all", choices=["all", "auto", *DATASETS], help="auto: scala or simulated")
    parser.add_argument("--fresh", action="store_true", help="compute anew what is saved")
    parser.add_argument("--fast", action="store_true", help="a few epochs and folds, to see that everything runs")
    parser.add_argument("--in-place", action="store_true", help="execute the notebooks in notebooks/ themselves")
    options = parser.parse_args(arguments)
    dataset = default_dataset() if options.dataset == "auto" or options.in_place else options.dataset
    reproduce(dataset, fresh=options.fresh, fast=options.fast, in_place=options.in_place)


if __name__ == "__main__":
    main()
