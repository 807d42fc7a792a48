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
from pathlib import Path

from sbnn.data import datasets
from sbnn.data.datasets import DATASETS, SBNN, STUDIES
from sbnn.errors import warn
from sbnn.study.own_data.options import OWN, as_options, check, declared, require_file

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
            for name in options.inputs:
                require_file(name, vars(options)[name.strip("-").replace("-", "_")])
            RUN[command](options)
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
        text = error.args[0] if isinstance(error, KeyError) else error
        print(f"sbnn {command}: {as_options(str(text))}", file=sys.stderr)
        return 1
    finally:
        warnings.formatwarning = usual
    return status


def _plainly(message, category, *_):
    """Format a warning without its line of code."""
    kind = "warning" if category is UserWarning else category.__name__
    return f"{kind}: {as_options(str(message))}\n"


def _parser():
    version = f"sbnn {sys.modules['sbnn'].__version__}"
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("sbnn", description=DESCRIPTION, formatter_class=as_written)
    parser.add_argument("--version", action="version", version=version)
    added = parser.add_subparsers(required=True, dest="step", metavar="command")
    # handled in `main`
    added.add_parser("data", help="list, download or check data sets; see `sbnn data --help`")
    sections = declared(Path(__file__).with_name("commands.toml"))
    for name, about in sections["commands"].items():
        text = about["help"]
        command = added.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for argument in about["arguments"].split():
            command.add_argument(argument, **sections["arguments"][argument])
        tables = command.add_argument_group("your own tables, in which cells are matched by name")
        for option in about["tables"].split():
            tables.add_argument(option, **OWN[option])
        command.set_defaults(**about["defaults"])
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
    is_path = name.startswith(".") or Path(name).name != name
    if is_path or name in ("", "auto", *DATASETS):
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
    from sbnn.explorer.explore import run

    run(options)


def _screen(options):
    from sbnn.mechanism_shift import Recipe, own_screen

    quick = Recipe(epochs=2, least_updates=0, updates_per_pair=0)
    own_screen.run(options, quick if options.fast else None)


def _traces(options):
    for path in options.paths:
        require_file("paths", path)
    from sbnn.ephys_types.traces import read_traces, write_traces  # needs optional packages
    from sbnn.results import results_path

    results_path(options.out, "--out", options.paths)
    features = read_traces(options.paths, n_jobs=options.jobs, cache=options.cache)
    print(f"{features.n_obs} cells x {features.n_vars} features")
    print(*write_traces(features, options.out), sep="\n")


def _network(options):
    from sbnn.dynamics import own_tables

    data = own_tables.read_course(
        options.course,
        options.times,
        gene_names=options.gene_names,
        sample_key=options.sample_key,
        time_key=options.time_key,
    )
    n_genes = options.genes or (own_tables.FAST_GENES if options.fast else None)
    data = own_tables.most_varying(data, n_genes)
    print(*data.uns["sbnn"]["notes"], sep="\n", file=sys.stderr)
    prior = own_tables.read_prior(options.prior, data.var_names)
    # fails before the slow part if the folder cannot be written
    os.makedirs(options.out, exist_ok=True)
    n_passes = own_tables.FAST_PASSES if options.fast else own_tables.N_PASSES
    print(own_tables.study(data, prior, options.out, n_passes, options.jobs))
    print(f"network, predictions and figures: {options.out}")


def _ephys_types(options):
    if options.action == "predict":
        require_file("--model", options.model)
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
        saved = model.save(options.model)
        print(f"types {', '.join(model.classes_)}; {held_out_sentence(model)}; model: {saved}")
    else:
        model = EphysTypeClassifier.load(options.model)
        found = predict_table(model, features, options.abstain)
        write_atomically(found.to_csv().encode(), out, b"cell,type,probability,")
        print(f"{len(found)} cells in {out}: {found['type'].value_counts().to_dict()}")


RUN = {
    "reproduce": _reproduce,
    "report": _report,
    "fit": _fit,
    "map": _map,
    "explore": _explore,
    "screen": _screen,
    "traces": _traces,
    "network": _network,
    "ephys-types": _ephys_types,
}

if __name__ == "__main__":
    sys.exit(main())
