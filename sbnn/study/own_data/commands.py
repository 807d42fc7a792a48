"""The commands ``sbnn cv`` and ``sbnn fit`` for tables of a user's own."""

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
    choices = {"groups": options.groups, "preselect": preselected(options, data), "n_genes": options.keep}
    records = compare(data, folder, everything=options.everything, **choices, **_how(options))
    print_table(report.accuracy_table(records), options.fast)
    groups = None if options.groups is None else groups_of(data, options.groups)
    scores = records["cv_default"]
    _tell(verdict(scores, data, records["cv_ridge"], groups=groups).sentence, cautions(data, scores, groups=groups))


def fit(options, data, folder):
    """Compute everything, write model, figures, explorer and report, and tell the verdict."""
    choices = {"groups": options.groups, "preselect": preselected(options, data)}
    records = run_own_data(data, folder, n_genes=options.keep, **choices, **_how(options))
    figures = results_folder(options.figures, data.name, options.fast)
    STUDY.save_figures(records, figures)
    explore(records["fit_default_2d"], records["cv_default"], folder / "explorer.html")
    page = write_report(data, records, figures, folder, fast=options.fast, **choices)
    _tell(page.verdict, page.cautions)
    print(f"\nreport: {folder / 'report.html'} (to send: report.pdf beside it); to explore: explorer.html beside it")
    print(f"figures: {figures}; new cells: sbnn map {folder / MODEL} new_counts.csv")


def genes(options, data, folder):
    """Test R2 by the number of genes, on the folds and the genes that the options ask for."""
    folds = folds_for(data, options.groups, options.fast) if options.groups is not None else None
    record = run_genes_curve(data, folder, folds, preselect=preselected(options, data), **_how(options))
    print_table(report.numbers_table(record), options.fast)


def _tell(sentence, warned):
    print(f"\n{sentence}", *warned, sep="\n- ")


def _how(options):
    return {"fast": options.fast, "fresh": options.fresh, "n_jobs": options.jobs}
