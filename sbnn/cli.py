"""The command line ``sbnn``; the exit status is 2 after an error and 130 after Ctrl-C."""

import argparse
import importlib.metadata
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sbnn.errors import check_among, require

REPOSITORY = Path(__file__).resolve().parents[1]
PAIRED_DATA = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein", "simulated")
#: Notebook -> data sets with committed results; "figures" are drawn from these alone.
NOTEBOOKS = {
    "figures": PAIRED_DATA,
    "01": PAIRED_DATA,
    "02": PAIRED_DATA,
    "03": PAIRED_DATA,
    "04": ("lee_human", "gouwens_ephys", "simulated_ephys"),
    "05": ("papalexi", "simulated_screen"),
    "06": ("grn_350", "simulated_grn"),
    "08": ("own_data/simulated",),
}


class Run(NamedTuple):
    """A notebook, or the figures, and the data set that it is run on."""

    notebook: str
    dataset: str
    #: Whether results are committed.
    committed: bool = False
    #: Whether the data are on this machine.
    is_here: bool = True


class Report(NamedTuple):
    """What a study shows of its records."""

    overview: Callable[[str | Path], dict]
    read: Callable[[str | Path], dict]
    tables: Callable[[dict], dict]


def fit(
    *,
    expression: str,
    outputs: str,
    labels: str | None,
    groups: str | None,
    out: str,
    fast: bool,
    n_jobs: int,
) -> None:
    """Fit a user's tables with notebook 08, and write a report."""
    require("bokeh", "nbconvert", "openTSNE", "papermill")
    from nbconvert import HTMLExporter

    from sbnn.results import results_folder
    from sbnn.store import write_atomically

    source = REPOSITORY / "notebooks" / "08_own_data.ipynb"
    if not source.exists():
        source = find_installed(source.name)
    target = Path(out).resolve()
    folder = results_folder(target.parent, target.name, fast)
    parameters = {
        "n_genes": 25,
        "n_pairs": 25,
        "fast": fast,
        "saved_models": str(target.parent),
        "dataset": target.name,
        "figures": str(target.parent),
        "expression": expression,
        "outputs": outputs,
        "labels": labels,
        "groups": groups,
        "n_jobs": n_jobs,
    }
    print("about 70 fits of the network; with 1000 genes, each takes 4 CPU seconds")
    run_notebook(source, folder / source.name, parameters, progress_bar=True)
    exporter = HTMLExporter(exclude_input=True, exclude_output_prompt=True)
    page, _ = exporter.from_filename(str(folder / source.name))
    write_atomically(page.encode(), folder / "report.html")
    print(folder / "report.html")


def find_installed(name: str) -> Path:
    """Path of a file that was installed with the package."""
    files = importlib.metadata.files("sbnn") or []
    path = next(file.locate() for file in files if file.name == name)
    return Path(str(path))


def run_notebook(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    *,
    cwd: Path | None = None,
    progress_bar: bool = False,
) -> None:
    """Execute a notebook with parameters and write it; ValueError if a cell fails."""
    require("papermill")
    import papermill

    target.parent.mkdir(parents=True, exist_ok=True)
    # papermill fills in what is in braces
    source_path, target_path = (
        str(path).replace("{", "{{").replace("}", "}}") for path in (source, target)
    )
    try:
        papermill.execute_notebook(
            source_path,
            target_path,
            parameters,
            cwd=cwd,
            progress_bar=progress_bar,
            kernel_manager_class=_manager_of_this_python(),
            # a kernel warns of connections without encryption
            extra_arguments=["--log-level=ERROR"],
        )
    except papermill.PapermillExecutionError as error:
        message = f"{error.ename}: {error.evalue}"
        raise ValueError(message.removeprefix("ValueError: ")) from error
    except RuntimeError as error:  # of nbclient and jupyter_client, about the kernel
        raise ValueError(
            f"{source.name}: {error}; the memory may have run out: free some, or use fewer --jobs, "
            "and give the same command again"
        ) from error


