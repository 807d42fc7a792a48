"""What can be trusted of a model of a screen without known truth: number of latents, stability, false edges."""

import numpy as np
import pandas as pd

from sbnn.evaluation.runs import load_or_compute
from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.mechanism_shift.matching import match_latents
from sbnn.mechanism_shift.model import SparseShiftVAE
from sbnn.results import Record

SEEDS = (0, 1, 2)
N_LATENT = 10
SIZES = (2, 5, 10, 15, 20)  # numbers of latents tried
N_BOOTSTRAPS = 5
SHOWN_CELLS = 2000


def fit_model(screen, n_latent, seed, recipe=None):
    """Staged model of a screen."""
    model = SparseShiftVAE(n_latent, recipe=recipe, random_state=seed)
    return model.fit(screen.counts, screen.perturbation, screen.control)


def permuted(screen, seed):
    """Perturbations of the cells in random order, the control's among them: labels that mean nothing."""
    return np.random.default_rng(seed).permutation(screen.perturbation)


def bootstrap(screen, seed):
    """Positions of cells drawn with replacement within each perturbation."""
    rng = np.random.default_rng(seed)
    groups = pd.Series(np.arange(len(screen.perturbation))).groupby(screen.perturbation).indices
    return np.concatenate([rng.choice(groups[name], len(groups[name])) for name in sorted(groups)])


def _question(kind, screen, seeds, recipe, **settings):
    wanted = Record(kind, screen.name, screen.sha256, [{}], seeds[0])
    wanted.settings = {"seeds": list(seeds), "version": 1} | settings
    return wanted, SparseShiftVAE(N_LATENT, recipe=recipe, random_state=seeds[0])


