"""The command line ``sbnn``; the exit status is 2 after an error and 130 after Ctrl-C."""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sbnn.errors import check_among, require

REPOSITORY = Path(__file__).resolve().parents[1]
PAIRED_DATA = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein", "simulated")
#: Notebook -> data sets with committed results; "figures" are drawn from these alone.
NOTEBOOKS = {
    "figures": (*PAIRED_DATA, "citefuse", "tcga_breast"),
    "01": PAIRED_DATA,
    "02": PAIRED_DATA,
    "03": PAIRED_DATA,
    "04": PAIRED_DATA,
    "05": ("lee_human", "gouwens_ephys", "simulated_ephys"),
    "06": ("papalexi", "simulated_screen"),
    "07": ("grn_350", "simulated_grn"),
    "08": ("own_data/simulated",),
}
#: Names of studies in the table of the data sets.
STUDIES = ("sbnn", "ephys_types", "mechanism_shift", "dynamics")
OWN_DATA = "08_own_data.ipynb"
#: Records of this notebook.
OWN_RECORDS = (
    "cv_distilled",
    "cv_ridge",
    "cv_stacked",
    "fit_distilled_*d",
    "fit_stacked",
    "genes_curve",
    "halves_distilled",
    "interpretation",
    "map_trust",
    "tsne",
)
#: Options of `sbnn fit` that are arguments of `read_tables`.
TABLE_OPTIONS = ("expression", "outputs", "labels", "counts", "genes_in_rows", "by_position")
PATH_OPTIONS = ("expression", "outputs", "labels", "require", "candidates")
SHOWN_FILES = (".csv", ".h5ad", ".html", ".json", ".safetensors")
QUICK_PAIRS = 2
SECONDS_BETWEEN_COUNTS = 0.5
KERNEL_OPTIONS = (
    "--log-level=CRITICAL",  # a kernel warns of connections, and of being ended
    # files in the current folder, such as a clone called sbnn, would be imported
    "--InteractiveShellApp.ignore_cwd=True",
)
COMMAND_REMEDY = "give another --out, or --fresh to compute them anew"
EXPRESSION_HELP = "cells x genes (counts or log values), or an .h5ad file with everything"
OUTPUTS_HELP = "cells x measurements to predict; for .h5ad, a key of obsm (default: outputs)"
LABELS_HELP = "cells x labels: type and family, which colour the map, donor, batch, ..."
COUNTS_HELP = "expression has raw counts (default: if it has whole numbers)"
GENES_IN_ROWS_HELP = "expression is genes x cells (default: found by the names)"
BY_POSITION_HELP = "rows are numbered: all tables have the same cells in the same order"
GROUPS_HELP = "column of the labels, such as donor: folds hold out whole groups"
COLOR_HELP = "column of the labels that colours the map (default: family, type or the first)"
COMPONENTS_HELP = "dimensions of the map (default: 2)"
PRESELECT_HELP = "genes to choose in every fold (default: 1000 if there are more than 2000)"
NO_PRESELECT = "use all genes, however many"
PAIRS_HELP = "pairs of random halves of the cells, to find stable genes (default: 25)"
REQUIRE_HELP = "file with a gene on each line: genes to keep in any case"
CANDIDATES_HELP = "file with a gene on each line: the others are chosen among these"
CURVE_HELP = "also test every number of genes, with ten fits for each"
OUT_HELP = (
    "folder to write (default: mine): report.html, explorer.html, tables, figures, the model, "
    "a record of each result and the executed notebook"
)
JOBS_HELP = "number of worker processes (default: 1)"
PREDICTIONS_HELP = "file to write (default: predictions.csv)"


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


def fit(*, out: str, fast: bool, fresh: bool, **options: Any) -> None:
    """Fit a user's tables with notebook 08, whose parameters the options are, and write results."""
    require("bokeh", "nbconvert", "openTSNE", "papermill")
    parameters = _with_absolute_paths(options)
    # what is refused is refused now, not after the start of a kernel, and leaves no folder behind
    adata = _read_user_tables(parameters)
    n_fits = _count_network_fits(adata, parameters, fast)
    folder = Path(out).resolve()
    if fresh or _was_fast(folder / OWN_DATA) > fast:
        remove_results(folder)
    if fast:
        print(f"quick run with small networks and two folds, in {folder}: not for conclusions")
    from sbnn.study.own_page import write_page

    with show_progress(folder, n_fits):
        _run_own_notebook(folder, parameters | {"fast": fast})
    write_page(folder, OWN_DATA)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    names = sorted(path.name for path in folder.iterdir() if path.suffix in SHOWN_FILES)
    print(f"{folder}: {', '.join(names)}")
    print(summary["verdict"]["sentence"])


