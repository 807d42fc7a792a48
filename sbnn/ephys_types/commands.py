"""The steps of ``sbnn ephys-types``: what each does with the options of the command line."""

from sbnn.data.datasets import EPHYS_TYPES, default_dataset, require_study
from sbnn.ephys_types import report as tables
from sbnn.ephys_types import study
from sbnn.results import results_folder
from sbnn.tables import print_tables


def cv(options):
    """Cross-validate every classifier, place the cells on maps, and ask which families are needed."""
    data, folder = _load(options)
    how = {"fast": options.fast, "fresh": options.fresh}
    only = options.only.split(",") if options.only else None
    study.run_cross_validations(data, folder, n_jobs=options.jobs, only=only, **how)
    if only is None:
        study.run_cells(data, folder, **how)
        study.run_families(data, folder, n_jobs=options.jobs, **how)
    _print(folder)


def transfer(options):
    """Types of human cells with the help of mouse cells."""
    data, folder = _load(options)
    if not study.run_transfer(data, folder, fast=options.fast, fresh=options.fresh):
        raise ValueError(f"dataset: transfer goes to human cells, and {_name(options)!r} are none; take lee_human")
    _print(folder)


def figures(options):
    """Draw all figures from what is saved."""
    from sbnn.ephys_types.figures.gallery import SERIES

    name = _name(options)
    records = study.load_records(results_folder(options.saved_models, name, options.fast))
    SERIES.save_and_tell(records, results_folder(options.figures, name, options.fast))


def report(options):
    """Print all tables of what is saved."""
    if options.dataset == "all":
        print_tables({"Macro-F1 on every data set": tables.overview_table(options.saved_models)}, options.json)
        return
    _print(results_folder(options.saved_models, _name(options), options.fast), options.json)


def traces(options):
    """Write features of recordings to a table."""
    from sbnn.data.readers.tables import read_table
    from sbnn.ephys_types.traces import read_traces, write_traces

    labels = read_table(options.labels, "labels") if options.labels else None
    features = read_traces(options.paths, labels=labels, n_jobs=options.jobs, cache=options.cache)
    print(f"{features.n_obs} cells x {features.n_vars} features")
    for path in write_traces(features, options.out):
        print(path)


def _name(options):
    require_study(options.dataset, EPHYS_TYPES)
    return default_dataset(study=EPHYS_TYPES) if options.dataset == "auto" else options.dataset


def _load(options):
    name = _name(options)
    return study.load_cells(name), results_folder(options.saved_models, name, options.fast)


def _print(folder, as_json=False):
    print_tables(tables.all_tables(study.load_records(folder)), as_json)
    if not as_json:
        print(f"\n{tables.NOTE}")
