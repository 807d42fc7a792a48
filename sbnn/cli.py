"""The command line ``sbnn``: notebooks, tables of their results, and a user's own cells.

The exit status is 0 after success, 1 after invalid input (which the message explains), 2 after an
invalid command and 130 after Ctrl-C. Finished results are saved, so the same command resumes a run
that was stopped.

Commands check their options before they import slow libraries: ``sbnn --help`` and an error about a
missing file load neither torch nor pandas.
"""

import argparse
import contextlib
import importlib
import os
import sys
import warnings

from sbnn.data import datasets
from sbnn.data.datasets import DATASETS, SBNN, STUDIES
from sbnn.errors import warn
from sbnn.study.own_data.options import OWN, as_options, at_least_one, check, path, require_files

DESCRIPTION = """Finds the genes that predict a second measurement of the same cells, and maps them.

The notebooks and their results (saved results are loaded, missing ones are computed):

  sbnn data list                     list the data sets and show which are available
  sbnn reproduce                     run all notebooks on all available data sets
  sbnn reproduce 02 citeseq_cd8      run one notebook on one data set (--fast: quick run)
  sbnn report scala                  print all tables of saved results (or `all`: an overview)

Your own cells, in tables with cell names (CSV, TSV, Excel or AnnData):

  sbnn fit mine --expression counts.csv --outputs ephys.xlsx --labels types.csv --groups donor
  sbnn map saved_models/mine/model.safetensors new_counts.csv      place new cells on the map
  sbnn explore mine                  write one HTML file to explore the map in a browser
  sbnn traces *.nwb --out t.csv      write features of recordings, and metadata to t_cells.csv
  sbnn network course.csv --prior prior.csv --out folder   infer who regulates whom over time
  sbnn ephys-types fit typed.csv --model m.pickle        learn types from electrophysiology
  sbnn ephys-types predict t.csv --model m.pickle        predict the types of other cells
  sbnn screen counts.h5ad --guides guides.csv --control NT     find what each perturbation shifts
"""


