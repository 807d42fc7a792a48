"""The experiments: methods on simulated screens, where the truth is known, and what can be trusted of a real screen."""

import time
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.screens import as_screen
from sbnn.data.simulate_perturbations import simulate_perturbations
from sbnn.determinism import reproducible
from sbnn.evaluation.runs import load_or_compute
from sbnn.mechanism_shift.graph import EVEN, edge_scores, edges_of, match_latents, mean_correlation, wide
from sbnn.mechanism_shift.methods import ABLATION, FAST, METHODS, read_out
from sbnn.mechanism_shift.model import SparseShiftVAE
from sbnn.mechanism_shift.recipe import Recipe
from sbnn.results import Record

SEEDS = (0, 1, 2)
HELD_OUT = 20  # perturbations, of a hundred
SHOWN_CELLS = {"simulated": 500, "real": 2000}

#: Sizes of simulated screens: those of the published script, a small one, and the defaults of the published library.
CONFIGURATIONS = {
    "small": {"n_cells_per": 50, "n_perturbations": 100, "n_latents": 15, "n_genes": 100},
    "script": {"n_cells_per": 250, "n_perturbations": 100, "n_latents": 15, "n_genes": 100},
    "library": {"n_cells_per": 500, "n_perturbations": 100, "n_latents": 30, "n_genes": 100},
}
#: Of the larger configurations, on which networks of the literature take long, these methods are run.
SOME = {
    "script": ("pca", "ica", "linear", "ivae", "ivae_unmixed", "svae+", "svae+_unmixed", "staged"),
    "library": ("linear", "staged"),
}
#: What is varied, one at a time, from the small configuration: for each its values, which is the usual one, and label.
VARIED = {
    "shift": ((2.0, 3.0, 5.0, 8.0), 5.0, "size of the shifts (SD)"),
    "density": ((0.05, 0.1, 0.2, 0.3), None, "share of latents moved"),
    "n_cells_per": ((10, 20, 50, 100), 50, "cells of a perturbation"),
    "latents_fitted": ((8, 15, 30), 15, "latents of the model"),
}
#: Of a real screen.
N_LATENT = 10
SIZES = (2, 5, 10, 15, 20)  # numbers of latents tried
N_BOOTSTRAPS = 5


def experiments(data, fast, n_jobs):
    """Experiments on simulated screens, or on a `Screen`, by name, as a `Study` takes them."""
    if not isinstance(data, str):
        return of_screen(data, fast)
    how = {"seeds": (0,), **FAST} if fast else {}
    planned = {}
    for configuration in ("small",) if fast else CONFIGURATIONS:
        for name in SOME.get(configuration, METHODS):
            planned[f"{configuration}_{name}"] = partial(run_method, configuration, name, METHODS, **how)
    for i, name in enumerate(ABLATION):
        planned[f"ablation_{i}"] = partial(run_method, "small", name, ABLATION, **how)
    for quantity, (values, *_) in VARIED.items():
        planned[f"varied_{quantity}"] = partial(run_varied, quantity, values[:2] if fast else values, **how)
    return planned


def of_screen(screen, fast):
    """Experiments on a real screen, by name: what the staged model finds, and what speaks for it."""
    recipe = Recipe(**FAST) if fast else None
    seeds, sizes, n_bootstraps = ((0,), (2, 5), 1) if fast else (SEEDS, SIZES, N_BOOTSTRAPS)
    fit, model = partial(fit_model, recipe=recipe), SparseShiftVAE(N_LATENT, recipe=recipe, random_state=0)

    def planned(kind, compute, values, **settings):
        settings = {"seeds": [0], "version": 1} | settings
        wanted = Record(f"mechanism-shift {kind}", screen.name, screen.sha256, [{}], 0, settings)
        return partial(load_or_compute, wanted, partial(compute, screen, fit, values), estimator=model)

    return {
        "fits": planned("fits", fits, seeds, seeds=list(seeds), n_latent=N_LATENT),
        "permuted": planned("permuted", permuted, seeds, seeds=list(seeds), n_latent=N_LATENT),
        "sizes": planned("sizes", by_size, sizes, sizes=list(sizes)),
        "bootstraps": planned("bootstraps", stability, n_bootstraps, n_bootstraps=n_bootstraps),
    }


def split_screen(adata, n_held_out=HELD_OUT):
    """Screens of the first perturbations and of the last ones, which are held out."""
    targets = as_screen(adata).targets
    parts = targets[:-n_held_out], targets[-n_held_out:]
    return tuple(as_screen(adata[adata.obs["perturbation"].isin(part)]) for part in parts)


