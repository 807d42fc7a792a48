"""The command line ``sbnn``; the exit status is 2 after an error and 130 after Ctrl-C."""

import argparse
import base64
import importlib.metadata
import logging
import sys
from pathlib import Path

from tqdm import tqdm

from sbnn.errors import check_among, require

ROOT = Path(__file__).resolve().parents[1]
OWN_DATA = "08_own_data.ipynb"
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
QUIET = ["--log-level=ERROR"]  # a kernel warns of connections without encryption
SECONDS = 4  # of one fit of the network, for a first estimate
FITS = 10  # of the first estimate


def fit(options):
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
    import nbformat
    from nbconvert import HTMLExporter

    from sbnn.results import results_folder
    from sbnn.store import write_atomically

    source = ROOT / "notebooks" / OWN_DATA
    if not source.exists():  # in an installed package
        [file] = [file for file in importlib.metadata.files("sbnn") if file.name == OWN_DATA]
        source = file.locate()
    out = Path(options.pop("out")).resolve()
    folder = results_folder(out.parent, out.name, options["fast"])
    given = options | {"dataset": out.name, "n_genes": 25, "n_pairs": 25}
    given |= {"saved_models": str(out.parent), "figures": str(out.parent)}
    total = FITS + sum(map(fits_of, nbformat.read(source, 4).cells))
    text = "{desc}: about {remaining} left"
    with Progress(total=total, bar_format=text, smoothing=0, delay=1e-9) as bar:
        bar.start_t -= FITS * SECONDS  # as if some networks were fitted
        bar.update(FITS)
        shown = {"on_cell_start": bar.start, "on_cell_executed": bar.end}
        notebook = run_notebook(source, folder / OWN_DATA, given, **shown)
    exporter = HTMLExporter(exclude_input=True, exclude_output_prompt=True)
    page, _ = exporter.from_notebook_node(notebook)
    write_atomically(page.encode(), folder / "report.html")
    print(folder / "report.html")


class Progress(tqdm):
    """Shows the heading above a cell and the time that is left for the networks to fit."""

    def start(self, cell, cell_index):
        """Called by papermill before a cell."""
        if cell.source.startswith("#"):
            self.set_description_str(cell.source.splitlines()[0].strip("# "))

    def end(self, cell, **_):
        """Called by papermill after a cell with code."""
        self.update(fits_of(cell))


def fits_of(cell):
    """Number of networks that a cell of notebook 08 fits."""
    return cell.metadata.get("fits", 0)


def run_notebook(source, target, parameters, **options):
    """Execute a notebook with parameters, write it, and return it; ValueError if a cell fails."""
    require("papermill")
    import nbformat
    import papermill

    target.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        notebook = papermill.execute_notebook(
            source, target, parameters, progress_bar=False, extra_arguments=QUIET, **options
        )
    except papermill.PapermillExecutionError as error:
        text = f"{error.ename}: {error.evalue}"
        raise ValueError(text.removeprefix("ValueError: ")) from error
    make_small(notebook)
    nbformat.write(notebook, target)
    return notebook


