"""Methods on simulated screens, where the truth is known: accuracy, its limits, and held-out perturbations."""

import time

import numpy as np
import pandas as pd

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.screens import as_screen
from sbnn.data.simulate_perturbations import simulate_perturbations
from sbnn.determinism import reproducible
from sbnn.evaluation.runs import load_or_compute
from sbnn.mechanism_shift.graph import wide
from sbnn.mechanism_shift.matching import edge_scores, linear_r2, match_latents, mean_correlation
from sbnn.mechanism_shift.methods import ABLATION, METHODS, read_out
from sbnn.results import Record

SEEDS = (0, 1, 2)
HELD_OUT = 20  # perturbations, of a hundred
SHOWN_CELLS = 500

#: Sizes of simulated screens: those of the published script, a small one, and the defaults of the published library.
CONFIGURATIONS = {
    "small": {"n_cells_per": 50, "n_perturbations": 100, "n_latents": 15, "n_genes": 100},
    "script": {"n_cells_per": 250, "n_perturbations": 100, "n_latents": 15, "n_genes": 100},
    "library": {"n_cells_per": 500, "n_perturbations": 100, "n_latents": 30, "n_genes": 100},
}

#: What is varied, one at a time, from the small configuration: for each its values, and which is the usual one.
VARIED = {
    "shift": ((2.0, 3.0, 5.0, 8.0), 5.0),
    "density": ((0.05, 0.1, 0.2, 0.3), None),
    "n_cells_per": ((10, 20, 50, 100), 50),
    "latents_fitted": ((8, 15, 30), 15),
}


def split_screen(screen, n_held_out=HELD_OUT):
    """Screens of the first perturbations and of the last ones, which are held out."""
    targets = as_screen(screen).targets
    parts = targets[:-n_held_out], targets[-n_held_out:]
    return tuple(as_screen(screen[screen.obs["perturbation"].isin(part)]) for part in parts)


def score(method, screen, n_latent, seed, **recipe):
    """Fit a method to a screen with known truth, and compare.

    Parameters
    ----------
    method : Method
    screen : Screen
    n_latent : int
        Of the model.
    seed : int
    **recipe
        Changes of the training.

    Returns
    -------
    row : dict of str to float
        ``mcc`` and ``mcc_rank`` (Pearson, Spearman), ``least`` of the matched correlations, ``r2``, ``precision``,
        ``recall``, ``f1``, ``elbo`` of the cells set aside in training where there are any, CPU ``seconds``.
    parts : tuple
        The model, its latents, shift graph and edges.
    """
    with reproducible():  # correlations and projections too
        started = time.process_time()
        model = method.make(n_latent, seed, **recipe).fit(screen.counts, screen.perturbation, screen.control)
        latents, graph, edges = read_out(method, model, screen.counts, screen.perturbation, screen.control)
        seconds, true = time.process_time() - started, screen.truth["latents"]
        correlation, of_true, of_found = match_latents(true, latents)
        row = {
            "mcc": float(np.abs(correlation).sum() / true.shape[1]),
            "mcc_rank": mean_correlation(true, latents, rank=True),
            "least": float(np.abs(correlation).min()) if len(correlation) == true.shape[1] else 0.0,
            "r2": linear_r2(true, latents),
        }
        row |= edge_scores(screen.truth["shifts"], edges, of_true, of_found)
        if hasattr(model, "elbo") and len(model.validation_):
            aside = model.validation_
            row["elbo"] = model.elbo(screen.counts[aside], screen.perturbation[aside])
        return row | {"seconds": seconds}, (model, latents, graph, edges)


