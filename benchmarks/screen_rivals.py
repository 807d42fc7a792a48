"""Perturbation screens: methods on larger simulated screens, and rivals on held-out cells.

    python benchmarks/screen_rivals.py [--only 'script_*,edges_*'] [--fresh]

- `script_*`: recovery of latents and edges on simulated screens of the sizes of the published
  script; those of the small ones are in notebook 06.
- `rivals_*`: likelihood of held-out cells of real and simulated screens, for networks without and
  with effects on genes, and for baselines.
- `edges_*`: targets with an edge in half of the cells.
- `new_small_*`, `new_script_*`, `pathway_*`: the published experiment on held-out perturbations,
  on simulated screens and, from other starts than notebook 06, on the pathway of Papalexi et al.

Measures what is missing, one thread, and keeps it in saved_models; prints tables.
"""

import argparse
from fnmatch import fnmatchcase
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from pages import print_tables
from scipy import sparse
from sklearn.base import clone

from sbnn import load_dataset
from sbnn.determinism import reproducible
from sbnn.evaluation.runs import configure, store_result
from sbnn.mechanism_shift import (
    LinearShift,
    SparseShiftVAE,
    edges_of,
    recovery,
    recovery_of_genes,
    report,
    simulate_perturbations,
    unmix,
    z_score_expression,
)
from sbnn.mechanism_shift.baselines import MeanShares
from sbnn.mechanism_shift.data import as_screen, screen
from sbnn.mechanism_shift.graph import effects_on_genes
from sbnn.mechanism_shift.network import (
    ShiftNetwork,
    iwelbo_of_cells,
    sample_gates,
    sample_latents,
)
from sbnn.mechanism_shift.training import OneCycleTraining
from sbnn.results import Record

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
SPLITS, STARTS = (3, 4, 5), (0, 1)  # of a real screen
HELD_OUT = 20  # perturbations of a simulated screen
# held-out cells that are scored, and draws of the latents of each
N_CELLS, N_SAMPLES = 2000, 50
PROBABILITY = 0.1  # of a shift, before training, in SAMS-VAE
# cells of each held-out perturbation that are scored, and published draws of the latents of each
N_NEW_CELLS, N_NEW_SAMPLES = 100, 1000
NEW_STARTS = (1, 2)  # notebook 06 has that of 0
PATHWAY = ["IFNGR1", "IFNGR2", "JAK2", "STAT1"]
CONTROL = "control"
SCRIPT = {"n_cells_per": 250, "n_perturbations": 100, "n_latents": 15, "n_genes": 100}
SMALL = SCRIPT | {"n_cells_per": 50}
SVAE_PLUS = SparseShiftVAE(method="svae+", training="published", strength=10.0)
VAE = SparseShiftVAE(method="vae", training="published")
IVAE = SparseShiftVAE(method="ivae", training="published")
SVAE = SparseShiftVAE(method="svae", training="published")
METHODS = {
    "z": (None, None),
    "pca": (LinearShift(rotation="none"), "largest"),
    "ica": (LinearShift(rotation="ica"), "largest"),
    "linear": (LinearShift(), "unmixed"),
    "vae": (VAE, "largest"),
    "ivae": (IVAE, "largest"),
    "ivae_unmixed": (IVAE, "unmixed"),
    "svae": (SVAE, "probable"),
    "svae+": (SVAE_PLUS, "probable"),
    "svae+_unmixed": (SVAE_PLUS, "unmixed"),
    "default": (SparseShiftVAE(), "probable"),
}
#: Models of the experiment on held-out perturbations, with published epochs of simulated screens.
NEW_METHODS = {"means": MeanShares()}
for _method in ("vae", "ivae", "svae", "svae+"):
    NEW_METHODS[_method] = SparseShiftVAE(method=_method, training="retrained", epochs=300)
NEW_METHODS["default"] = SparseShiftVAE()


def simulated_record(kind, values, model, sizes, seeds):
    """Record of a method on the simulated screens of all seeds."""
    return Record(
        experiment=f"mechanism-shift {kind}",
        dataset="simulated_screen",
        sha256="",
        params=[{}],
        settings={"model": repr(model), "sizes": sizes, "seeds": seeds},
        values=values,
    )


