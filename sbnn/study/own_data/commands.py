"""The command ``sbnn fit``: fit the default network and ridge regression to a user's own tables."""

from sklearn.base import clone
from tqdm.auto import tqdm

from sbnn.data.diagnose import diagnose
from sbnn.data.paired import groups_of
from sbnn.errors import require, warn
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import fit_full, stability_selection
from sbnn.evaluation.folds import grouped_folds, paper_folds
from sbnn.evaluation.interpretation import interpret_held_out
from sbnn.evaluation.maps import map_trust, principal_components, tsne_maps
from sbnn.evaluation.stability import trust_sentence
from sbnn.explorer.explore import explore
from sbnn.models.bottleneck.distilled import DistilledBottleneckRegressor
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.plotting.common import save_figure
from sbnn.results import results_folder, save
from sbnn.study.figures import drawable
from sbnn.study.own_data.cautions import cautions
from sbnn.study.own_data.options import as_options, preselected
from sbnn.study.page import write_page
from sbnn.tables import TRIAL

MODEL = "model.safetensors"
EXPLORER = "explorer.html"
SHARE_OF_HALF = 0.7  # time of a fit to half of the cells
N_FOLDS = 10
N_PAIRS = 25  # of halves of the cells
N_SEEDS = 5  # of other maps
SEED = 42
FAST = {
    "hidden_layers": (32, 16),
    "distillation": DistilledSettings(steps_of_teachers=50, steps_of_student=100),
}


def fit(options, data, folder):
    """Write all results, the model, figures and report; print the verdict."""
    require("bokeh", "openTSNE")  # before the fits
    records = compute(options, data, folder)
    figures = results_folder(options.figures, data.name, options.fast)
    page = folder / "report.html"
    draw(records, figures)
    explore(
        records["fit_default_2d"],
        records["cv_default"],
        folder / EXPLORER,
        data=data,
        ridge=records["cv_ridge"],
        halves=records["halves_default"],
        tsne=records["tsne"],
    )
    warned = _cautions(options, data, records)
    verdict = write_page(
        records,
        figures,
        page,
        # `sbnn fit` has printed what `diagnose` finds
        cautions=[*map(as_options, diagnose(data)), *warned],
        facts=_facts(options, data, records["cv_default"]),
        left_out=data.about["dropped"],
        explorer=EXPLORER,
    )
    print(f"\n{verdict}", *warned, sep="\n- ")
    print(f"\nreport: {page}; interactive map: {EXPLORER} in the same folder")
    print(f"figures: {figures}; to map new cells: sbnn map {folder / MODEL} new_counts.csv")


def _cautions(options, data, records):
    groups = None if options.groups is None else groups_of(data, options.groups)
    found = cautions(data, records["cv_default"], groups)
    if options.fast:
        found.insert(0, TRIAL)
    untrusted = trust_sentence(records["halves_default"])
    return [*found, untrusted] if untrusted else found


def _facts(options, data, record):
    drawn = "at random"
    if options.groups is not None:
        drawn = f"each {options.groups} in only one fold"
    n_genes = preselected(options, data.n_genes)
    genes = f"all {data.n_genes}"
    if n_genes:
        genes = f"{n_genes}, chosen on the training cells of every fold"
    return {
        "folds": f"{len(record.folds)}, {drawn}",
        "genes given to the models": genes,
        "read from": data.about["source"],
        "as read": as_options(" ".join(data.about["notes"])),
    }


def folds_for(options, data):
    """At most ten folds, which do not split groups; only two in a quick run."""
    if options.groups is None:
        folds = paper_folds(data.n_cells, min(N_FOLDS, data.n_cells // 2))
    else:
        groups = groups_of(data, options.groups)
        folds = grouped_folds(groups, min(N_FOLDS, len(set(groups))))
    return folds[:2] if options.fast else folds


def compute(options, data, folder):
    """Compute or load all records, and save a model of all cells."""
    n_genes = preselected(options, data.n_genes)
    model = _model(options, n_genes or data.n_genes)
    folds = folds_for(options, data)
    n_pairs = 2 if options.fast else N_PAIRS
    seeds = range(1, 2 if options.fast else 1 + N_SEEDS)
    # in units of one fit of the network
    costs = {
        "network in folds": len(folds) / options.jobs,
        "ridge in folds": 1,
        "network on halves of the cells": 2 * n_pairs * SHARE_OF_HALF / options.jobs,
        "network of all cells": 1,
        "effects of the genes": 1,
        "t-SNE of both measurements": 1,
        "maps of other seeds": len(seeds),
    }
    steps = progress(costs)
    groups = options.groups

    def kept(name):
        path = folder / f"{name}.pickle"
        return {"preselect": n_genes, "results": path, "overwrite": options.fresh}

    def repeated(name):
        return kept(name) | {"n_jobs": options.jobs, "seed": SEED}

    next(steps)
    grid = {"n_components": [2]}
    default = cross_validate(model, data, folds, grid, **repeated("cv_default"))
    next(steps)
    ridge = cross_validate(LeaveOneOutRidge(), data, folds, **repeated("cv_ridge"))
    next(steps)
    halves = stability_selection(model, data, n_pairs, groups=groups, **repeated("halves_default"))
    next(steps)
    with_genes = clone(model).set_params(reconstruct=True)
    file = folder / MODEL
    fitted = fit_full(with_genes, data, model_file=file, seed=SEED, **kept("fit_default_2d"))
    next(steps)
    effects = interpret_held_out(model, data, halves, groups=groups, **kept("interpretation"))
    next(steps)
    components = principal_components(data, **kept("components"))
    tsne = tsne_maps(data, **kept("tsne"))
    next(steps)
    trust = map_trust(model, data, fitted, default, seeds, **kept("map_trust"))
    for name, record in (("fit_default_2d", fitted), ("tsne", tsne)):
        _with_labels_of(data, record, folder / f"{name}.pickle")
    return {
        "cv_default": default,
        "cv_ridge": ridge,
        "fit_default_2d": fitted,
        "halves_default": halves,
        "interpretation": effects,
        "components": components,
        "tsne": tsne,
        "map_trust": trust,
    }


def _model(options, n_genes):
    n_kept = options.keep or min(25, n_genes)
    # the data are z-scored, and a GPU would change the last digits
    model = DistilledBottleneckRegressor(
        n_components=2, n_genes=n_kept, standardize=False, device="cpu", random_state=SEED
    )
    if options.fast:
        model.set_params(**FAST)
    return model


def progress(costs):
    """Show the step and the remaining time, estimated from costs by title."""
    with tqdm(total=sum(costs.values()), bar_format="{desc}; about {remaining} left") as bar:
        for title, cost in costs.items():
            bar.set_description_str(title)
            yield
            bar.update(cost)


def draw(records, folder):
    """Draw and save the figures, with a warning for each that fails."""
    for name, function in drawable(records).items():
        try:
            figure = function(records)
        except Exception as error:  # the other figures do not depend on this one
            warn(f"{name} could not be drawn: {error}")
        else:
            if figure is not None:
                save_figure(figure, folder / name, pdf=True)


def _with_labels_of(data, record, path):
    """Replace the labels, on which no result depends."""
    labels = data.labels[["family", "type"]]
    colors = dict(data.colors)
    if not record.labels.equals(labels) or record.colors != colors:
        record.values |= {"labels": labels, "colors": colors}
        save(record, path)