def score(method, screen, n_latent, seed, **recipe):
    """Fit a method to a screen with known truth: a row of scores, and (model, latents, shift graph, edges).

    The row holds ``mcc``, ``precision``, ``recall`` and ``f1`` of edges, the ``elbo`` of the cells that a network sets
    aside, and CPU ``seconds``.
    """
    with reproducible():  # correlations and projections too
        started = time.process_time()
        model = method.make(n_latent, seed, **recipe).fit(screen.counts, screen.perturbation, screen.control)
        latents, graph, edges = read_out(method, model, screen.counts, screen.perturbation, screen.control)
        seconds, true = time.process_time() - started, screen.truth["latents"]
        _, of_true, of_found = match_latents(true, latents)
        row = {"mcc": mean_correlation(true, latents)}
        row |= edge_scores(screen.truth["shifts"], edges, of_true, of_found)
        if hasattr(model, "elbo"):
            row["elbo"] = elbo_aside(model, screen)
        return row | {"seconds": seconds}, (model, latents, graph, edges)


def held_out_bounds(model, new, seed, n_samples=100, n_cells=500):
    """Bounds on the likelihood of cells of new perturbations, before and after their shifts are learned.

    Cells are halved at random: one half is for the shifts, and of the other up to `n_cells` are scored.
    """
    order, bounds = np.random.default_rng(seed).permutation(len(new.perturbation)), {}
    learn, test = order[::2], order[1::2][:n_cells]
    for name, learned in (("", True), ("_before", False)):
        fitted = model.fit_new_perturbations(new.counts[learn], new.perturbation[learn], learned)
        bounds[f"new_elbo{name}"] = fitted.elbo(new.counts[test], new.perturbation[test])
        bounds[f"new_iwelbo{name}"] = fitted.iwelbo(new.counts[test], new.perturbation[test], n_samples)
    return bounds


def _simulated(kind, params, settings):
    sha256 = fingerprint_parameters(settings["configuration"])
    return Record(f"mechanism-shift {kind}", "simulated_screen", sha256, [params], None, settings | {"version": 1})


def run_method(configuration, name, methods, results, fresh=False, seeds=SEEDS, **recipe):
    """Record of ``scores`` of a method on screens of one configuration, a row for each seed.

    As of `score`, with `held_out_bounds` of networks. Of the staged method also what figures need of the first seed.
    """
    method, sizes = methods[name], CONFIGURATIONS[configuration]
    settings = {"configuration": sizes, "seeds": list(seeds), "held_out": HELD_OUT}
    wanted = _simulated("methods", {"method": name}, settings)

    def compute():
        rows, shown = [], {}
        for seed in seeds:
            known, new = split_screen(simulate_perturbations(**sizes, random_state=seed))
            row, (model, *found) = score(method, known, sizes["n_latents"], seed, **recipe)
            if method.kind == "ours" and methods is METHODS and not shown:
                shown = _shown(known, *found)
            if hasattr(model, "fit_new_perturbations"):
                row |= held_out_bounds(model, new, seed)
            rows.append({"seed": seed} | row)
        return {"scores": pd.DataFrame(rows)} | shown

    return load_or_compute(wanted, compute, results, fresh, estimator=method.make(sizes["n_latents"], 0, **recipe))


def _shown(screen, latents, graph, edges):
    """Some cells and the shift graph, in the order and with the signs of the truth."""
    cells = np.random.default_rng(0).permutation(len(latents))[: SHOWN_CELLS["simulated"]]
    correlation, of_true, of_found = match_latents(screen.truth["latents"], latents)
    signs, true = np.sign(correlation), screen.truth["shifts"].loc[edges.index]
    names = true.columns[of_true]
    return {
        "latents": (latents[cells][:, of_found] * signs).astype(np.float32),
        "true_latents": screen.truth["latents"][cells][:, of_true].astype(np.float32),
        "effects": wide(graph, "effect").iloc[:, of_found].set_axis(names, axis=1) * signs,
        "edges": edges.iloc[:, of_found].set_axis(names, axis=1),
        "true_shifts": true.iloc[:, of_true],
    }


