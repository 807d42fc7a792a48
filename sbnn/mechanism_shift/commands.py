"""The steps of ``sbnn mechanism-shift``: what each does with the options of the command line."""

from sbnn.data.datasets import MECHANISM_SHIFT, default_dataset, require_study
from sbnn.mechanism_shift import report as tables
from sbnn.mechanism_shift import study
from sbnn.results import results_folder
from sbnn.tables import print_tables


def run(options):
    """Run the study of a data set: all methods on simulated screens, or what can be trusted of a real one."""
    name = _name(options)
    folder = results_folder(options.saved_models, name, options.fast)
    how = {"fast": options.fast, "fresh": options.fresh}
    if options.only or options.configurations:
        if name != study.SIMULATED:
            raise ValueError(f"--only and --configurations choose among simulated screens, not of {name!r}")
        chosen = options.configurations.split(",") if options.configurations else study.USUAL
        study.run_simulated(folder, chosen, only=options.only.split(",") if options.only else None, **how)
    else:
        study.run(name, folder, everything=options.everything, **how)
    _print(folder)


def figures(options):
    """Draw all figures from what is saved."""
    from sbnn.mechanism_shift.figures.gallery import SERIES

    name = _name(options)
    records = study.load_records(results_folder(options.saved_models, name, options.fast))
    SERIES.save_and_tell(records, results_folder(options.figures, name, options.fast))


def report(options):
    """Print all tables of what is saved."""
    _print(results_folder(options.saved_models, _name(options), options.fast), options.json)


def _name(options):
    require_study(options.dataset, MECHANISM_SHIFT)
    return default_dataset(study=MECHANISM_SHIFT) if options.dataset == "auto" else options.dataset


def _print(folder, as_json=False):
    print_tables(tables.all_tables(study.load_records(folder)), as_json)
    if not as_json:
        print(f"\n{tables.NOTE}")
