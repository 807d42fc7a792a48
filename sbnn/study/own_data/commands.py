"""The commands ``sbnn cv``, ``fit`` and ``genes`` for tables of a user's own."""

from sbnn.data.paired import groups_of
from sbnn.evaluation.cautions import cautions
from sbnn.evaluation.verdict import verdict
from sbnn.explorer.explore import explore
from sbnn.results import results_folder
from sbnn.study import report
from sbnn.study.experiments import run_genes_curve
from sbnn.study.own_data.experiments import MODEL, compare, folds_for, run_own_data
from sbnn.study.own_data.options import preselected
from sbnn.study.own_data.report import write_report
from sbnn.study.study import STUDY
from sbnn.tables import print_table


def cv(options, data, folder):
    """Compare the default network with ridge, and say what the numbers are worth."""
    records = compare(data, folder, groups=options.groups, everything=options.everything, **_how(options, data))
    print_table(report.accuracy_table(records), options.fast)
    groups = None if options.groups is None else groups_of(data, options.groups)
    scores = records["cv_default"]
    _print(verdict(scores, data, records["cv_ridge"], groups=groups).sentence, cautions(data, scores, groups=groups))


def fit(options, data, folder):
    """Compute everything, write model, figures, explorer and report, and print the verdict."""
    how = _how(options, data)
    records = run_own_data(data, folder, groups=options.groups, **how)
    figures = results_folder(options.figures, data.name, options.fast)
    STUDY.save_figures(records, figures)
    explore(records["fit_default_2d"], records["cv_default"], folder / "explorer.html")
    page = folder / "report.html"
    choices = {"groups": options.groups, "preselect": how["preselect"], "fast": options.fast}
    _print(*write_report(data, records, figures, page, **choices))
    print(f"\nreport: {page}; to explore: explorer.html beside it")
    print(f"figures: {figures}; new cells: sbnn map {folder / MODEL} new_counts.csv")


def genes(options, data, folder):
    """Test R2 by the number of genes, on the folds and the genes that the options ask for."""
    folds = folds_for(data, options.groups, options.fast) if options.groups is not None else None
    how = _how(options, data)
    record = run_genes_curve(data, folder, folds, **how)
    print_table(report.numbers_table(record), options.fast)


def _print(sentence, warned):
    print(f"\n{sentence}", *warned, sep="\n- ")


def _how(options, data):
    how = {"fast": options.fast, "fresh": options.fresh, "n_jobs": options.jobs}
    how["preselect"] = preselected(options, data.n_genes)
    return how | ({"n_genes": options.keep} if "keep" in options else {})