def _manager_of_this_python():
    """Class of managers whose kernel is this Python, whatever is registered as ``python3``."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class ManagerOfThisPython(AsyncKernelManager):
        def __init__(self, **options):
            own_kernels = KernelSpecManager(kernel_dirs=[])
            super().__init__(kernel_spec_manager=own_kernels, **options)

    return ManagerOfThisPython


def data(*, action: str) -> None:
    """List the data sets, and which of them are on this machine."""
    from sbnn.data.datasets import list_datasets

    print(list_datasets().to_string())


def reproduce(
    *, notebook: str, dataset: str, figures: str, fast: bool, fresh: bool, n_jobs: int
) -> None:
    """Run notebooks from top to bottom, and write them to build/notebooks."""
    from joblib import Parallel, delayed

    from sbnn.data.datasets import list_datasets

    notebooks: dict[str, list[str]] = {}  # of a data set; later ones load what earlier ones save
    for run in choose_runs(list_runs(), notebook=notebook, dataset=dataset, fast=fast):
        notebooks.setdefault(run.dataset, []).append(run.notebook)
    if not notebooks:
        check_among("dataset", dataset, ["auto", "all", *list_datasets().index])
    run_all = delayed(_run_in_turn)
    Parallel(n_jobs)(
        run_all(notebooks_of_dataset, name, figures=figures, fast=fast, fresh=fresh)
        for name, notebooks_of_dataset in notebooks.items()
    )


def list_runs() -> list[Run]:
    """Every notebook on every data set of its study, and the figures of committed results."""
    from sbnn.data.datasets import list_datasets

    table = list_datasets()
    is_here = table["state"] == "here"
    runs = []
    for notebook, committed in NOTEBOOKS.items():
        names = ["auto", *committed]
        if notebook != "figures":  # which need results
            same_study = table["study"] == table["study"].get(committed[0])
            names.extend(name for name in table.index[same_study] if name not in committed)
        for name in names:
            needed = "scala" if name == "auto" else name
            run = Run(
                notebook=notebook,
                dataset=name,
                committed=name in committed,
                is_here=is_here.get(needed, True),
            )
            runs.append(run)
    return runs


def choose_runs(runs: Sequence[Run], notebook: str, dataset: str, fast: bool) -> list[Run]:
    """Runs of the notebook, or of all, on the data set, or on all with committed results."""
    of_notebook = [run for run in runs if notebook in ("all", run.notebook)]
    if notebook == "all":  # notebook 03 draws the figures of data that are here
        of_notebook = [
            run for run in of_notebook if run.notebook != "figures" or not (run.is_here or fast)
        ]
    if dataset == "all":
        return [
            run
            for run in of_notebook
            if run.committed and (run.is_here or run.notebook == "figures")
        ]
    chosen = [run for run in of_notebook if run.dataset == dataset]
    if not chosen and notebook != "all":  # which says why it does not accept the data set
        return [Run(notebook=notebook, dataset=dataset)]
    return chosen


def _run_in_turn(notebooks, dataset, *, figures, fast, fresh):
    for notebook in notebooks:
        _run(notebook, dataset, figures=figures, fast=fast, fresh=fresh)


def _run(notebook, name, *, figures, fast, fresh):
    folder = Path(figures).resolve()
    if notebook == "figures":
        from sbnn.study.figures import draw_study_figures

        dataset = name.replace("auto", "scala")
        print(*draw_study_figures(dataset, REPOSITORY / "saved_models", folder, fast=fast))
        return
    [source] = (REPOSITORY / "notebooks").glob(f"{notebook}_*.ipynb")
    target = REPOSITORY / "build" / "notebooks" / name / source.name
    parameters = {"dataset": name, "figures": str(folder), "fast": fast, "fresh": fresh}
    run_notebook(source, target, parameters, cwd=source.parent)
    print(f"{source.name} on {name}: {target}", flush=True)


def report(*, results: str) -> None:
    """Print the tables of a data set or of a folder of `sbnn fit`, or an overview of all."""
    from sbnn.data.datasets import DATASETS

    reports = study_reports()
    if results == "all":
        for study_report in reports.values():
            print_tables(study_report.overview("saved_models"))
        return
    folder = Path(results)
    study_report = reports["sbnn"]
    if results in DATASETS.index:
        folder = Path("saved_models", results)
        study_report = reports[DATASETS["study"][results]]
    records = study_report.read(folder)
    print_tables(study_report.tables(records))


def study_reports() -> dict[str, Report]:
    """Reports by the names that studies have in the table of the data sets."""
    from sbnn.dynamics.report import dynamics_overview, dynamics_tables, read_dynamics_records
    from sbnn.ephys_types.report import read_types_records, types_overview, types_tables
    from sbnn.mechanism_shift.report import read_screens_records, screens_overview, screens_tables
    from sbnn.study.report import read_study_records, study_overview, study_tables

    return {
        "sbnn": Report(overview=study_overview, read=read_study_records, tables=study_tables),
        "ephys_types": Report(
            overview=types_overview, read=read_types_records, tables=types_tables
        ),
        "mechanism_shift": Report(
            overview=screens_overview, read=read_screens_records, tables=screens_tables
        ),
        "dynamics": Report(
            overview=dynamics_overview, read=read_dynamics_records, tables=dynamics_tables
        ),
    }


def print_tables(tables: dict) -> None:
    """Print tables with their titles above."""
    for title, table in tables.items():
        print(f"\n{title}\n\n{table.round(3).to_string()}")


def build_parser() -> argparse.ArgumentParser:
    """Parser of all commands."""
    parser = argparse.ArgumentParser("sbnn")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_fit(commands)
    _add_data(commands)
    _add_reproduce(commands)
    _add_report(commands)
    return parser


def _add_fit(commands):
    summary = "Fit your own tables with notebook 08, and write a report."
    command = commands.add_parser(
        "fit",
        help=summary,
        description=summary,
        epilog="The same command resumes an interrupted run.",
    )
    command.set_defaults(run=fit)
    command.add_argument(
        "--expression",
        required=True,
        metavar="FILE",
        help="cells x genes (counts or log values), or an .h5ad file with everything",
    )
    command.add_argument(
        "--outputs",
        default="outputs",
        metavar="FILE",
        help="cells x measurements to predict; for .h5ad, a key of obsm (default: outputs)",
    )
    command.add_argument(
        "--labels",
        metavar="FILE",
        help="cells x labels: type and family, which colour the map, donor, batch, ...",
    )
    command.add_argument(
        "--groups",
        metavar="COLUMN",
        help="column of the labels, such as donor: folds hold out whole groups",
    )
    command.add_argument(
        "--out",
        default="mine",
        metavar="FOLDER",
        help="folder to write (default: mine): report.html, explorer.html, figures, the model, "
        "a record of each result and the executed notebook",
    )
    command.add_argument("--fast", action="store_true", help="quick run with small networks")
    command.add_argument(
        "--jobs",
        type=int,
        default=1,
        dest="n_jobs",
        metavar="N",
        help="number of worker processes (default: 1)",
    )


def _add_data(commands):
    summary = "List the data sets, and which are here: data list."
    command = commands.add_parser("data", help=summary, description=summary)
    command.set_defaults(run=data)
    command.add_argument("action", choices=["list"], help="list: what there is, and where")


def _add_reproduce(commands):
    summary = "Run notebooks from top to bottom, and write them to build/notebooks."
    command = commands.add_parser("reproduce", help=summary, description=summary)
    command.set_defaults(run=reproduce)
    command.add_argument(
        "notebook",
        nargs="?",
        default="all",
        choices=["all", *NOTEBOOKS],
        help="number, such as 02; all (default); or figures, to draw them from saved results",
    )
    command.add_argument(
        "dataset",
        nargs="?",
        default="auto",
        help="name; auto (default), that of each notebook; or all with committed results",
    )
    command.add_argument(
        "--figures",
        # the last bits of another processor would change pictures that git tracks
        default=REPOSITORY / "build" / "figures",
        metavar="FOLDER",
        help="folder of the figures (default: build/figures)",
    )
    command.add_argument("--fast", action="store_true", help="quick run with small models")
    command.add_argument("--fresh", action="store_true", help="recompute saved results")
    command.add_argument(
        "--jobs",
        type=int,
        default=1,
        dest="n_jobs",
        metavar="N",
        help="number of data sets at the same time (default: 1)",
    )


def _add_report(commands):
    summary = "Print the tables of a data set or of a folder of `sbnn fit`, or an overview of all."
    command = commands.add_parser("report", help=summary, description=summary)
    command.set_defaults(run=report)
    command.add_argument(
        "results",
        nargs="?",
        default="all",
        help="name of a data set; folder of `sbnn fit`; or all (default)",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = vars(build_parser().parse_args(arguments))
    run = options.pop("run")
    if isinstance(sys.stdout, io.TextIOWrapper):  # files of Windows lack some letters
        sys.stdout.reconfigure(errors="replace")
    try:
        run(**options)
        sys.stdout.flush()
    except BrokenPipeError:  # by a reader, such as head, that needs no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as of a program that SIGPIPE ends
    except KeyboardInterrupt:
        print("stopped; the same command resumes the run", file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f"sbnn: {error}", file=sys.stderr)
        return 2
    return 0
