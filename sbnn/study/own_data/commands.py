"""The command ``sbnn fit``: fit the default network and ridge regression to a user's own tables, as in notebook 09."""

import sys
import time
import warnings

from sklearn.base import clone

from sbnn import plotting
from sbnn.data.paired import groups_of
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import fit_full, stability_selection
from sbnn.evaluation.folds import grouped_folds, paper_folds
from sbnn.evaluation.interpretation import interpret_held_out
from sbnn.evaluation.maps import map_trust, principal_components, tsne_maps
from sbnn.explorer.explore import explore
from sbnn.models.bottleneck.distilled import DistilledBottleneckRegressor
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.results import results_folder, save
from sbnn.study.own_data.options import preselected
from sbnn.study.own_data.report import report

MODEL = "model.safetensors"
SHARE_OF_HALF = 0.7  # time of a fit to half of the cells, relative to a fit to all cells
N_FOLDS, N_PAIRS, N_SEEDS, SEED = 10, 25, 5, 42  # N_PAIRS: pairs of halves of the cells
FAST = {
    "hidden_layers": (32, 16),
    "distillation": DistilledSettings(steps_of_teachers=50, steps_of_student=100),
}


def fit(options, data, folder):
    """Compute all results, write the model, figures, explorer and report, and print the verdict."""
    records = compute(options, data, folder)
    figures, page = results_folder(options.figures, data.name, options.fast), folder / "report.html"
    draw(records, figures)
    more = {
        "ridge": records["cv_ridge"],
        "halves": records["halves_default"],
        "tsne": records["tsne"],
    }
    explore(
        records["fit_default_2d"],
        records["cv_default"],
        folder / "explorer.html",
        data=data,
        **more,
    )
    sentence, warned = report(options, data, records, figures, page)
    print(f"\n{sentence}", *warned, sep="\n- ")
    print(f"\nreport: {page}; interactive map: explorer.html in the same folder")
    print(f"figures: {figures}; to map new cells: sbnn map {folder / MODEL} new_counts.csv")


def folds_for(options, data):
    """At most ten folds of the cells, which do not split groups; only the first two folds in a quick run."""
    if options.groups is None:
        folds = paper_folds(data.n_cells, min(N_FOLDS, data.n_cells // 2))
    else:
        of_cells = groups_of(data, options.groups)
        folds = grouped_folds(of_cells, min(N_FOLDS, len(set(of_cells))))
    return folds[: 2 if options.fast else None]


def compute(options, data, folder):
    """Compute or load all records of the report; the model fitted to all cells is saved as `MODEL` in the folder."""
    n_genes, folds = preselected(options, data.n_genes), folds_for(options, data)
    given = n_genes or data.n_genes
    if (options.keep or 1) > given:
        raise ValueError(
            f"--keep: expected at most {given}, the number of input genes (--n-genes), got {options.keep}"
        )
    kept = min(options.keep or 25, given)
    # The data are already z-scored, and a GPU would change the last digits of the results.
    fixed = {"standardize": False, "device": "cpu", "random_state": SEED} | (
        FAST if options.fast else {}
    )
    model = DistilledBottleneckRegressor(n_components=2, n_genes=kept, **fixed)

    def how(name):
        return {
            "preselect": n_genes,
            "results": folder / f"{name}.pickle",
            "overwrite": options.fresh,
        }

    def repeated(name):
        return how(name) | {"n_jobs": options.jobs, "seed": SEED}

    n_pairs, seeds = 2 if options.fast else N_PAIRS, range(1, 2 if options.fast else 1 + N_SEEDS)
    mapped, of_folds = clone(model).set_params(reconstruct=True), f"{len(folds)} folds"
    steps = _steps(
        {  # costs, in units of one fit of the network by one process
            f"network, {of_folds}": len(folds) / options.jobs,
            f"ridge, {of_folds}": 1,
            f"genes to trust, {2 * n_pairs} halves of the cells": 2
            * n_pairs
            * SHARE_OF_HALF
            / options.jobs,
            "network of all cells": 1,
            "effects of the genes": 1,
            "t-SNE of both measurements": 1,
            f"map, {len(seeds)} other seeds": len(seeds),
        }
    )
    next(steps)
    records = {
        "cv_default": cross_validate(
            model, data, folds, {"n_components": [2]}, **repeated("cv_default")
        )
    }
    next(steps)
    records["cv_ridge"] = cross_validate(LeaveOneOutRidge(), data, folds, **repeated("cv_ridge"))
    next(steps)
    halves = stability_selection(
        model, data, n_pairs, groups=options.groups, **repeated("halves_default")
    )
    next(steps)
    fitted = fit_full(mapped, data, model_file=folder / MODEL, seed=SEED, **how("fit_default_2d"))
    next(steps)
    effects = interpret_held_out(
        model, data, halves, groups=options.groups, **how("interpretation")
    )
    records |= {"fit_default_2d": fitted, "halves_default": halves, "interpretation": effects}
    next(steps)
    records["components"] = principal_components(data, **how("components"))
    records["tsne"] = tsne_maps(data, **how("tsne"))
    next(steps)
    records["map_trust"] = map_trust(
        model, data, fitted, records["cv_default"], seeds, **how("map_trust")
    )
    for name in ("fit_default_2d", "tsne"):
        _with_labels_of(data, records[name], folder / f"{name}.pickle")
    return records


def _steps(costs):
    """At every call of ``next``, print the next step and the estimated remaining time."""
    spent = done = to_go = 0
    for i, (title, cost) in enumerate(costs.items(), 1):
        print(
            f"{i}/{len(costs)} {title}" + f"; about {to_go:.0f} s left" * (to_go > 0),
            file=sys.stderr,
            flush=True,
        )
        started = time.monotonic()
        yield
        if (took := time.monotonic() - started) > 1:  # otherwise the result was loaded
            spent, done = spent + took, done + cost
        to_go = spent / max(done, 1) * (sum(list(costs.values())[i:]))


def draw(records, folder):
    """Draw and save the figures, with a warning for each figure that cannot be drawn."""
    fitted, folds, halves = (
        records[name] for name in ("fit_default_2d", "cv_default", "halves_default")
    )
    models = {"sBNN distilled, d = 2": (folds, {}), "ridge": (records["cv_ridge"], {})}
    drawn = {
        "overview": (plotting.overview, fitted, halves, folds),
        "figure3_latent_default": (plotting.latent_panels, fitted, None, False, [folds]),
        "figure7_tsne": (plotting.tsne_pair, records["tsne"]),
        "component_variance": (plotting.component_variance, records["components"]),
        "map_trust": (plotting.map_trust, records["map_trust"], fitted),
        "accuracy": (plotting.accuracy_comparison, models),
        "stability_selection": (plotting.selection_frequencies, halves),
        "effects": (plotting.effect_map, records["interpretation"]),
    }
    for name, (function, *given) in drawn.items():
        try:
            plotting.save_figure(function(*given), folder / name, pdf=True)
        except OSError:
            raise
        except Exception as error:  # the other figures do not depend on this one
            warnings.warn(f"{name} could not be drawn: {error}", stacklevel=2)


def _with_labels_of(data, record, path):
    """Replace the labels in a record by the labels of the data; no result depends on the labels."""
    labels = data.labels[["family", "type"]]
    if not (record.labels.equals(labels) and record.colors == data.colors):
        record.values |= {"labels": labels, "colors": dict(data.colors)}
        save(record, path)