def run_fits(screen, results=None, fresh=False, seeds=SEEDS, recipe=None):
    """Fit the staged model with several seeds.

    Parameters
    ----------
    screen : Screen
    results : path-like, optional
    fresh : bool
    seeds : sequence of int
    recipe : Recipe, optional

    Returns
    -------
    Record
        ``graph``: shift graphs of all seeds (column `seed`). Of the first seed: ``latents`` of up to 2000 cells, shape
        (b, d), and their ``perturbation``; ``unseparated``, ``unmoved``. ``elbo`` of the cells set aside, by seed.
    """
    wanted, example = _question("mechanism-shift fits", screen, seeds, recipe, n_latent=N_LATENT)

    def compute():
        graphs, elbo, first = [], [], {}
        for seed in seeds:
            model = fit_model(screen, N_LATENT, seed, recipe)
            graphs.append(model.shift_graph_.assign(seed=seed))
            aside = model.validation_
            elbo.append(model.elbo(screen.counts[aside], screen.perturbation[aside]))
            if not first:
                cells = np.random.default_rng(0).permutation(len(screen.perturbation))[:SHOWN_CELLS]
                first = {
                    "latents": model.transform(screen.counts[cells]).astype(np.float32),
                    "perturbation": screen.perturbation[cells],
                    "unseparated": [list(pair) for pair in model.unmixing_.unseparated],
                    "unmoved": list(model.unmixing_.unmoved),
                }
        return {"graph": pd.concat(graphs, ignore_index=True), "elbo": np.array(elbo), **first}

    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def run_permuted(screen, results=None, fresh=False, seeds=SEEDS, recipe=None):
    """Fit the staged model to permuted labels: edges that it finds there are false.

    Returns
    -------
    Record
        ``edges``: a row for each seed, with the number of edges under permuted labels.
        ``null``: absolute effects under permuted labels, of all seeds.
    """
    wanted, example = _question("mechanism-shift permuted", screen, seeds, recipe, n_latent=N_LATENT)

    def compute():
        rows, null = [], []
        for seed in seeds:
            labels = permuted(screen, seed)
            model = SparseShiftVAE(N_LATENT, recipe=recipe, random_state=seed)
            graph = model.fit(screen.counts, labels, screen.control).shift_graph_
            rows.append({"seed": seed, "edges": int(edges_of(graph).to_numpy().sum())})
            null.append(graph["effect"].abs().to_numpy())
        return {"edges": pd.DataFrame(rows), "null": np.concatenate(null).astype(np.float32)}

    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def run_sizes(screen, results=None, fresh=False, sizes=SIZES, seed=0, recipe=None):
    """Held-out likelihood against the number of latents.

    Returns
    -------
    Record
        ``sizes``: a row for each number: ``n_latent``, ``elbo`` of the cells set aside, ``moved`` (latents that some
        perturbation moves) and ``edges``.
    """
    wanted, example = _question("mechanism-shift sizes", screen, (seed,), recipe, sizes=list(sizes))

    def compute():
        rows = []
        for size in sizes:
            model = fit_model(screen, size, seed, recipe)
            aside, edges = model.validation_, edges_of(model.shift_graph_).to_numpy()
            elbo = model.elbo(screen.counts[aside], screen.perturbation[aside])
            rows.append({"n_latent": size, "elbo": elbo, "moved": int(edges.any(0).sum()), "edges": int(edges.sum())})
        return {"sizes": pd.DataFrame(rows)}

    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def run_bootstraps(screen, results=None, fresh=False, n_bootstraps=N_BOOTSTRAPS, recipe=None):
    """How often an edge comes back in fits to cells drawn with replacement.

    Returns
    -------
    Record
        ``stability``: the edges of the fit to all cells, and any others found, with the share of the bootstraps that
        have them (columns `perturbation`, `latent`, `effect`, `found`, `share`).
    """
    wanted, example = _question("mechanism-shift bootstraps", screen, (0,), recipe, n_bootstraps=n_bootstraps)

    def compute():
        reference = fit_model(screen, N_LATENT, 0, recipe)
        latents, found = reference.transform(screen.counts), edges_of(reference.shift_graph_)
        shares = np.zeros(found.shape)
        for i in range(n_bootstraps):
            drawn = bootstrap(screen, i)
            model = SparseShiftVAE(N_LATENT, recipe=recipe, random_state=i)
            model.fit(screen.counts[drawn], screen.perturbation[drawn], screen.control)
            _, of_reference, of_model = match_latents(latents, model.transform(screen.counts))
            shares[:, of_reference] += edges_of(model.shift_graph_).to_numpy()[:, of_model] / n_bootstraps
        effects = wide(reference.shift_graph_, "effect").to_numpy()
        rows = [
            {
                "perturbation": found.index[i], "latent": found.columns[j], "effect": effects[i, j],
                "found": bool(found.iloc[i, j]), "share": shares[i, j],
            }
            for i, j in np.argwhere(found.to_numpy() | (shares > 0))
        ]  # fmt: skip
        return {"stability": pd.DataFrame(rows, columns=["perturbation", "latent", "effect", "found", "share"])}

    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def false_discovery_rate(graph, null):
    """Share of the edges that permuted labels would give too, at the size of the smallest edge.

    Parameters
    ----------
    graph : DataFrame
        Shift graph of one fit.
    null : ndarray
        Absolute effects of fits to permuted labels.

    Returns
    -------
    float
        At most 1; NaN without edges.
    """
    edges = edges_of(graph).to_numpy()
    if not edges.any():
        return float("nan")
    least = np.abs(wide(graph, "effect").to_numpy()[edges]).min()
    # As many false effects are expected of as many pairs.
    return float(min((null >= least).mean() * edges.size / edges.sum(), 1.0))


def nearest_others(graph, group):
    """Whether perturbations of a group are nearer to each other than to any other one, by their effects.

    Parameters
    ----------
    graph : DataFrame
        Shift graph of one fit.
    group : sequence of str

    Returns
    -------
    within, beyond : float
        Largest distance within the group, and smallest one from it to another perturbation.
    """
    effects = wide(graph, "effect")
    inside, outside = effects.loc[list(group)].to_numpy(), effects.drop(index=list(group)).to_numpy()
    within = np.linalg.norm(inside[:, None] - inside[None], axis=2).max()
    return float(within), float(np.linalg.norm(inside[:, None] - outside[None], axis=2).min())