def _with_absolute_paths(options):
    """Options whose paths of files hold in any folder."""
    parameters = dict(options)
    for name in PATH_OPTIONS:
        if parameters[name] is not None and Path(parameters[name]).is_file():
            parameters[name] = str(Path(parameters[name]).resolve())
    return parameters


def _read_user_tables(parameters):
    """Data of the tables, read as the notebook does; the colour of the map is checked, too."""
    from sbnn.data.checks import group_columns
    from sbnn.data.tables import read_tables

    tables = {name: parameters[name] for name in TABLE_OPTIONS}
    with print_warnings():
        adata = read_tables(**tables)
    if parameters["color"] is not None:
        check_among("color", parameters["color"], group_columns(adata.obs))
    return adata


def _count_network_fits(adata, parameters, fast):
    """Number of networks to fit for each record, after the same checks as in the notebook."""
    # takes longer to import than a table to refuse
    from sbnn.study.own_data import count_fits, read_panel

    with print_warnings():
        panel = read_panel(
            adata.var_names,
            require=parameters["require"],
            candidates=parameters["candidates"],
            n_genes=parameters["n_genes"],
        )
    n_numbers = len(panel.numbers()) if parameters["curve"] else 0
    n_fits = count_fits(
        adata,
        parameters["groups"],
        n_pairs=QUICK_PAIRS if fast else parameters["n_pairs"],
        n_numbers=n_numbers,
        fast=fast,
        seed=parameters["seed"],
    )
    sizes = f"{adata.n_obs} cells, {adata.n_vars} genes, {adata.obsm['outputs'].shape[1]} outputs"
    print(f"{sizes}; {sum(n_fits.values())} fits of the network", flush=True)
    return n_fits


def _run_own_notebook(folder, parameters):
    """Run notebook 08 of the checkout, or else the installed one, with results in the folder."""
    source = REPOSITORY / "notebooks" / OWN_DATA
    if not source.exists():
        source = find_installed(source.name)
    parameters = parameters | {
        "dataset": folder.name,
        "saved_models": str(folder.parent),
        "figures": str(folder.parent),
    }
    try:
        run_notebook(source, folder / OWN_DATA, parameters)
    except ValueError as error:
        from sbnn.evaluation.runs import REMEDY  # which is that of Python

        raise ValueError(str(error).replace(REMEDY, COMMAND_REMEDY)) from error


