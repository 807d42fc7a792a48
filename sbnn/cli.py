"""The command line ``sbnn``: notebooks, tables of their results, and a user's own cells.

The exit status is 1 after invalid input, 2 after an invalid command and 130 after Ctrl-C. Options
are checked before slow libraries are imported.
"""

import argparse
import contextlib
import importlib
import os
import sys
import warnings
from pathlib import Path

from sbnn.data.datasets import DATASETS, list_datasets
from sbnn.errors import warn
from sbnn.study.own_data.options import (
    OPTIONS,
    READERS,
    as_arguments,
    as_options,
    declared,
    require_file,
)

DESCRIPTION = """Finds the genes that predict a second measurement of the same cells, and maps them.

The notebooks and their results (saved results are loaded, missing ones are computed):

  sbnn data list                     list the data sets and show which are available
  sbnn reproduce                     run all notebooks on all available data sets
  sbnn reproduce 02 citeseq_cd8      run one notebook on one data set (--fast: quick run)
  sbnn reproduce figures scala       draw the figures of a data set from its saved results
  sbnn report scala                  print all tables of saved results (or `all`: an overview)
  sbnn report scala --html page.html write them as a page with pictures, to read or print

Your own cells, in tables with cell names (CSV, TSV, Excel, AnnData, ...). `read` shows what it
understood and writes one file; the other commands take that file, or the options of `read`:

  sbnn read paired --expression counts.csv --outputs ephys.xlsx --labels types.csv -o mine.h5ad
  sbnn fit mine.h5ad --groups donor                predict one measurement from the other
  sbnn map saved_models/mine/model.safetensors new_counts.csv      place new cells on the map
  sbnn explore mine                  write one HTML file to explore the map in a browser
  sbnn traces *.nwb --out t.csv      write features of recordings, and metadata to t_cells.csv
  sbnn network course.csv --prior prior.csv --out folder   infer who regulates whom over time
  sbnn ephys-types fit typed.csv --model m.pickle        learn types from electrophysiology
  sbnn ephys-types predict t.csv --model m.pickle        predict the types of other cells
  sbnn screen counts.h5ad --guides guides.csv --control NT     find what each perturbation shifts
"""


