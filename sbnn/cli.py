"""The command line ``sbnn``; the exit status is 2 after an error and 130 after Ctrl-C."""

import argparse
import importlib.metadata
import sys
from pathlib import Path

from sbnn.errors import check_among, require

ROOT = Path(__file__).resolve().parents[1]
PAIRED = "scala scala_ion_channels citeseq_cd8 pbmc_10k_protein simulated"
#: Notebook -> data sets with committed results; "figures" are drawn from these alone.
NOTEBOOKS = {
    "figures": PAIRED,
    "01": PAIRED,
    "02": PAIRED,
    "03": PAIRED,
    "04": "lee_human gouwens_ephys simulated_ephys",
    "05": "papalexi simulated_screen",
    "06": "grn_350 simulated_grn",
    "08": "own_data/simulated",
}


def fit(out, fast, **tables):
    """Fit your own tables with notebook 08, and write a report.

    --expression FILE   cells x genes (counts or log values), or an .h5ad file with everything
    --outputs FILE      cells x measurements to predict; for .h5ad, a key of obsm
                        (default: outputs)
    --labels FILE       cells x labels: type and family, which colour the map, donor, batch, ...
    --groups COLUMN     column of the labels, such as donor: folds hold out whole groups
    --out FOLDER        folder to write (default: mine): report.html, explorer.html, figures,
                        the model, a record of each result and the executed notebook
    --fast              quick run with small networks
    --jobs N            number of worker processes

    The same command resumes an interrupted run.
    """
    require("bokeh", "nbconvert", "openTSNE", "papermill")
    from nbconvert import HTMLExporter

    from sbnn.results import results_folder
    from sbnn.store import write_atomically

    source = ROOT / "notebooks" / "08_own_data.ipynb"
    if not source.exists():  # in an installed package
        files = importlib.metadata.files("sbnn")
        source = next(file.locate() for file in files if file.name == source.name)
    out = Path(out).resolve()
    folder = results_folder(out.parent, out.name, fast)
    folders = {"saved_models": str(out.parent), "dataset": out.name, "figures": str(out.parent)}
    given = {"n_genes": 25, "n_pairs": 25, "fast": fast} | folders | tables
    print("about 70 fits of the network; with 1000 genes, each takes 4 CPU seconds")
    run_notebook(source, folder / source.name, given, progress_bar=True)
    exporter = HTMLExporter(exclude_input=True, exclude_output_prompt=True)
    page, _ = exporter.from_filename(folder / source.name)
    write_atomically(page.encode(), folder / "report.html")
    print(folder / "report.html")


def run_notebook(source, target, parameters, **options):
    """Execute a notebook with parameters and write it; ValueError if a cell fails."""
    require("papermill")
    import papermill

    target.parent.mkdir(parents=True, exist_ok=True)
    quiet = ["--log-level=ERROR"]  # a kernel warns of connections without encryption
    try:
        papermill.execute_notebook(source, target, parameters, extra_arguments=quiet, **options)
    except papermill.PapermillExecutionError as error:
        raise ValueError(f"{error.ename}: {error.evalue}".removeprefix("ValueError: ")) from error


def data(action):
    """List the data sets, and which are here: data list."""
    from sbnn.data.datasets import list_datasets

    print(list_datasets().to_string())


def reproduce(notebook, dataset, n_jobs, **options):
    """Run notebooks from top to bottom, and write them to build/notebooks.

    notebook            number, such as 02; all; or figures, to draw them from saved results
    dataset             name; auto, the default of each notebook; or all with committed results
    --figures FOLDER    default: build/figures
    --fast              quick run with small models
    --fresh             recompute saved results
    --jobs N            number of data sets at the same time
    """
    from joblib import Parallel, delayed

    from sbnn.data.datasets import list_datasets

    table = list_datasets()
    is_here = table["state"] == "here"
    chains = {}  # notebooks of a data set, of which later ones load what earlier ones save
    for number in NOTEBOOKS if notebook == "all" else [notebook]:
        names = NOTEBOOKS[number].split()
        known = ["auto", *names]
        if number != "figures":  # which need results
            known += table.index[table["study"] == table["study"].get(names[0])].tolist()
        if dataset == "all":
            names = [name for name in names if is_here.get(name, True) or number == "figures"]
        elif notebook != "all" or dataset in known:
            names = [dataset]
        else:
            names = []
        if number == "figures" and notebook == "all":  # notebook 03 draws those of data at hand
            lost = [name for name in names if not is_here.get(name.replace("auto", "scala"))]
            names = [] if options["fast"] else lost
        for name in names:
            chains.setdefault(name, []).append(number)
    if not chains:
        check_among("dataset", dataset, ["auto", "all", *table.index])
    Parallel(n_jobs)(delayed(_run_in_turn)(its, name, **options) for name, its in chains.items())


