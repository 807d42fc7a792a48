"""The steps of ``sbnn dynamics``: what each does with the options of the command line."""

from sbnn.data.datasets import DYNAMICS, default_dataset, require_study
from sbnn.dynamics import report as tables
from sbnn.dynamics import study
from sbnn.results import results_folder
from sbnn.tables import print_tables


def run(options):
    """Run the study of a data set."""
    folder = results_folder(options.saved_models, _name(options), options.fast)
    only = options.only.split(",") if options.only else None
    study.run(_name(options), folder, only=only, fast=options.fast, fresh=options.fresh)
    _print(folder)


def figures(options):
    """Draw all figures from what is saved."""
    from sbnn.dynamics.figures.gallery import SERIES

    name = _name(options)
    records = _records(results_folder(options.saved_models, name, options.fast))
    SERIES.save_and_tell(records, results_folder(options.figures, name, options.fast))


def report(options):
    """Print all tables of what is saved."""
    _print(results_folder(options.saved_models, _name(options), options.fast), options.json)


def _name(options):
    require_study(options.dataset, DYNAMICS)
    return default_dataset(study=DYNAMICS) if options.dataset == "auto" else options.dataset


def _records(folder):
    records = study.load_records(folder)
    if not records:
        raise FileNotFoundError(f"no results in {folder}: run `sbnn dynamics run` first")
    return records


def _print(folder, as_json=False):
    print_tables(tables.all_tables(_records(folder)), as_json)
    if not as_json:
        print(f"\n{tables.NOTE}")
