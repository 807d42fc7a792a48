"""The command line ``sbnn``: the steps of the notebooks, by the same functions, for a terminal or a cluster.

Exit status: 0 done; 1 something was wrong with the input, the message says what; 2 the command itself was; 130 stopped
by Ctrl-C, what was finished is saved and the same command goes on from there.

What a command needs is imported inside it: ``sbnn --help`` waits neither for torch nor for pandas.
"""

import argparse
import importlib
import os
import sys
import warnings

from sbnn.data import datasets
from sbnn.data.datasets import DATASETS, SBNN, STUDIES, default_dataset, names_of, require_study
from sbnn.study.own_data.options import MODELS, OWN, as_options, at_least_one, is_asked_for

DESCRIPTION = """Which few genes predict a second measurement of the same cells, and how does the map between look?

The steps, in their order (each loads what is saved and computes only what is missing):

  sbnn data list                     what data sets there are, and which are here
  sbnn cv scala --jobs 2             cross-validate every model on the folds of the paper
  sbnn fit scala                     fit all cells; stability and effects of the kept genes
  sbnn prior scala                   what it does to believe in some genes beforehand; --genes list.txt for your own
  sbnn figures scala                 draw all figures from what is saved
  sbnn explore scala                 write one HTML file to explore the map of the cells in a browser
  sbnn report scala                  print all tables; `sbnn report all` one of all data sets

Your own cells, from two tables with cell names (CSV, TSV, Excel or AnnData): accuracy, model, figures and a report

  sbnn fit mine --expression counts.csv --outputs ephys.xlsx --labels types.csv --groups donor
  sbnn map saved_models/mine/model.safetensors new_counts.csv      places of new cells on the map

From electrophysiology to transcriptomic types: sbnn ephys-types --help
Perturbation screens: sbnn mechanism-shift --help
Gene-regulatory dynamics: sbnn dynamics --help
"""

#: Command -> room, whose ``study.STUDY`` has the commands.
COMPANIONS = {study.replace("_", "-"): study for study in STUDIES if study != SBNN}


def main(arguments=None):
    """Run a command, by default that of the command line; its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that knows no "±" still gets the numbers
        sys.stdout.reconfigure(errors="replace")
    usual, warnings.formatwarning = warnings.formatwarning, _plainly
    status, command = 0, (arguments or [""])[0]
    try:
        if command == "data":
            status = datasets.main(arguments[1:], prog="sbnn data")
        else:
            room = COMPANIONS.get(command)
            parser = importlib.import_module(f"sbnn.{room}.study").STUDY.parser() if room else _parser()
            options = parser.parse_args(arguments[1:] if room else arguments)
            options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nstopped; what was finished is saved, the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ImportError, OSError, ValueError, KeyError) as error:
        said = error.args[0] if isinstance(error, KeyError) and error.args else error  # which quotes its message
        print(f"sbnn {command}: {as_options(str(said))}", file=sys.stderr)
        return 1
    finally:
        warnings.formatwarning = usual
    return status


def _plainly(message, category, *_):
    """A warning without the line of code that gave it, which says nothing to the user of a command."""
    return f"{'warning' if category is UserWarning else category.__name__}: {as_options(str(message))}\n"


_DATASETS = f"one of {', '.join(names_of())}; a name of your own for your tables; auto (the default): "
#: What the commands of the sBNN study take, and what argparse takes for it.
ARGUMENTS = {
    "dataset": {
        "nargs": "?",
        "default": "auto",
        "help": f"{_DATASETS}scala where its files can be had, else simulated",
    },
    "results": {"help": "name of a data set, folder of its results, or record of a fit"},
    "model": {"help": "file that SparseBottleneckRegressor.save wrote"},
    "cells": {"help": "table of expression (CSV, TSV or Excel) or .h5ad; the kept genes have to be there"},
    "--saved-models": {"default": "saved_models", "help": "folder of the results (default: saved_models)"},
    "--figures": {"default": "figures", "help": "folder of the figures (default: figures)"},
    "--fast": {"action": "store_true", "help": "a quick run: small networks, few epochs and folds"},
    "--fresh": {"action": "store_true", "help": "compute anew what is saved"},
    "--jobs": {"type": at_least_one, "default": 1, "help": "worker processes; results do not depend on them"},
    "--genes": {"action": "append", "help": "file with names of genes, one a line; may be given again"},
    "--in-place": {"action": "store_true", "help": "execute the notebooks in notebooks/ themselves"},
    "--everything": {"action": "store_true", "help": "of your own tables also the published models"},
    "--json": {"action": "store_true", "help": "print JSON instead of Markdown"},
    "--cv": {"help": "record of the cross-validation; by default the one beside the fit, if any"},
    "--out": {"help": "file to write (default: <data set>_explorer.html, or map.csv)"},
    "--predictions": {"help": "table to write the predicted outputs to, in place of --out"},
    "--totals": {"help": "column with the counts of each cell over all genes of the fit"},
    "--sheet": {"help": "of an Excel workbook"},
}
_COMPUTING = "dataset --saved-models --fast --fresh --jobs"
_EXPRESSION = ("--counts", "--log", "--genes-in-rows", "--cells-in-rows")


def _commands():
    """Command -> what runs it, what it does, what it takes, and options of tables of one's own."""
    without_keep = [option for option in OWN if option != "--keep"]
    tables = [option for option in OWN if option not in MODELS]
    return {
        "cv": (_step, "cross-validate every model on the folds of the paper", f"{_COMPUTING} --everything", OWN),
        "fit": (_step, "fit all cells, and say which genes to trust and what they do", f"{_COMPUTING} --figures", OWN),
        "genes": (_step, "ask how many genes are needed: test R2 of the default network with 5 to 200 of them",
                  _COMPUTING, without_keep),
        "prior": (_prior, "cross-validate the network with lists of genes as prior knowledge",
                  f"{_COMPUTING} --genes", tables),
        "figures": (_saved, "draw all figures from saved results", "dataset --saved-models --fast --figures", ()),
        "report": (_saved, "print all tables of saved results", "dataset --saved-models --fast --json", ()),
        "notebooks": (_notebooks, "run the notebooks top to bottom: all of the above",
                      "dataset --saved-models --figures --fast --fresh --in-place", ()),
        "explore": (_explore, "write one HTML file to explore a fitted model: its map, and what sets cells apart",
                    "results --out --cv --saved-models", ()),
        "map": (_map, "place new cells on the map of a saved model, and predict their outputs",
                "model cells --out --predictions --totals --sheet", _EXPRESSION),
    }  # fmt: skip


