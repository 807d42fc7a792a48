"""The commands `fit` and `predict` for a user's own tables."""

import argparse
import contextlib
import importlib.metadata
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sbnn.errors import check_among, check_number, require
from sbnn.files import (
    LIST,
    LISTED,
    read_summary,
    refuse_other_file,
    require_writable,
    write_atomically,
    write_summary,
)
from sbnn.notebook import REPOSITORY, run_notebook

OWN_DATA = "08_own_data.ipynb"
RECORD_ENDING = ".pickle.xz"
#: Options of `sbnn fit` that are arguments of `read_tables`.
TABLE_OPTIONS = ("expression", "outputs", "labels", "counts", "genes_in_rows", "outputs_in_rows")
PATH_OPTIONS = ("expression", "outputs", "labels", "require", "candidates")
SHOWN_FILES = (".csv", ".h5ad", ".html", ".json", ".safetensors")
#: Beginning of a table of predictions.
PREDICTIONS = rb"cell,(sbnn_\d+,)+genes_outside,"
QUICK_PAIRS = 2
LARGEST_SEED = 2**31 - 1  # halves have the seeds that follow
SECONDS_BETWEEN_COUNTS = 0.5
COMMAND_REMEDY = "give another --out, or --fresh to compute them anew"
EXPRESSION_HELP = "cells x genes (counts or log values), or an .h5ad file with everything"
OUTPUTS_HELP = "cells x measurements to predict; for .h5ad, a key of obsm (default: outputs)"
LABELS_HELP = "cells x labels: type and family, which colour the map, donor, batch, ..."
COUNTS_HELP = "expression has raw counts (default: if it has whole numbers)"
GENES_IN_ROWS_HELP = "expression is genes x cells (default: found by the names)"
OUTPUTS_IN_ROWS_HELP = "outputs are measurements x cells (default: found by the names)"
GROUPS_HELP = "column of the labels, such as donor: folds hold out whole groups"
COLOR_HELP = "column of the labels that colours the map (default: family, type or the first)"
COMPONENTS_HELP = "dimensions of the map (default: 2)"
PRESELECT_HELP = "genes to choose in every fold (default: 1000 if there are more than 2000)"
NO_PRESELECT = "use all genes, however many"
PAIRS_HELP = "pairs of random halves of the cells, to find stable genes (default: 25)"
REQUIRE_HELP = "file with a gene on each line: genes to keep in any case"
CANDIDATES_HELP = "file with a gene on each line: the others are chosen among these"
OUT_HELP = (
    "folder to write (default: mine): report.html, explorer.html, tables, figures, the model, "
    "a record of each result and the executed notebook"
)
JOBS_HELP = "number of worker processes (default: 1)"
PREDICTIONS_HELP = "file to write (default: predictions.csv)"


def add_fit(commands: argparse._SubParsersAction) -> None:
    """Add `sbnn fit` to a parser."""
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
    add("--outputs-in-rows", action=argparse.BooleanOptionalAction, help=OUTPUTS_IN_ROWS_HELP)
    add("--groups", metavar="COLUMN", help=GROUPS_HELP)
    add("--color", metavar="COLUMN", help=COLOR_HELP)
    add("--n-genes", type=_positive, default=25, metavar="N", help="genes to keep (default: 25)")
    add("--require", metavar="FILE", help=REQUIRE_HELP)
    add("--candidates", metavar="FILE", help=CANDIDATES_HELP)
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
    add("--jobs", type=_positive, default=1, dest="n_jobs", metavar="N", help=JOBS_HELP)


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


def add_predict(commands: argparse._SubParsersAction) -> None:
    """Add `sbnn predict` to a parser."""
    summary = "Place new cells on the map of a fitted model, and predict their outputs."
    command = commands.add_parser("predict", help=summary, description=summary)
    command.set_defaults(run=predict)
    add = command.add_argument
    add("model", metavar="MODEL", help="folder of `sbnn fit`, or file of a model")
    add("expression", metavar="NEW_COUNTS", help="cells x genes, in any form that fit takes")
    _add_table_options(command)
    add("--out", default="predictions.csv", metavar="FILE", help=PREDICTIONS_HELP)


