"""The commands ``sbnn cv``, ``fit`` and ``genes`` for tables of a user's own: the default network beside ridge.

Each function takes the options of the command line, the data, and the folder of the results.
"""

from functools import partial

from sklearn.base import clone

from sbnn.data.paired import groups_of
from sbnn.data.preselection import with_preselected
from sbnn.evaluation.cautions import cautions
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import fit_full, stability_selection
from sbnn.evaluation.folds import grouped_folds, paper_folds
from sbnn.evaluation.verdict import verdict
from sbnn.explorer.explore import explore
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.results import results_folder, save
from sbnn.study import report
from sbnn.study.experiments import SEED, cross_validations, network, run_genes_curve, run_interpretation, saved
from sbnn.study.maps import principal_components, run_map_trust, tsne_maps
from sbnn.study.own_data.options import preselected
from sbnn.study.own_data.report import write_report
from sbnn.study.study import STUDY
from sbnn.tables import print_table

MODEL = "model.safetensors"
N_FOLDS = 10
N_PAIRS = 25  # of halves of the cells


def cv(options, data, folder):
    """Compare the default network with ridge, and say what the numbers are worth."""
    records = compare(options, data, folder)
    print_table(report.accuracy_table(records), options.fast)
    groups = None if options.groups is None else groups_of(data, options.groups)
    scores = records["cv_default"]
    _print(verdict(scores, data, records["cv_ridge"], groups=groups).sentence, cautions(data, scores, groups=groups))


def fit(options, data, folder):
    """Compute everything, write model, figures, explorer and report, and print the verdict."""
    records = run_all(options, data, folder)
    figures, page = results_folder(options.figures, data.name, options.fast), folder / "report.html"
    STUDY.save_figures(records, figures)
    explore(records["fit_default_2d"], records["cv_default"], folder / "explorer.html")
    _print(*write_report(options, data, records, figures, page))
    print(f"\nreport: {page}; to explore: explorer.html beside it")
    print(f"figures: {figures}; new cells: sbnn map {folder / MODEL} new_counts.csv")


def genes(options, data, folder):
    """Test R2 by the number of genes."""
    how = {"folds": folds_for(options, data) if options.groups is not None else None, "fast": options.fast}
    how |= {"preselect": preselected(options, data.n_genes), "n_jobs": options.jobs}
    record = run_genes_curve(data, folder / "genes_curve.pickle", options.fresh, **how)
    print_table(report.numbers_table(record), options.fast)


def _print(sentence, warned):
    print(f"\n{sentence}", *warned, sep="\n- ")


def folds_for(options, data):
    """Ten folds of the cells, or as many as there are groups, none of which is split; the first two in a quick run."""
    if options.groups is None:
        folds = paper_folds(data.n_cells, min(N_FOLDS, data.n_cells // 2))
    else:
        of_cells = groups_of(data, options.groups)
        folds = grouped_folds(of_cells, min(N_FOLDS, len(set(of_cells))))
    return folds[: 2 if options.fast else None]


def default_network(options, data):
    """The default network with two units, for as many genes as it is given."""
    chosen, _ = with_preselected(data, preselected(options, data.n_genes))
    return network(chosen, options.fast, options.keep, protocol="distilled", n_components=2)


def compare(options, data, folder):
    """Cross-validate, or load, the default network and ridge, and if asked for everything the published models."""
    preselect, folds = preselected(options, data.n_genes), folds_for(options, data)
    models = {"cv_ridge": (LeaveOneOutRidge(), {})}
    models["cv_default"] = default_network(options, data), {"n_components": [2]}
    if getattr(options, "everything", False):
        published = cross_validations(with_preselected(data, preselect)[0], options.fast)
        models |= {name: (published[name].estimator, published[name].param_grid) for name in ("cv_network", "cv_srrr")}
    how = {"n_jobs": options.jobs, "overwrite": options.fresh, "seed": SEED, "preselect": preselect}
    return {
        name: cross_validate(estimator, data, folds, grid, results=folder / f"{name}.pickle", **how)
        for name, (estimator, grid) in models.items()
    }


def run_all(options, data, folder):
    """Compute, or load, all records of the report; the model of all cells goes to `MODEL` in the folder."""
    model, given = default_network(options, data), {"preselect": preselected(options, data.n_genes)}
    n_pairs, sizes = 2 if options.fast else N_PAIRS, given | {"n_genes": options.keep, "fast": options.fast}
    mapped = clone(model).set_params(reconstruct=True)
    fitted = partial(fit_full, mapped, data, model_file=folder / MODEL, seed=SEED, **given)
    halves = partial(stability_selection, model, data, n_pairs, n_jobs=options.jobs, seed=SEED, **given)
    planned = {
        "fit_default_2d": partial(saved, fitted),
        "halves_default": partial(saved, halves),
        "interpretation": partial(run_interpretation, data, **sizes),
        "components": partial(principal_components, data, **given),
        "tsne": partial(tsne_maps, data, **given),
        "map_trust": partial(run_map_trust, data, **sizes),
    }
    records = compare(options, data, folder)
    for name, run in planned.items():
        records[name] = run(folder / f"{name}.pickle", options.fresh)
    for name in ("fit_default_2d", "tsne"):
        _with_labels_of(data, records[name], folder / f"{name}.pickle")
    return records


def _with_labels_of(data, record, path):
    """Give a record the labels of the data: they decide no result, so that it may have been saved with others."""
    labels = data.labels[["family", "type"]]
    if not (record.labels.equals(labels) and record.colors == data.colors):
        record.values |= {"labels": labels, "colors": dict(data.colors)}
        save(record, path)