def main(arguments=None):
    """Run a command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # a terminal that cannot show "±" still shows the numbers
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    usual, warnings.formatwarning = warnings.formatwarning, _Plainly()
    status = 0
    command = arguments[0] if arguments else ""
    try:
        if command == "data":
            print(list_datasets().to_string())
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
        if hasattr(error, "reading"):
            text = error.reading.text_of_problems(as_arguments)
        print(f"sbnn {command}: {as_options(str(text))}", file=sys.stderr)
        return 1
    finally:
        warnings.formatwarning = usual
    return status


class _Plainly:
    """Formats a warning without its line of code, and a repeated one as nothing."""

    def __init__(self):
        self.shown = set()

    def __call__(self, message, category, *_):
        kind = "warning" if category is UserWarning else category.__name__
        text = f"{kind}: {as_options(str(message))}\n"
        if text in self.shown:
            return ""
        self.shown.add(text)
        return text


def _parser():
    version = f"sbnn {sys.modules['sbnn'].__version__}"
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("sbnn", description=DESCRIPTION, formatter_class=as_written)
    parser.add_argument("--version", action="version", version=version)
    added = parser.add_subparsers(required=True, dest="step", metavar="command")
    # handled in `main`
    added.add_parser("data", help="list, get or check data sets; see `sbnn data --help`")
    sections = declared(Path(__file__).with_name("commands.toml"))
    groups = {"": added}
    for name, about in sections["commands"].items():
        group, _, kind = name.rpartition(" ")
        if group not in groups:
            text = "read tables, show what was understood, and write one file"
            read = _added(added, group, text)
            groups[group] = read.add_subparsers(required=True, dest="kind", metavar="kind")
        # an abbreviation may become the name of another option
        command = _added(groups[group], kind, about["help"], allow_abbrev=False)
        _add_arguments(command, about, sections["arguments"])
        command.set_defaults(**about["defaults"])
    return parser


def _added(parsers, name, text, **settings):
    sentence = f"{text[0].upper()}{text[1:]}."
    return parsers.add_parser(name, help=text, description=sentence, **settings)


def _add_arguments(command, about, known):
    for argument in about["arguments"].split():
        settings = dict(known[argument])
        if argument in about.get("help_of", {}):
            settings["help"] = about["help_of"][argument]
        command.add_argument(*settings.pop("short", "").split(), argument, **settings)
    tables = command.add_argument_group("your own tables, in which cells are matched by name")
    for option, settings in _options_of_tables(about["tables"]).items():
        tables.add_argument(option, **settings)


def _options_of_tables(names):
    """Options by name; a kind of data stands for all of its reader."""
    found = {}
    for name in names.split():
        if name in READERS:
            found |= OPTIONS["tables"] | OPTIONS[name]
        else:
            found[name] = {**OPTIONS["own"], **OPTIONS["paired"]}[name]
    return found


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

    study = DATASETS[options.saved].study if options.saved in DATASETS else "sbnn"
    if options.html and (options.saved == "all" or study != "sbnn"):
        raise ValueError(f"--html: {options.saved!r} has tables only")
    if options.saved == "all":
        print_tables(_overview(options.saved_models), options.json)
        return
    report = _report_of(study)
    records = report.read(results_folder(options.saved_models, options.saved, options.fast))
    if options.html:
        _write_page(options, records)
        return
    print_tables(report.all_tables(records), options.json, options.fast)
    note = report.note(records) if study == "sbnn" else report.NOTE
    if note and not options.json:
        print(f"\n{note}")


def _write_page(options, records):
    from sbnn.results import results_folder
    from sbnn.study.page import write_page
    from sbnn.tables import TRIAL

    figures = results_folder(options.figures, options.saved, options.fast)
    page = Path(options.html)
    cautions = [TRIAL] if options.fast else []
    verdict = write_page(records, figures, page, cautions=cautions)
    print(f"{verdict}\n{page}")


def _report_of(study):
    room = "study" if study == "sbnn" else study
    return importlib.import_module(f"sbnn.{room}.report")


def _overview(saved_models):
    tables = {}
    for study in dict.fromkeys(dataset.study for dataset in DATASETS.values()):
        with contextlib.suppress(FileNotFoundError):
            tables |= _report_of(study).overview(saved_models)
    if not tables:
        raise FileNotFoundError(f"no results in {saved_models}; run the notebooks first")
    return tables


def _read(options):
    from sbnn.study.own_data.options import read, warn_of_outputs, write

    adata = read(options.kind, options, Path(options.out).stem)
    warn_of_outputs(adata)
    write(adata, options.out)
    print(f"{adata.n_obs} x {adata.n_vars}: {options.out}")


def _fit(options):
    name = options.name
    given = {}
    if name.lower().endswith((".h5ad", ".h5mu")):
        given["expression"] = name
        name = Path(name).stem
    if Path(name).is_file():
        raise ValueError(f"name: {name!r} is a file; give tables with --expression and --outputs")
    is_path = name.startswith(".") or Path(name).name != name
    if is_path or name in ("", "auto", *DATASETS):
        raise ValueError(f"name: {name!r} is not allowed, it is a path or names a data set")
    from sbnn.data.diagnose import diagnose
    from sbnn.data.paired import as_paired
    from sbnn.results import results_folder
    from sbnn.study.own_data import commands
    from sbnn.study.own_data.options import read, require_enough, with_groups

    adata = read("paired", options, name, **given)
    if options.groups is not None:
        adata = with_groups(adata, options.groups)
    require_enough(adata)
    print(adata)
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


def _given(options, table="expression"):
    """The table that needs no option."""
    return {} if options.table is None else {table: options.table}


def _screen(options):
    from sbnn.mechanism_shift import Recipe, own_screen
    from sbnn.study.own_data.options import read, require_enough

    adata = read("screen", options, Path(options.out).name, **_given(options))
    require_enough(adata)
    quick = Recipe(epochs=2, least_updates=0, updates_per_pair=0)
    own_screen.study(adata, options.out, options.latents, quick if options.fast else None)


def _traces(options):
    for path in options.paths:
        require_file("paths", path)
    from sbnn.ephys_types.traces import read_traces, write_traces  # needs optional packages

    features = read_traces(options.paths, n_jobs=options.jobs, cache=options.cache)
    print(f"{features.n_obs} cells x {features.n_vars} features")
    print(*write_traces(features, options.out), sep="\n")


def _network(options):
    from sbnn.data.readers.course import read_prior
    from sbnn.dynamics import own_tables
    from sbnn.study.own_data.options import read

    data = read("course", options, Path(options.out).name, **_given(options))
    n_genes = options.genes or (own_tables.FAST_GENES if options.fast else None)
    data = own_tables.most_varying(data, n_genes)
    prior = read_prior(options.prior, data.var_names)
    # before the slow part
    os.makedirs(options.out, exist_ok=True)
    n_passes = own_tables.FAST_PASSES if options.fast else own_tables.N_PASSES
    print(own_tables.study(data, prior, options.out, n_passes, options.jobs))
    print(f"network, predictions and figures: {options.out}")


def _ephys_types(options):
    if options.action == "fit":
        _fit_types(options)
    else:
        require_file("--model", options.model)
        _predict_types(options)


def _fit_types(options):
    from sbnn.ephys_types import own_tables
    from sbnn.study.own_data.options import read, require_enough
    from sbnn.tables import print_table

    given = _given(options, "features")
    saved = Path(options.model)
    data = read("types", options, saved.stem, **given)
    require_enough(data, "features")
    steps = 20 if options.fast else "auto"
    found, scores = own_tables.study(data, saved, steps)
    print(found)
    if len(scores):
        print_table(scores)
    print(f"{saved}\n{saved.with_name(own_tables.PAGE)}")


def _predict_types(options):
    from sbnn.ephys_types import EphysTypeClassifier, own_tables
    from sbnn.study.own_data.options import keywords_of

    keywords = keywords_of("types", options) | _given(options, "features")
    if "features" not in keywords:
        raise ValueError("--features is missing; give the table")
    of_labels = {"labels", "type_key", "donor_key"} & keywords.keys()
    if of_labels:
        raise ValueError(f"predict takes no {', '.join(sorted(of_labels))}")
    table = keywords.pop("features")
    out = Path(options.out)
    model = EphysTypeClassifier.load(options.model)
    found = own_tables.predict(model, table, out, options.abstain, table, **keywords)
    print(f"{len(found)} cells in {out}: {found['type'].value_counts().to_dict()}")


RUN = {
    "read": _read,
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