def _parser():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="sbnn", description=DESCRIPTION, formatter_class=as_written)
    added = parser.add_subparsers(required=True, dest="step", metavar="command")
    added.add_parser("data", help="list, get or check data sets: see `sbnn data --help`")  # taken before
    for name, (run, about, arguments, own) in _commands().items():
        command = added.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        for argument in arguments.split():
            command.add_argument(argument, **ARGUMENTS[argument])
        tables = command.add_argument_group("tables of your own, cells matched by name")
        for option in own:
            tables.add_argument(option, **OWN[option])
        # Notebooks have folders of their own.
        usual = {"notebooks": {"saved_models": None, "figures": None}, "map": {"out": "map.csv"}}
        command.set_defaults(run=run, **usual.get(name, {}))
    return parser


def _load(options):
    """Data of the command, and the folder of its results."""
    from sbnn.data.datasets import load_dataset, summary
    from sbnn.data.paired import as_paired
    from sbnn.results import results_folder
    from sbnn.study.own_data.options import load

    name = options.dataset
    if not is_asked_for(options):
        require_study(name)
        data = as_paired(load_dataset(default_dataset() if name == "auto" else name))
    elif name in ("auto", *DATASETS) or not name or name.startswith(".") or set(name) & set("/\\"):
        raise ValueError(f"dataset: expected a name of your own for your tables, which a folder can have, got {name!r}")
    else:
        adata = load(options)
        print(summary(adata))
        data = as_paired(adata)
    return data, results_folder(options.saved_models, data.name, options.fast)


def _step(options):
    """A step of the study, on a named data set or on tables of the user's own."""
    from sbnn.study.own_data import commands as own_data
    from sbnn.study.study import STUDY

    data, folder = _load(options)
    if options.expression is not None:
        getattr(own_data, options.step)(options, data, folder)
    else:
        STUDY.compute(data, folder, options)


def _prior(options):
    from pathlib import Path

    from sbnn.study import gene_priors
    from sbnn.study.report import priors_by_model
    from sbnn.tables import print_table

    data, folder = _load(options)
    lists = {Path(path).stem: Path(path).read_text(encoding="utf-8-sig").split() for path in options.genes or ()}
    how = {"lists": lists, "fast": options.fast, "n_jobs": options.jobs}
    record = gene_priors.run_gene_priors(data, folder / "gene_prior.pickle", options.fresh, **how)
    print_table(priors_by_model(record), options.fast)


def _map(options):
    from sbnn.models.bottleneck.estimator import SparseBottleneckRegressor
    from sbnn.study.new_cells import read_cells, write_map

    model = SparseBottleneckRegressor.load(options.model)
    how = {name: getattr(options, name) for name in ("counts", "genes_in_rows", "totals", "sheet")}
    n_cells = write_map(model, read_cells(options.cells, model, **how), options.out, options.predictions)
    print(f"{n_cells} cells are placed in {options.out}")


def _saved(options):
    from sbnn.study.study import STUDY

    STUDY.do(options)


def _notebooks(options):
    from sbnn.study.reproduce import reproduce

    folders = {"saved_models": options.saved_models, "figures": options.figures}
    reproduce(options.dataset, fresh=options.fresh, fast=options.fast, in_place=options.in_place, **folders)


def _explore(options):
    from sbnn.explorer.explore import run

    run(options)


if __name__ == "__main__":
    sys.exit(main())