def run_varied(quantity, values, results, fresh=False, seeds=SEEDS, **recipe):
    """Record of ``scores`` as one quantity of the small configuration varies; no setting of the methods changes."""
    sizes, methods = CONFIGURATIONS["small"], ["linear", "staged"]
    settings = {"configuration": sizes, "seeds": list(seeds), "values": list(values), "methods": methods}
    wanted = _simulated("varied", {"of": quantity}, settings | {"recipe": recipe})

    def compute():
        rows = []
        for value, seed in product(values, seeds):
            changed = sizes | {quantity: value}
            n_latent = changed.pop("latents_fitted", sizes["n_latents"])
            known, _ = split_screen(simulate_perturbations(**changed, random_state=seed))
            for name in methods:
                row, _ = score(METHODS[name], known, n_latent, seed, **recipe)
                rows.append({"method": name, "value": value, "seed": seed} | row)
        return {"scores": pd.DataFrame(rows)}

    return load_or_compute(wanted, compute, results, fresh, estimator=METHODS["staged"].make(15, 0, **recipe))


def fit_model(screen, n_latent, seed, recipe=None):
    """Staged model of a screen."""
    model = SparseShiftVAE(n_latent, recipe=recipe, random_state=seed)
    return model.fit(screen.counts, screen.perturbation, screen.control)


def elbo_aside(model, screen):
    """Mean bound of the cells that a model set aside."""
    return model.elbo(screen.counts[model.validation_], screen.perturbation[model.validation_])


def fits(screen, fit, seeds):
    """Shift graphs (``graph``, with column `seed`) and held-out ``elbo`` by seed.

    Of the first seed also ``latents`` of some cells and their ``perturbation``.
    """
    models = [fit(screen, N_LATENT, seed) for seed in seeds]
    graphs = [model.shift_graph_.assign(seed=seed) for model, seed in zip(models, seeds, strict=True)]
    cells = np.random.default_rng(0).permutation(len(screen.perturbation))[: SHOWN_CELLS["real"]]
    return {
        "graph": pd.concat(graphs, ignore_index=True),
        "elbo": np.array([elbo_aside(model, screen) for model in models]),
        "latents": models[0].transform(screen.counts[cells]).astype(np.float32),
        "perturbation": screen.perturbation[cells],
    }


def permuted(screen, fit, seeds):
    """Number of ``edges`` by seed where perturbations are given to cells at random, and absolute effects, ``null``."""
    graphs = []
    for seed in seeds:
        labels = np.random.default_rng(seed).permutation(screen.perturbation)  # the control's among them
        graphs.append(fit(replace(screen, perturbation=labels), N_LATENT, seed).shift_graph_)
    edges = pd.DataFrame({"seed": seeds, "edges": [int((graph["probability"] > EVEN).sum()) for graph in graphs]})
    return {"edges": edges, "null": pd.concat(graphs)["effect"].abs().to_numpy(np.float32)}


def by_size(screen, fit, sizes):
    """Held-out ``elbo``, latents that are ``moved`` and ``edges`` by number of latents, in ``sizes``."""
    rows = []
    for size in sizes:
        model = fit(screen, size, 0)
        edges = edges_of(model.shift_graph_)
        rows.append((size, elbo_aside(model, screen), edges.any().sum(), edges.to_numpy().sum()))
    return {"sizes": pd.DataFrame(rows, columns=["n_latent", "elbo", "moved", "edges"])}


def bootstrap(screen, seed):
    """Positions of cells drawn with replacement within each perturbation."""
    rng = np.random.default_rng(seed)
    groups = (np.flatnonzero(screen.perturbation == name) for name in np.unique(screen.perturbation))
    return np.concatenate([rng.choice(cells, len(cells)) for cells in groups])


def stability(screen, fit, n_bootstraps):
    """Edges of the fit to all cells, and others, with the share of bootstraps with them, in ``stability``."""
    reference = fit(screen, N_LATENT, 0)
    latents, found = reference.transform(screen.counts), edges_of(reference.shift_graph_)
    shares = np.zeros(found.shape)
    for i in range(n_bootstraps):
        cells = bootstrap(screen, i)
        drawn = replace(screen, counts=screen.counts[cells], perturbation=screen.perturbation[cells])
        model = fit(drawn, N_LATENT, i)
        _, of_reference, of_model = match_latents(latents, model.transform(screen.counts))
        shares[:, of_reference] += edges_of(model.shift_graph_).to_numpy()[:, of_model] / n_bootstraps
    # The graph has its rows in the same order.
    table = reference.shift_graph_[["perturbation", "latent", "effect"]]
    table = table.assign(found=found.to_numpy().ravel(), share=shares.ravel())
    return {"stability": table[table["found"] | (table["share"] > 0)].reset_index(drop=True)}