def _run_in_turn(numbers, name, **options):
    for number in numbers:
        _run(number, name, **options)


def _run(number, name, figures, **options):
    figures = Path(figures).resolve()
    if number == "figures":
        from sbnn.study.figures import draw

        name = name.replace("auto", "scala")
        print(*draw(name, ROOT / "saved_models", figures, options["fast"]))
        return
    [source] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    target = ROOT / "build" / "notebooks" / name / source.name
    given = {"dataset": name, "figures": str(figures)} | options
    run_notebook(source, target, given, cwd=source.parent, progress_bar=False)
    print(f"{source.name} on {name}: {target}", flush=True)


def report(results):
    """Print the tables of a data set or of a folder of `sbnn fit`, or an overview of all."""
    from sbnn.data.datasets import DATASETS

    studies = ["study"]
    if results == "all":
        studies += ["ephys_types", "mechanism_shift", "dynamics"]
    elif results in DATASETS.index:
        studies = [DATASETS.study[results].replace("sbnn", "study")]
        results = Path("saved_models", results)
    for study in studies:
        room = importlib.import_module(f"sbnn.{study}.report")
        names = REPORTS.get(study, ("overview", "read", "all_tables"))
        overview, read, tables_of_records = (getattr(room, name) for name in names)
        tables = overview("saved_models") if results == "all" else tables_of_records(read(results))
        for title, table in tables.items():
            print(f"\n{title}\n\n{table.round(3).to_string()}")


#: Functions of the report of a study: overview, reader of records, and their tables.
REPORTS = {"ephys_types": ("types_overview", "read_types_records", "types_tables")}
COMMANDS = {
    fit: "--expression --outputs --labels --groups --out --fast --jobs",
    data: "action",
    reproduce: "notebook dataset --figures --fast --fresh --jobs",
    report: "results",
}
FLAG = {"action": "store_true"}
ARGUMENTS = {
    "--expression": {"required": True},
    "--outputs": {"default": "outputs"},
    "--labels": {},
    "--groups": {},
    "--out": {"default": "mine"},
    # the last bits of another processor would change pictures that git tracks
    "--figures": {"default": ROOT / "build" / "figures"},
    "--fast": FLAG,
    "--fresh": FLAG,
    "--jobs": {"type": int, "default": 1, "dest": "n_jobs"},
    "action": {"choices": ["list"]},
    "notebook": {"nargs": "?", "default": "all", "choices": ["all", *NOTEBOOKS]},
    "dataset": {"nargs": "?", "default": "auto"},
    "results": {"nargs": "?", "default": "all"},
}


def parser():
    """Parser of all commands; their docstrings are the help."""
    parser = argparse.ArgumentParser("sbnn")
    added = parser.add_subparsers(required=True, metavar="command")
    for run, names in COMMANDS.items():
        first = run.__doc__.splitlines()[0]
        about = {"help": first, "description": run.__doc__.replace("\n    ", "\n")}
        as_written = argparse.RawDescriptionHelpFormatter
        command = added.add_parser(run.__name__, **about, formatter_class=as_written)
        command.set_defaults(run=run)
        for name in names.split():
            command.add_argument(name, **ARGUMENTS[name])
    return parser


def main(arguments=None):
    """Run a command and return its exit status."""
    options = vars(parser().parse_args(arguments))
    try:
        options.pop("run")(**options)
    except KeyboardInterrupt:
        print("stopped; the same command resumes the run", file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f"sbnn: {error}", file=sys.stderr)
        return 2
    return 0