def main(arguments=None):
    """Run a command (by default, the command line of this process) and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # a terminal that cannot show "±" still shows the numbers
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    usual, warnings.formatwarning = warnings.formatwarning, _plainly
    status = 0
    command = arguments[0] if arguments else ""
    try:
        if command == "data":
            status = datasets.main(arguments[1:], prog="sbnn data")
        else:
            options = _parser().parse_args(arguments)
            options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(
            "\nstopped; finished results are saved, and repeating the command resumes the run",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # the program that reads the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ImportError, OSError, ValueError, KeyError) as error:
        # str() adds quotation marks
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"sbnn {command}: {as_options(str(text))}", file=sys.stderr)
        return 1
    finally:
        warnings.formatwarning = usual
    return status


def _plainly(message, category, *_):
    """Format a warning without its line of code."""
    kind = "warning" if category is UserWarning else category.__name__
    return f"{kind}: {as_options(str(message))}\n"


#: Arguments of the commands and their settings for argparse.
ARGUMENTS = {
    "name": {"help": "name for your tables; their results go to folders of this name"},
    "notebook": {
        "nargs": "?",
        "default": "all",
        "help": "number of a notebook, such as 02, or all (the default)",
    },
    "dataset": {
        "nargs": "?",
        "help": f"one of {', '.join(DATASETS)}; or all (every available data set) or auto (the "
        "main data set of each study); default: auto with one notebook or --in-place, else all",
    },
    "saved": {"help": "name of a data set, name given to `sbnn fit`, or all for an overview"},
    "results": {
        "help": "name of a data set, name given to `sbnn fit`, folder with results, or saved fit"
    },
    "model": {
        "help": "model.safetensors of `sbnn fit`, or a file written by the method save of a network"
    },
    "cells": {
        "help": "expression of the new cells (CSV, TSV, Excel, .h5ad), with the genes of the model"
    },
    "action": {
        "choices": ("fit", "predict"),
        "help": "fit writes --model; predict reads --model and writes --out",
    },
    "features": {
        "help": "table of cells x features (CSV, TSV or Excel); fit also needs types and any donors"
    },
    "course": {
        "help": "table with the columns sample, time and one per gene; with --times, rows are cells"
    },
    "paths": {"nargs": "+", "help": "NWB files, or folders that contain them"},
    "--saved-models": {
        "default": "saved_models",
        "help": "folder of the results (default: saved_models)",
    },
    "--figures": {"default": "figures", "help": "folder of the figures (default: figures)"},
    "--fast": {
        "action": "store_true",
        "help": "quick run with small models, few steps and few folds",
    },
    "--fresh": {"action": "store_true", "help": "recompute saved results"},
    "--jobs": {
        "type": at_least_one,
        "default": 1,
        "help": "number of worker processes (the results do not change)",
    },
    "--in-place": {"action": "store_true", "help": "overwrite the notebooks in notebooks/"},
    "--json": {"action": "store_true", "help": "print JSON instead of Markdown"},
    "--cv": {
        "help": "file with the saved cross-validation (default: the one in the folder of the fit)"
    },
    "--out": {
        "type": path,
        "help": "file to write; for `sbnn network` and `sbnn screen`, the folder",
    },
    "--predictions": {
        "help": "separate file for the predicted outputs; by default they go to --out"
    },
    "--totals": {
        "help": "column with the total count of each cell over all genes given to the fit"
    },
    "--times": {
        "help": "times of the cells: columns sample and time, or a pseudotime for each trajectory"
    },
    "--prior": {
        "help": "known regulation: table of genes x genes (1, -1, 0), or regulator, target and sign"
    },
    "--sheet": {"help": "sheet of an Excel workbook"},
    "--cache": {"help": "folder that stores the features of recordings that were read before"},
    "--model": {
        "required": True,
        "help": "file of the model of cell types; fit writes it, predict reads it",
    },
    "--types": {
        "help": "table with the columns type and donor, if the table of features lacks them"
    },
    "counts": {"help": "raw counts of your screen: cells x genes (CSV, TSV), 10x .h5 or .h5ad"},
    "--guides": {
        "required": True,
        "help": "perturbation of each cell, or its counts of guides (named TARGET_1, ...)",
    },
    "--control": {"required": True, "help": "label of the unperturbed cells in --guides"},
    "--latents": {
        "type": at_least_one,
        "nargs": "+",
        "default": 10,
        "help": "number of latents (default: 10); of several, the best on held-out cells is used",
    },
    "--abstain": {
        "type": float,
        "help": "minimum probability; cells below it, and outliers, are labelled unknown",
    },
}
OUT = {
    "map": "map.csv",
    "ephys-types": "types.csv",
    "traces": "traces.csv",
    "network": "network",
    "screen": "screen",
}
_EXPRESSION = ("--counts", "--log", "--genes-in-rows", "--cells-in-rows")


def _commands():
    """Map each command to its function, help, arguments and options for the user's tables."""
    return {
        "reproduce": (
            _reproduce,
            "run the notebooks from top to bottom",
            "notebook dataset --saved-models --figures --fast --fresh --in-place --jobs",
            (),
        ),
        "report": (
            _report,
            "print all tables of saved results",
            "saved --saved-models --fast --json",
            (),
        ),
        "fit": (
            _fit,
            "cross-validate and fit your own cells, and write a report with a verdict",
            "name --saved-models --figures --fast --fresh --jobs",
            tuple(OWN),
        ),
        "explore": (
            _explore,
            "write one HTML file to explore a fitted model and compare cells",
            "results --out --cv --saved-models",
            (),
        ),
        "map": (
            _map,
            "place new cells on the map of a saved model, and predict their outputs",
            "model cells --out --predictions --totals --sheet",
            _EXPRESSION,
        ),
        "ephys-types": (
            _ephys_types,
            "learn types of cells from electrophysiological features, or predict them",
            "action features --model --types --out --abstain --sheet --fast",
            (),
        ),
        "network": (
            _network,
            "infer who regulates whom from your own time course, and compare with simple models",
            "course --times --prior --out --fast",
            (),
        ),
        "screen": (
            _screen,
            "find which latents and genes each perturbation of your own screen shifts",
            "counts --guides --control --latents --out --fast",
            (),
        ),
        "traces": (
            _traces,
            "write features of recordings (NWB) to a table",
            "paths --out --cache --jobs",
            (),
        ),
    }


def _parser():
    version = f"sbnn {sys.modules['sbnn'].__version__}"
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("sbnn", description=DESCRIPTION, formatter_class=as_written)
    parser.add_argument("--version", action="version", version=version)
    added = parser.add_subparsers(required=True, dest="step", metavar="command")
    # handled in `main`
    added.add_parser("data", help="list, download or check data sets; see `sbnn data --help`")
    for name, (run, about, arguments, own) in _commands().items():
        command = added.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        for argument in arguments.split():
            command.add_argument(argument, **ARGUMENTS[argument])
        tables = command.add_argument_group("your own tables, in which cells are matched by name")
        for option in own:
            tables.add_argument(option, **OWN[option])
        command.set_defaults(run=run, out=OUT.get(name))
        if name == "reproduce":
            command.set_defaults(saved_models=None, figures=None)  # set for each notebook
    return parser


def _reproduce(options):
    from sbnn.study.reproduce import reproduce

    reproduce(
        options.notebook,
        options.dataset,
        saved_models=options.saved_models,
        figures=options.figures,
        fresh=options.fresh,
        fast=options.fast,
        in_place=options.in_place,
        jobs=options.jobs,
    )