def make_small(notebook):
    """Remove times of the run, and store images in few colors."""
    from sbnn.plotting.common import in_few_colors

    for part in (notebook, *notebook.cells):
        for times in ("execution", "papermill"):
            part.metadata.pop(times, None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            image = output.get("data", {}).get("image/png")
            if image:
                small = in_few_colors(base64.b64decode(image))
                output["data"]["image/png"] = base64.b64encode(small).decode()


def data(options):
    """List the data sets, and which are here: data list."""
    from sbnn.data.datasets import list_datasets

    print(list_datasets().to_string())


def reproduce(options):
    """Run notebooks from top to bottom.

    notebook            number, such as 02; all; or figures, to draw them from saved results
    dataset             name; auto, the default of each notebook; or all with committed results
    --figures FOLDER    default: build/figures
    --fast              quick run with small models
    --fresh             recompute saved results
    --in-place          overwrite the notebooks; otherwise, they go to build/notebooks
    --jobs N            number of data sets at the same time
    """
    from joblib import Parallel, delayed

    from sbnn.data.datasets import list_datasets

    wanted, dataset = options["notebook"], options["dataset"]
    check_among("notebook", wanted, ("all", *NOTEBOOKS))
    is_here = list_datasets()["state"] == "here"
    for notebook, names in NOTEBOOKS.items():
        names = names.split()
        if dataset == "all":
            names = [name for name in names if is_here.get(name, True) or notebook == "figures"]
        elif wanted != "all" or dataset in ("auto", *names):
            names = [dataset]
        else:
            names = []
        if wanted in ("all", notebook):
            Parallel(options["n_jobs"])(delayed(_run)(notebook, name, options) for name in names)


def _run(number, name, options):
    figures = Path(options["figures"]).resolve()
    if number == "figures":
        from sbnn.study.figures import draw

        name = name.replace("auto", "scala")
        print(*draw(name, ROOT / "saved_models", figures, options["fast"]))
        return
    [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    target = ROOT / "build" / "notebooks" / name / path.name
    given = {"dataset": name, "figures": str(figures)}
    given |= {"fast": options["fast"], "fresh": options["fresh"]}
    if options["in_place"]:
        target = path
        given = {}
    run_notebook(path, target, given, cwd=path.parent)
    print(f"{path.name} on {name}: {target}", flush=True)


def report(options):
    """Print the tables of a data set or of a folder of `sbnn fit`, or an overview of all."""
    from sbnn.data.datasets import DATASETS

    name = options["results"]
    folder = name
    of_name = "study"
    if name in DATASETS:
        folder = Path("saved_models", name)
        of_name = DATASETS[name].study.replace("sbnn", "study")
    for study in ("study", "ephys_types", "mechanism_shift", "dynamics"):
        room = importlib.import_module(f"sbnn.{study}.report")
        tables = {}
        if name == "all":
            tables = room.overview("saved_models")
        elif study == of_name:
            tables = room.all_tables(room.read(folder))
        for title, table in tables.items():
            print(f"\n{title}\n\n{table.round(3).to_string()}")


COMMANDS = {
    fit: "--expression --outputs --labels --groups --out --fast --jobs",
    data: "action",
    reproduce: "notebook dataset --figures --fast --fresh --in-place --jobs",
    report: "results",
}
FLAG = {"action": "store_true"}
ARGUMENTS = {
    "--expression": {"required": True},
    "--outputs": {"default": "outputs"},
    "--out": {"default": "mine"},
    # the last bits of another processor would change pictures that git tracks
    "--figures": {"default": ROOT / "build" / "figures"},
    "--fast": FLAG,
    "--fresh": FLAG,
    "--in-place": FLAG,
    "--jobs": {"type": int, "default": 1, "dest": "n_jobs"},
    "action": {"choices": ["list"]},
    "notebook": {"nargs": "?", "default": "all"},
    "dataset": {"nargs": "?", "default": "auto"},
    "results": {"nargs": "?", "default": "all"},
}


def parser():
    """Parser of all commands; their docstrings are the help."""
    parser = argparse.ArgumentParser("sbnn")
    parser.add_argument("--version", action="version", version=sys.modules["sbnn"].__version__)
    added = parser.add_subparsers(required=True, metavar="command")
    for run, names in COMMANDS.items():
        text = run.__doc__.replace("\n    ", "\n")
        about = {"help": text.splitlines()[0], "description": text}
        as_written = argparse.RawDescriptionHelpFormatter
        command = added.add_parser(run.__name__, **about, formatter_class=as_written)
        command.set_defaults(run=run)
        for name in names.split():
            command.add_argument(name, **ARGUMENTS.get(name, {}))
    return parser


def main(arguments=None):
    """Run a command and return its exit status."""
    options = vars(parser().parse_args(arguments))
    try:
        options.pop("run")(options)
    except KeyboardInterrupt:
        print("stopped; the same command resumes the run", file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f"sbnn: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