def fit(*, out: str, fast: bool, fresh: bool, **options: Any) -> None:
    """Fit a user's tables with notebook 08, whose parameters the options are, and write results."""
    require("bokeh", "nbconvert", "openTSNE", "papermill")
    # what is refused is refused now, not after the start of a kernel, and leaves no folder behind
    folder = Path(out).resolve()
    earlier = find_earlier(folder)
    parameters = _with_absolute_paths(options)
    adata = _read_user_tables(parameters)
    print_understood(adata)
    n_fits = _count_network_fits(adata, parameters, fast)
    was_fast = earlier.get("settings", {}).get("fast", False)
    if not earlier or fresh or was_fast > fast:
        remove_results(folder)
        write_summary(folder, {"settings": {"fast": fast}})
    if fast:
        print(f"quick run with small networks and two folds, in {folder}: not for conclusions")
    from sbnn.own_data.page import judge, recommend, write_page

    # the page prints the path as it was given, if it ends in the name of the folder
    given = Path(out) if Path(out).name == folder.name else folder
    with show_progress(folder, n_fits):
        _run_own_notebook(given, parameters | {"fast": fast})
    write_page(folder, OWN_DATA)
    names = sorted(path.name for path in folder.iterdir() if path.suffix in SHOWN_FILES)
    print(f"{folder}: {', '.join(names)}")
    summary = read_summary(folder)
    print(*filter(None, (judge(summary)[1], recommend(summary))), sep="\n")


def find_earlier(folder: Path) -> dict[str, Any]:
    """Summary of an earlier fit in a folder, {} for a new one; files of the user's are refused."""
    summary = read_summary(folder)
    present = sorted(path.name for path in folder.glob("[!.]*"))  # without hidden ones
    if present and not summary:
        raise ValueError(
            f"{folder} has files that this version of sbnn has not written, such as {present[0]}; "
            "give a new folder"
        )
    for name in summary.get(LIST, {}):
        refuse_other_file(folder / name, LISTED)
    return summary


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
    from sbnn.own_data.tables import read_tables

    tables = {name: parameters[name] for name in TABLE_OPTIONS}
    with print_warnings():
        adata = read_tables(**tables)
    if parameters["color"] is not None:
        check_among("color", parameters["color"], group_columns(adata.obs))
    return adata


def print_understood(adata: Any) -> None:
    """Print what the tables were taken for."""
    from sbnn.own_data.values import values_table

    print(*adata.uns["sbnn"]["notes"], sep="\n")
    print(values_table(adata).to_string(), flush=True)


def _count_network_fits(adata, parameters, fast):
    """Number of networks to fit for each record, after the same checks as in the notebook."""
    # takes longer to import than a table to refuse
    from sbnn.models.base import find_device
    from sbnn.own_data.results import count_fits, read_panel

    find_device(parameters["device"])
    check_number("seed", parameters["seed"], int, low=0, high=LARGEST_SEED)
    with print_warnings():
        read_panel(
            adata.var_names,
            require=parameters["require"],
            candidates=parameters["candidates"],
            n_genes=parameters["n_genes"],
        )
    n_fits = count_fits(
        adata,
        parameters["groups"],
        n_pairs=QUICK_PAIRS if fast else parameters["n_pairs"],
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


def remove_results(folder: Path) -> None:
    """Delete the records that an earlier fit has written to a folder."""
    for name in read_summary(folder).get(LIST, {}):
        if name.endswith(RECORD_ENDING):
            (folder / name).unlink(missing_ok=True)
    for parts in folder.glob(f"*{RECORD_ENDING}.parts"):
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
        is_complete = any(folder.glob(f"{name}*{RECORD_ENDING}"))
        parts = folder.glob(f"{name}*{RECORD_ENDING}.parts/*{RECORD_ENDING}")
        n_done += n if is_complete else min(n, len([*parts]))
    return n_done


def predict(
    *, model: str, expression: str, out: str, counts: bool | None, genes_in_rows: bool | None
) -> None:
    """Place new cells on the map of a fitted model, and predict their outputs."""
    from sbnn.own_data.new_cells import predict_cells

    require_writable(out, PREDICTIONS)
    with print_warnings():
        table = predict_cells(model, expression, counts, genes_in_rows)
    write_atomically(table.to_csv(float_format="%.6g").encode(), out, PREDICTIONS)
    print(f"{len(table)} cells: {out}")


def find_installed(name: str) -> Path:
    """Path of a file that was installed with the package."""
    files = importlib.metadata.files("sbnn") or []
    path = next(file.locate() for file in files if file.name == name)
    return Path(str(path))