@contextlib.contextmanager
def print_warnings() -> Iterator[None]:
    """Print the texts of warnings, without the line of code that gave them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)


def _was_fast(notebook):
    """Whether results of a quick run are in the folder of an executed notebook."""
    if not notebook.exists():
        return False
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    return metadata.get("papermill", {}).get("parameters", {}).get("fast", False)


def remove_results(folder: Path) -> None:
    """Delete the records that notebook 08 has written to a folder."""
    for name in OWN_RECORDS:
        for path in folder.glob(f"{name}.pickle.xz"):
            path.unlink()
        for parts in folder.glob(f"{name}.pickle.xz.parts"):
            shutil.rmtree(parts)


@contextlib.contextmanager
def show_progress(folder: Path, n_fits: Mapping[str, int]) -> Iterator[None]:
    """Show a bar of fits, which are counted by the files that they leave, until the block ends."""
    from tqdm import tqdm

    n_done = _count_done(folder, n_fits)
    # the mean time of all fits, as those of halves and of folds are not equally long
    bar = tqdm(
        total=sum(n_fits.values()), initial=n_done, unit="fit", desc=folder.name, smoothing=0
    )
    ended = threading.Event()

    def update():
        while not ended.wait(SECONDS_BETWEEN_COUNTS):
            n_new = _count_done(folder, n_fits) - bar.n
            if n_new and bar.n == n_done:  # before the first fit, a kernel starts and reads
                bar.initial = n_done + n_new
                bar.start_t = time.time()
            if n_new or sys.stderr.isatty():  # a file would have a line for each count
                bar.update(n_new)

    counting = threading.Thread(target=update, daemon=True)
    counting.start()
    try:
        yield
    finally:
        ended.set()
        counting.join()
        bar.update(_count_done(folder, n_fits) - bar.n)
        bar.close()


def _count_done(folder, n_fits):
    """Number of fits whose record is complete, or that are in the folder of its parts."""
    n_done = 0
    for name, n in n_fits.items():
        is_complete = any(folder.glob(f"{name}*.pickle.xz"))
        parts = folder.glob(f"{name}*.pickle.xz.parts/*.pickle.xz")
        n_done += n if is_complete else min(n, len([*parts]))
    return n_done


def predict(
    *, model: str, expression: str, out: str, counts: bool | None, genes_in_rows: bool | None
) -> None:
    """Place new cells on the map of a fitted model, and predict their outputs."""
    from sbnn.store import write_atomically
    from sbnn.study.own_data import predict_cells

    if Path(out).suffix == ".safetensors":
        raise ValueError(f"--out: {out} would replace a model; give the path of a .csv file")
    with print_warnings():
        table = predict_cells(model, expression, counts, genes_in_rows)
    write_atomically(table.to_csv(float_format="%.6g").encode(), out)
    print(f"{len(table)} cells: {out}")


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
            progress_bar=False,  # of cells, one of which may take an hour
            kernel_manager_class=_manager_of_this_python(),
            extra_arguments=KERNEL_OPTIONS,
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

    runs = choose_runs(list_runs(), notebook=notebook, dataset=dataset)
    if not runs:
        check_among("dataset", dataset, ["auto", "all", *list_datasets().index])
    run_all = delayed(_run_in_turn)
    Parallel(n_jobs)(
        run_all(runs_in_turn, figures=figures, fast=fast, fresh=fresh)
        for runs_in_turn in chain_runs(runs, computes=fast or fresh)
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


def choose_runs(runs: Sequence[Run], notebook: str, dataset: str) -> list[Run]:
    """Runs of the notebook, or of all, on the data set, or on all with committed results."""
    # notebook 04 draws the figures of data that are here; those of others are drawn on demand
    of_notebook = [run for run in runs if notebook in (run.notebook, "all")]
    if notebook == "all":
        of_notebook = [run for run in runs if run.notebook != "figures"]
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


def chain_runs(runs: Sequence[Run], computes: bool) -> list[list[Run]]:
    """Runs that may go on at the same time, each alone or followed by those that need its results.

    Notebooks load what earlier ones of the data set have saved, unless that is committed.
    """
    chains: dict[Hashable, list[Run]] = {}
    for run in runs:
        is_committed = run.committed or run.dataset == "auto"  # which stands for committed names
        chains.setdefault(run if is_committed and not computes else run.dataset, []).append(run)
    return list(chains.values())


def _run_in_turn(runs, *, figures, fast, fresh):
    for run in runs:
        _run(run.notebook, run.dataset, figures=figures, fast=fast, fresh=fresh)


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
    """Print the tables of a data set, a study or a folder of `sbnn fit`, or an overview of all."""
    from sbnn.data.datasets import DATASETS

    if results in ("all", *STUDIES):
        for study in STUDIES if results == "all" else [results]:
            print_tables(study_report(study).overview("saved_models"))
        return
    folder, study = Path(results), "sbnn"
    if results in DATASETS.index:
        folder, study = Path("saved_models", results), DATASETS["study"][results]
    tables_of_study = study_report(study)
    print_tables(tables_of_study.tables(tables_of_study.read(folder)))


def study_report(study: str) -> Report:
    """Report of a study by its name in the table of the data sets; it alone is imported."""
    if study == "ephys_types":
        from sbnn.ephys_types.report import read_types_records, types_overview, types_tables

        return Report(overview=types_overview, read=read_types_records, tables=types_tables)
    if study == "mechanism_shift":
        from sbnn.mechanism_shift.report import (
            read_screens_records,
            screens_overview,
            screens_tables,
        )

        return Report(overview=screens_overview, read=read_screens_records, tables=screens_tables)
    if study == "dynamics":
        from sbnn.dynamics.report import dynamics_overview, dynamics_tables, read_dynamics_records

        return Report(
            overview=dynamics_overview, read=read_dynamics_records, tables=dynamics_tables
        )
    from sbnn.study.report import read_study_records, study_overview, study_tables

    return Report(overview=study_overview, read=read_study_records, tables=study_tables)


def print_tables(tables: dict) -> None:
    """Print tables with their titles above."""
    for title, table in tables.items():
        print(f"\n{title}\n\n{table.round(3).to_string()}")


def build_parser() -> argparse.ArgumentParser:
    """Parser of all commands."""
    parser = argparse.ArgumentParser("sbnn")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_fit(commands)
    _add_predict(commands)
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
    # the names of options are those of the parameters of the notebook
    add = command.add_argument
    add("--expression", required=True, metavar="FILE", help=EXPRESSION_HELP)
    add("--outputs", default="outputs", metavar="FILE", help=OUTPUTS_HELP)
    add("--labels", metavar="FILE", help=LABELS_HELP)
    _add_table_options(command)
    add("--by-position", action="store_true", help=BY_POSITION_HELP)
    add("--groups", metavar="COLUMN", help=GROUPS_HELP)
    add("--color", metavar="COLUMN", help=COLOR_HELP)
    add("--n-genes", type=_positive, default=25, metavar="N", help="genes to keep (default: 25)")
    add("--require", metavar="FILE", help=REQUIRE_HELP)
    add("--candidates", metavar="FILE", help=CANDIDATES_HELP)
    add("--curve", action="store_true", help=CURVE_HELP)
    add("--n-components", type=_positive, default=2, metavar="N", help=COMPONENTS_HELP)
    # without either, the notebook has its own value
    add("--preselect", type=_positive, default=argparse.SUPPRESS, metavar="N", help=PRESELECT_HELP)
    add(
        "--no-preselect",
        dest="preselect",
        action="store_const",
        default=argparse.SUPPRESS,
        help=NO_PRESELECT,
    )
    add("--pairs", type=_positive, default=25, dest="n_pairs", metavar="N", help=PAIRS_HELP)
    add("--seed", type=int, default=42, metavar="N", help="of networks and folds (default: 42)")
    add("--device", default="auto", help="cpu, cuda or auto (default), a GPU if there is one")
    add("--out", default="mine", metavar="FOLDER", help=OUT_HELP)
    add("--fast", action="store_true", help="quick run with small networks and two folds")
    add("--fresh", action="store_true", help="recompute the results in the folder")
    add("--jobs", type=int, default=1, dest="n_jobs", metavar="N", help=JOBS_HELP)


def _add_table_options(command):
    """How a table of expression is read."""
    add = command.add_argument
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--counts", action="store_true", default=None, help=COUNTS_HELP)
    kind.add_argument("--log", dest="counts", action="store_false", help="it has log values")
    add("--genes-in-rows", action=argparse.BooleanOptionalAction, help=GENES_IN_ROWS_HELP)


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text}")
    return number


def _add_predict(commands):
    summary = "Place new cells on the map of a fitted model, and predict their outputs."
    command = commands.add_parser("predict", help=summary, description=summary)
    command.set_defaults(run=predict)
    add = command.add_argument
    add("model", metavar="MODEL", help="folder of `sbnn fit`, or file of a model")
    add("expression", metavar="NEW_COUNTS", help="cells x genes, in any form that fit takes")
    _add_table_options(command)
    add("--out", default="predictions.csv", metavar="FILE", help=PREDICTIONS_HELP)


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
        help="number, such as 02; all notebooks (default); or figures, drawn from saved results",
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
        help="number of notebooks at the same time (default: 1)",
    )


def _add_report(commands):
    summary = "Print the tables of a data set, a study or a folder of `sbnn fit`, or an overview."
    command = commands.add_parser("report", help=summary, description=summary)
    command.set_defaults(run=report)
    command.add_argument(
        "results",
        nargs="?",
        default="all",
        help=f"name of a data set; {', '.join(STUDIES)}; folder of `sbnn fit`; or all (default)",
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