def _report(options):
    from sbnn.results import results_folder
    from sbnn.tables import print_tables

    if options.saved == "all":
        print_tables(_overview(options.saved_models), options.json)
        return
    study = DATASETS[options.saved].study if options.saved in DATASETS else SBNN
    report = _report_of(study)
    records = report.read(results_folder(options.saved_models, options.saved, options.fast))
    print_tables(report.all_tables(records), options.json, options.fast)
    note = report.note(records) if study == SBNN else report.NOTE
    if note and not options.json:
        print(f"\n{note}")


def _report_of(study):
    """The module that makes the tables of a study."""
    room = "study" if study == SBNN else study
    return importlib.import_module(f"sbnn.{room}.report")


def _overview(saved_models):
    """Tables of all studies that have results."""
    tables = {}
    for study in STUDIES:
        with contextlib.suppress(FileNotFoundError):
            tables |= _report_of(study).overview(saved_models)
    if not tables:
        raise FileNotFoundError(f"no results in {saved_models}; run the notebooks first")
    return tables


def _fit(options):
    name = options.name
    is_path = not name or name.startswith(".") or "/" in name or "\\" in name
    if is_path or name == "auto" or name in DATASETS:
        raise ValueError(f"name: {name!r} is not allowed, it is a path or names a data set")
    check(options)
    from sbnn.data.datasets import summary
    from sbnn.data.diagnose import diagnose
    from sbnn.data.paired import as_paired
    from sbnn.results import results_folder
    from sbnn.study.own_data import commands
    from sbnn.study.own_data.options import load

    adata = load(options)
    print(summary(adata))
    for mistake in diagnose(adata):
        warn(mistake)
    folder = results_folder(options.saved_models, name, options.fast)
    commands.fit(options, as_paired(adata), folder)


def _map(options):
    require_files(model=options.model, cells=options.cells)
    from sbnn.models.saved import load_network
    from sbnn.study.new_cells import read_cells, write_map

    model = load_network(options.model)
    cells = read_cells(
        options.cells,
        model,
        counts=options.counts,
        genes_in_rows=options.genes_in_rows,
        totals=options.totals,
        sheet=options.sheet,
    )
    inputs = options.model, options.cells
    n_cells = write_map(model, cells, options.out, options.predictions, inputs)
    print(f"positions of {n_cells} cells: {options.out}")


def _explore(options):
    require_files(**{"--cv": options.cv})
    from sbnn.explorer.explore import run

    run(options)


def _screen(options):
    require_files(counts=options.counts, **{"--guides": options.guides})
    from sbnn.mechanism_shift import Recipe, own_screen

    quick = Recipe(epochs=2, least_updates=0, updates_per_pair=0)
    own_screen.run(options, quick if options.fast else None)


def _traces(options):
    require_files(*options.paths)
    from sbnn.ephys_types.traces import read_traces, write_traces  # needs optional packages
    from sbnn.results import results_path

    results_path(options.out, "--out", options.paths)
    features = read_traces(options.paths, n_jobs=options.jobs, cache=options.cache)
    print(f"{features.n_obs} cells x {features.n_vars} features")
    print(*write_traces(features, options.out), sep="\n")


def _network(options):
    require_files(course=options.course, **{"--times": options.times, "--prior": options.prior})
    from sbnn.dynamics import own_tables

    data = own_tables.read_course(options.course, options.times)
    prior = own_tables.read_prior(options.prior, data.var_names)
    # fails before the slow part if the folder cannot be written
    os.makedirs(options.out, exist_ok=True)
    print(own_tables.study(data, prior, options.out, 2 if options.fast else 5))
    print(f"network, predictions and figures: {options.out}")


def _ephys_types(options):
    model = options.model if options.action == "predict" else None
    require_files(**{"features": options.features, "--types": options.types, "--model": model})
    from sbnn.ephys_types import EphysTypeClassifier
    from sbnn.ephys_types.own_tables import fit_table, held_out_sentence, predict_table
    from sbnn.results import results_path, write_atomically

    out = results_path(options.out, "--out", (options.features, options.model))
    results_path(options.model, "--model", (options.features, options.types))
    features = options.features
    if options.sheet is not None:
        features = features, options.sheet
    if options.action == "fit":
        model = fit_table(features, options.types, 20 if options.fast else "auto")
        types = ", ".join(model.classes_)
        saved = model.save(options.model)
        print(f"types {types}; {held_out_sentence(model)}; model: {saved}")
        return
    model = EphysTypeClassifier.load(options.model)
    found = predict_table(model, features, options.abstain)
    write_atomically(found.to_csv().encode(), out, b"cell,type,probability,")
    print(f"{len(found)} cells in {out}: {found['type'].value_counts().to_dict()}")


if __name__ == "__main__":
    sys.exit(main())