def screen_record(kind, values, adata, params=None, **settings):
    """Record of an experiment on a screen."""
    about = adata.uns["sbnn"]
    return Record(
        experiment=f"mechanism-shift {kind}",
        dataset=about["name"],
        sha256=about["sha256"],
        params=[params or {}],
        settings=settings,
        values=values,
    )


@store_result
def recovery_by_seed(model, edges, sizes, seeds, held_out, *, results=None, overwrite=False):
    """Scores of a method on simulated screens, a row for each seed; see `recovery`."""
    rows = []
    for seed in seeds:
        adata = simulate_perturbations(**sizes, random_state=seed)
        perturbation = adata.obs["perturbation"]
        is_new = perturbation.isin(perturbation.cat.categories[-held_out:])
        if model is None:
            scores = recovery_of_genes(adata[~is_new])
        else:
            seeded = configure(model, {}, seed)
            scores, _ = recovery(seeded, adata[~is_new], edges=edges, new=adata[is_new])
        rows.append({"seed": seed} | scores)
    return simulated_record("methods", {"scores": pd.DataFrame(rows)}, model, sizes, seeds)


def halves(perturbation, seed):
    """Positions of half of the cells of each perturbation, and of the others."""
    rng = np.random.default_rng(seed)
    first, second = [], []
    for name in np.unique(perturbation):
        cells = rng.permutation(np.flatnonzero(perturbation == name))
        first.append(cells[: len(cells) // 2])
        second.append(cells[len(cells) // 2 :])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def simulate_targeted(
    random_state, n_cells=18_000, n_genes=80, n_targets=15, n_modules=4, mean_total=600.0
):
    """A screen of deeply counted genes from a law that is not that of the models.

    Counts are negative binomial, with a dispersion for each gene. Cells differ by their position
    in a cycle, by a gradient along which genes have peaks, and by a state in which some genes are
    expressed more strongly. A third of the targets changes a single gene, a third a module of genes
    and a third both; a tenth of the perturbed cells escapes the perturbation.
    """
    rng = np.random.default_rng(random_state)
    weights = rng.lognormal(0, 0.8, n_targets + 1)
    weights[-1] = weights.max() * 1.5  # the control
    codes = rng.choice(n_targets + 1, n_cells, p=weights / weights.sum())

    angle = rng.uniform(0, 2 * np.pi, n_cells)
    phase, amplitude = rng.uniform(0, 2 * np.pi, n_genes), rng.gamma(1, 0.3, n_genes)
    logs = amplitude * np.cos(angle[:, None] - phase)
    gradient = rng.beta(1.5, 1.5, n_cells)
    peak, height = rng.uniform(-0.3, 1.3, n_genes), rng.gamma(1, 0.6, n_genes)
    logs += height * np.exp(-((gradient[:, None] - peak) ** 2) / 0.1)
    state = np.log1p(np.exp(rng.normal(0, 1.5, n_cells)))
    logs += state[:, None] * np.where(rng.random(n_genes) < 0.3, rng.normal(0, 0.4, n_genes), 0)

    modules = np.where(rng.random((n_modules, n_genes)) < 0.15, rng.normal(0, 1, n_genes), 0)
    effects = np.zeros((n_targets + 1, n_genes))
    for target in range(n_targets):
        if target % 3 != 1:
            effects[target, rng.integers(n_genes)] = -rng.uniform(0.5, 2.5)
        if target % 3 != 0:
            module = modules[rng.integers(n_modules)]
            effects[target] += rng.choice([-1, 1]) * rng.uniform(0.3, 1) * module
    affected = rng.random(n_cells) > 0.1
    logs += affected[:, None] * effects[codes]

    base = rng.normal(0, 1.2, n_genes)
    means = np.exp(base + logs)
    means *= mean_total / means.sum(axis=1).mean()
    means *= rng.lognormal(-0.08, 0.4, (n_cells, 1))  # capture efficiency
    inverse_dispersion = rng.lognormal(1.5, 0.8, n_genes)
    counts = rng.poisson(means * rng.gamma(inverse_dispersion, 1 / inverse_dispersion, means.shape))
    genes = [f"gene_{i}" for i in range(n_genes)]
    names = np.array([*(f"target_{i}" for i in range(n_targets)), CONTROL])
    truth = {"shifts": pd.DataFrame(effects[:-1], names[:-1], genes)}
    return screen(
        sparse.csr_array(counts),
        names[codes],
        CONTROL,
        gene_names=genes,
        name="simulated_screen",
        truth=truth,
    )


def papalexi(seed, n_genes=None):
    """The screen of Papalexi et al., or its genes with most counts."""
    adata = load_dataset("papalexi", verbose=False)
    if n_genes is None:
        return adata
    totals = np.asarray(adata.X.sum(axis=0)).ravel()
    adata = adata[:, np.sort(np.argsort(-totals, kind="stable")[:n_genes])]
    return adata[np.asarray(adata.X.sum(axis=1)).ravel() > 0].copy()


#: Name -> folder, splits, and a function of the split that makes the screen.
SCREENS = {
    "papalexi": ("papalexi", SPLITS, papalexi),
    "papalexi_80": ("papalexi", SPLITS, partial(papalexi, n_genes=80)),
    "targeted": ("simulated_screen", SEEDS, simulate_targeted),
}


class AdditiveShifts(ShiftNetwork):
    """Prior of SAMS-VAE (Bereket and Karaletsos 2023, arXiv 2311.02794) with one perturbation a cell.

    Gates and effects have Bernoulli and normal posteriors, and all cells of a batch the same draw
    of them. Unlike in the article, the encoder sees only the counts, as that of the others.
    """

    def __init__(self, n_genes, n_latents, n_perturbations, n_cells=1):
        super().__init__(n_genes, n_latents, n_perturbations, prior="svae")
        self.n_cells = n_cells
        self.gates.data.zero_()
        self.log_variances = torch.nn.Parameter(torch.full_like(self.gates, -2.0))

    def sample_means(self, codes, generator):
        """Means of the cells under one draw of the gates and effects."""
        noise = torch.randn(self.shifts.shape, generator=generator)
        effects = sample_latents(self.shifts, self.log_variances, noise)
        return (sample_gates(self.gates, generator) * effects)[codes]

    def penalty(self):
        """Divergence of gates and effects from their priors, per cell."""
        posterior = torch.distributions.Bernoulli(logits=self.gates)
        prior = torch.distributions.Bernoulli(torch.tensor(PROBABILITY))
        gates = torch.distributions.kl_divergence(posterior, prior)
        effects = 0.5 * (self.shifts**2 + self.log_variances.exp() - self.log_variances - 1)
        return (gates + posterior.probs * effects).sum() / self.n_cells


def fit_network(name, start, counts, perturbation, control):
    """A trained network with 10 latents, and the positions of its validation cells."""
    if name == "sams":
        names, codes = np.unique(perturbation, return_inverse=True)
        new_network = partial(AdditiveShifts, counts.shape[1], 10, len(names))
        with reproducible(), torch.random.fork_rng(devices=[]):
            training = OneCycleTraining(counts.astype(np.float32), codes, new_network, seed=start)
            training.network.n_cells = len(training.train)
            training.run(None)
        return SimpleNamespace(network_=training.network, validation_=training.validation)
    training = "published" if name == "svae+" else "one-cycle"
    method = "ivae" if name == "ivae" else "svae+"
    model = SparseShiftVAE(10, method, training, random_state=start)
    return model.fit(counts, perturbation, control)


def dense(counts):
    """Counts (CSR) as a Tensor."""
    return torch.from_numpy(counts.toarray().astype(np.float32))


def bounds_of(network, direct, counts, codes):
    """Bound of each cell with the perturbations in `codes` and these effects on genes, in nats."""
    bounds = np.zeros(len(codes))
    table = dense(counts)
    for code in np.unique(codes):
        cells = np.flatnonzero(codes == code)
        with reproducible():
            bounds_of_code = iwelbo_of_cells(
                network,
                table[cells],
                codes=torch.from_numpy(codes[cells]),
                prior_means=network.means(),
                direct=direct,
                n_samples=N_SAMPLES,
            )
        bounds[cells] = bounds_of_code.numpy()
    return bounds


@store_result
def rivals(adata, screen, split, start, *, results=None, overwrite=False):
    """Mean bounds of held-out cells by method, with one split; `screen` is its name in tables."""
    data = as_screen(adata)
    train, test = halves(data.perturbation, split)
    _, codes = np.unique(data.perturbation, return_inverse=True)
    train_counts = data.counts[train]
    scored = np.random.default_rng(split).permutation(test)[:N_CELLS]
    scored_counts = data.counts[scored]
    bounds = {}
    for name, by_perturbation in (("no change", False), ("means", True)):
        means = MeanShares(by_perturbation).fit(train_counts, data.perturbation[train])
        bounds[name] = means.bounds(scored_counts, data.perturbation[scored])
    for name in ("svae+", "ivae", "sams", "default"):
        model = fit_network(
            name,
            start,
            train_counts,
            perturbation=data.perturbation[train],
            control=data.control,
        )
        network = model.network_
        direct, _ = effects_on_genes(
            network,
            dense(train_counts),
            codes=torch.from_numpy(codes[train]),
            train=np.setdiff1d(np.arange(len(train)), model.validation_),
            validation=model.validation_,
        )
        none = torch.zeros_like(direct)
        bounds[name] = bounds_of(network, none, counts=scored_counts, codes=codes[scored])
        bounds[f"{name}, effects"] = bounds_of(
            network, direct, counts=scored_counts, codes=codes[scored]
        )
    likelihoods = pd.DataFrame(bounds).mean().to_frame("given")
    return screen_record(
        "rivals",
        {"likelihoods": likelihoods},
        adata,
        params={"screen": screen},
        split=split,
        start=start,
    )


def bounds_of_new(model, adata, new, n_samples):
    """Bounds of the held-out perturbations `new`, before and after their shifts are learned.

    A row for each perturbation and step, with means over cells that are not among those from which
    the shifts are learned; after "all cells" they are, as published.
    """
    data = as_screen(adata)
    counts = data.counts
    names = data.perturbation
    held_out = np.isin(names, new)
    fitted = clone(model).fit(counts[~held_out], names[~held_out], data.control)
    cells = np.random.default_rng(0).permutation(np.flatnonzero(held_out))
    half = cells[::2]
    others = cells[1::2]
    rows = []
    for step, learned in {"before": half, "after": half, "after, all cells": cells}.items():
        shifted = fitted.fit_new_perturbations(
            counts[learned], names[learned], learn_shifts=step != "before"
        )
        for name in new:
            scored = others[names[others] == name][:N_NEW_CELLS]
            row = {"perturbation": name, "step": step}
            row["elbo"] = shifted.elbo(counts[scored], names[scored], n_samples)
            row["iwelbo"] = shifted.iwelbo(counts[scored], names[scored], n_samples)
            rows.append(row)
    return pd.DataFrame(rows)


@store_result
def new_perturbations(model, sizes, seeds, held_out, draws, *, results=None, overwrite=False):
    """Bounds of held-out perturbations of the simulated screens of all seeds."""
    tables = []
    for seed in seeds:
        adata = simulate_perturbations(**sizes, random_state=seed)
        new = adata.obs["perturbation"].cat.categories[-held_out:]
        bounds = bounds_of_new(configure(model, {}, seed), adata, list(new), draws)
        tables.append(bounds.assign(seed=seed))
    bounds = pd.concat(tables, ignore_index=True)
    return simulated_record("new perturbations", {"bounds": bounds}, model, sizes, seeds)


@store_result
def new_pathway(adata, model, targets, starts, draws, *, results=None, overwrite=False):
    """Bounds of targets that are held out together, from several starts."""
    tables = []
    for start in starts:
        bounds = bounds_of_new(configure(model, {}, start), adata, targets, draws)
        tables.append(bounds.assign(seed=start))
    bounds = pd.concat(tables, ignore_index=True)
    return screen_record(
        "new perturbations", {"bounds": bounds}, adata, model=repr(model), seeds=starts
    )


def edges_in(screen, seed):
    """Edges by method (DataFrames of bool, perturbations by genes or latents)."""
    linear = LinearShift(10, random_state=0)
    linear.fit(screen.counts, screen.perturbation, screen.control)
    latents = linear.transform(screen.counts)
    model = SparseShiftVAE(10, random_state=seed)
    model.fit(screen.counts, screen.perturbation, screen.control)
    to_genes = model.gene_effects_.pivot(index="perturbation", columns="gene", values="edge")
    to_latents = edges_of(model.shift_graph_)
    _, changed_genes = z_score_expression(screen)
    return {
        "z": changed_genes,
        "linear": unmix(latents, screen.perturbation, screen.control).edges,
        "default": to_latents,
        "default, effects": pd.concat([to_latents, to_genes], axis=1),
    }


@store_result
def edges_of_half(adata, screen, split, *, results=None, overwrite=False):
    """Edges in half of the cells by method: of targets that change a gene in all cells, and not."""
    data = as_screen(adata)
    _, changed = z_score_expression(data)
    changes = changed.any(axis=1)
    train, _ = halves(data.perturbation, split)
    half = as_screen(adata[train])
    rows = {}
    for method, edges in edges_in(half, split).items():
        has_edge = edges.any(axis=1).reindex(changes.index)
        rows[method] = {
            "edges": edges.to_numpy().sum(),
            "targets": (has_edge & changes).sum(),
            "other targets": (has_edge & ~changes).sum(),
        }
    edges = pd.DataFrame.from_dict(rows, orient="index", dtype=float)
    return screen_record("edges", {"edges": edges}, adata, params={"screen": screen}, split=split)


def on_screen(function, make, split, *arguments, **options):
    """Call a function with the screen of a split, which is read only now."""
    return function(make(split), *arguments, **options)


def plan_records():
    """Dict of the name of a record to its folder and a function of `results` and `overwrite`."""
    seeds = list(SEEDS)
    records = {}
    for name, (model, edges) in METHODS.items():
        run = partial(recovery_by_seed, model, edges, SCRIPT, seeds, HELD_OUT)
        records[f"script_{name}"] = "simulated_screen", run
    for configuration, sizes in {"small": SMALL, "script": SCRIPT}.items():
        for name, model in NEW_METHODS.items():
            run = partial(new_perturbations, model, sizes, seeds, HELD_OUT, N_NEW_SAMPLES)
            records[f"new_{configuration}_{name}"] = "simulated_screen", run
    for name, model in NEW_METHODS.items():
        if name != "means":
            of_screen = clone(model).set_params(n_latent=10)
            if name != "default":
                of_screen.set_params(epochs=50)  # published on a real screen
            arguments = (of_screen, PATHWAY, list(NEW_STARTS), N_SAMPLES)
            run = partial(on_screen, new_pathway, papalexi, None, *arguments)
            records[f"pathway_{name}"] = "papalexi", run
    for name, (folder, splits, make) in SCREENS.items():
        for split, start in product(splits, STARTS):
            run = partial(on_screen, rivals, make, split, name, split, start)
            records[f"rivals_{name}_{split}_{start}"] = folder, run
        for split in splits if name != "papalexi_80" else ():
            run = partial(on_screen, edges_of_half, make, split, name, split)
            records[f"edges_{name}_{split}"] = folder, run
    return records


def measure(saved_models, only="*", fresh=False):
    """Compute or load the planned records; dict of tables by title."""
    records = {}
    for name, (folder, run) in plan_records().items():
        if any(fnmatchcase(name, pattern) for pattern in only.split(",")):
            path = Path(saved_models, folder, f"shift_{name}.pickle.xz")
            records[name] = run(results=path, overwrite=fresh)
    return report.screens_tables(records)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="*", help="names of records")
    parser.add_argument("--saved-models", default=ROOT / "saved_models", type=Path)
    parser.add_argument("--fresh", action="store_true")
    print_tables(measure(**vars(parser.parse_args(arguments))))


if __name__ == "__main__":
    main()