def run_method(configuration, name, results=None, fresh=False, seeds=SEEDS, ablation=False, **recipe):
    """Score a method on screens of one configuration, and with held-out perturbations.

    Parameters
    ----------
    configuration : str
        A key of `CONFIGURATIONS`.
    name : str
        A key of `METHODS`, or of `ABLATION`.
    results : path-like, optional
    fresh : bool
    seeds : sequence of int
        Of the simulation and of the fit.
    ablation : bool
    **recipe
        Changes of the training.

    Returns
    -------
    Record
        ``scores``: a row for each seed, as of `score`, and for networks ``new_elbo``, ``new_iwelbo`` (after learning
        held-out perturbations from half of their cells, on the other half) and ``new_elbo_before``,
        ``new_iwelbo_before`` (as if these were no perturbations). Of the staged method also, for the first seed and
        matched to the truth, ``latents`` and ``true_latents`` of some cells, ``effects``, ``edges`` and
        ``true_shifts``.
    """
    method, sizes = (ABLATION if ablation else METHODS)[name], CONFIGURATIONS[configuration]
    wanted = Record("mechanism-shift methods", "simulated_screen", fingerprint_parameters(sizes), [{"method": name}])
    wanted.settings = {"configuration": sizes, "seeds": list(seeds), "held_out": HELD_OUT, "version": 1}
    example = method.make(sizes["n_latents"], 0, **recipe)

    def compute():
        rows, shown = [], {}
        for seed in seeds:
            known, new = split_screen(simulate_perturbations(**sizes, random_state=seed))
            row, (model, *found) = score(method, known, sizes["n_latents"], seed, **recipe)
            if method.kind == "ours" and not ablation and not shown:
                shown = _shown(known, *found)
            if hasattr(model, "fit_new_perturbations"):
                row |= held_out_bounds(model, new, seed)
            rows.append({"seed": seed} | row)
        return {"scores": pd.DataFrame(rows)} | shown

    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def _shown(screen, latents, graph, edges):
    """What figures need of one fit: some cells and the shift graph, in the order and with the signs of the truth."""
    cells = np.random.default_rng(0).permutation(len(screen.perturbation))[:SHOWN_CELLS]
    correlation, of_true, of_found = match_latents(screen.truth["latents"], latents)
    signs = np.sign(correlation)
    effects = wide(graph, "effect").to_numpy()[:, of_found] * signs
    true = screen.truth["shifts"].loc[edges.index]
    return {
        "latents": (latents[cells][:, of_found] * signs).astype(np.float32),
        "true_latents": screen.truth["latents"][cells][:, of_true].astype(np.float32),
        "effects": pd.DataFrame(effects, edges.index, true.columns[of_true]),
        "edges": pd.DataFrame(edges.to_numpy()[:, of_found], edges.index, true.columns[of_true]),
        "true_shifts": true.iloc[:, of_true],
    }


def held_out_bounds(model, new, seed, n_samples=100, n_cells=500):
    """Bounds on the likelihood of cells of perturbations that a model was not trained on.

    Parameters
    ----------
    model : SparseShiftVAE
    new : Screen
    seed : int
        Cells are halved at random: one half for the shifts, of the other one up to `n_cells` are scored.
    n_samples : int
        Of the importance-weighted bound.
    n_cells : int

    Returns
    -------
    dict of str to float
        Means over cells: ``new_elbo``, ``new_iwelbo``, and both before the shifts are learned.
    """
    order = np.random.default_rng(seed).permutation(len(new.perturbation))
    learn, test = order[::2], order[1::2][:n_cells]
    cells, bounds = (new.counts[test], new.perturbation[test]), {}
    for name, learned in (("", True), ("_before", False)):
        fitted = model.fit_new_perturbations(new.counts[learn], new.perturbation[learn], learned)
        bounds[f"new_elbo{name}"] = fitted.elbo(*cells)
        bounds[f"new_iwelbo{name}"] = fitted.iwelbo(*cells, n_samples)
    return bounds


def run_varied(quantity, results=None, fresh=False, seeds=SEEDS, values=None, methods=("linear", "staged"), **recipe):
    """Score methods as one quantity of the small configuration varies; no setting of the methods changes.

    Parameters
    ----------
    quantity : str
        A key of `VARIED`.
    results, fresh, seeds, recipe
        As for `run_method`.
    values : sequence, optional
    methods : sequence of str

    Returns
    -------
    Record
        ``scores``: a row for each method, value (column `value`) and seed.
    """
    values = VARIED[quantity][0] if values is None else values
    sizes = CONFIGURATIONS["small"]
    wanted = Record("mechanism-shift varied", "simulated_screen", fingerprint_parameters(sizes), [{"of": quantity}])
    wanted.settings = {"configuration": sizes, "seeds": list(seeds), "values": list(values), "methods": list(methods)}
    wanted.settings |= {"recipe": recipe, "version": 1}

    def compute():
        rows = []
        for value in values:
            changed = sizes if quantity == "latents_fitted" else sizes | {quantity: value}
            for seed in seeds:
                known, _ = split_screen(simulate_perturbations(**changed, random_state=seed))
                n_latent = value if quantity == "latents_fitted" else sizes["n_latents"]
                for name in methods:
                    row, _ = score(METHODS[name], known, n_latent, seed, **recipe)
                    rows.append({"method": name, "value": value, "seed": seed} | row)
        return {"scores": pd.DataFrame(rows)}

    return load_or_compute(wanted, compute, results, fresh, estimator=METHODS["staged"].make(15, 0, **recipe))
