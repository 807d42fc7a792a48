"""The commands of the study: `data`, `reproduce` and `report`."""

import argparse
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

from sbnn.errors import check_among
from sbnn.notebook import REPOSITORY, run_notebook

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
#: Names of systems in the table of the data sets.
SYSTEMS = ("sbnn", "ephys_types", "mechanism_shift", "dynamics")


class Run(NamedTuple):
    """A notebook, or the figures, and the data set that it is run on."""

    notebook: str
    dataset: str
    #: Whether results are committed.
    committed: bool = False
    #: Whether the data are on this machine.
    is_here: bool = True


class Report(NamedTuple):
    """What a system shows of its records."""

    overview: Callable[[str | Path], dict]
    read: Callable[[str | Path], dict]
    tables: Callable[[dict], dict]


def add_data(commands: argparse._SubParsersAction) -> None:
    """Add `sbnn data` to a parser."""
    command = _add_command(commands, data, "List the data sets, and which are here: data list.")
    command.add_argument("action", choices=["list"], help="list: what there is, and where")


def add_reproduce(commands: argparse._SubParsersAction) -> None:
    """Add `sbnn reproduce` to a parser."""
    summary = "Run notebooks from top to bottom, and write them to build/notebooks."
    command = _add_command(commands, reproduce, summary)
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


def add_report(commands: argparse._SubParsersAction) -> None:
    """Add `sbnn report` to a parser."""
    summary = "Print the tables of a data set, a system or a folder of `sbnn fit`, or an overview."
    command = _add_command(commands, report, summary)
    command.add_argument(
        "results",
        nargs="?",
        default="all",
        help=f"name of a data set; {', '.join(SYSTEMS)}; folder of `sbnn fit`; or all (default)",
    )


def _add_command(commands, run, summary):
    """Add a command that calls the function of its name."""
    command = commands.add_parser(run.__name__, help=summary, description=summary)
    command.set_defaults(run=run)
    return command


def data(*, action: str) -> None:
    """List the data sets, and which of them are on this machine."""
    from sbnn.data.datasets import list_datasets

    print(list_datasets().to_string())


def reproduce(
    *, notebook: str, dataset: str, figures: str, fast: bool, fresh: bool, n_jobs: int
) -> None:
    """Run notebooks from top to bottom, and write them to build/notebooks."""
    from joblib import Parallel, delayed

    runs = choose_runs(list_runs(), notebook=notebook, dataset=dataset)
    run_all = delayed(_run_in_turn)
    Parallel(n_jobs)(
        run_all(runs_in_turn, figures=figures, fast=fast, fresh=fresh)
        for runs_in_turn in chain_runs(runs, computes=fast or fresh)
    )


def list_runs() -> list[Run]:
    """Every notebook on every data set of its system, and the figures of committed results."""
    from sbnn.data.datasets import list_datasets

    table = list_datasets()
    is_here = table["state"] == "here"
    runs = []
    for notebook, committed in NOTEBOOKS.items():
        names = ["auto", *committed]
        if notebook != "figures":  # which need results
            same_system = table["system"] == table["system"].get(committed[0])
            names.extend(name for name in table.index[same_system] if name not in committed)
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
    """Runs of the notebook, or of all, on the data set, or on all with committed results.

    A ValueError names the data sets of the notebook, if it has no such one.
    """
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
    check_among("dataset", dataset, ["all", *dict.fromkeys(run.dataset for run in of_notebook)])
    return [run for run in of_notebook if run.dataset == dataset]


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
    """Print the tables of a data set, a system or a folder of `sbnn fit`, or an overview of all."""
    from sbnn.data.datasets import DATASETS

    if results in ("all", *SYSTEMS):
        for system in SYSTEMS if results == "all" else [results]:
            print_tables(system_report(system).overview("saved_models"))
        return
    folder, system = Path(results), "sbnn"
    if results in DATASETS.index:
        folder, system = Path("saved_models", results), DATASETS["system"][results]
    tables_of_system = system_report(system)
    print_tables(tables_of_system.tables(tables_of_system.read(folder)))


def system_report(system: str) -> Report:
    """Report of a system by its name in the table of the data sets; it alone is imported."""
    if system == "ephys_types":
        from sbnn.ephys_types.report import read_types_records, types_overview, types_tables

        return Report(overview=types_overview, read=read_types_records, tables=types_tables)
    if system == "mechanism_shift":
        from sbnn.mechanism_shift.report import (
            read_screens_records,
            screens_overview,
            screens_tables,
        )

        return Report(overview=screens_overview, read=read_screens_records, tables=screens_tables)
    if system == "dynamics":
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
