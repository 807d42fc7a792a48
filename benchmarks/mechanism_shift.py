"""Perturbation screens: larger simulated screens, the way from the published recipe to ours, and
memory; prints tables.

    python benchmarks/mechanism_shift.py [--only 'script_*,ablation_*'] [--fresh] [--fast]
    python benchmarks/mechanism_shift.py --tune    K of the published penalty, on other seeds
    python benchmarks/mechanism_shift.py --scvi    scVI, then unmixed; needs scvi-tools
    python benchmarks/mechanism_shift.py --bound   regressions that are given the true latents
    python benchmarks/mechanism_shift.py --genes   recipes for many genes
    python benchmarks/mechanism_shift.py --memory  100,000 cells x 2,000 genes

A real screen, half of its cells held out: real_screen.py.

Measures what is missing, one thread, and keeps it in saved_models; `--fresh` measures all anew.
Small screens, and a real one, are in notebook 05.
"""

import argparse
import resource
import time
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pages import print_tables
from real_screen import most_counted
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sbnn import load_dataset
from sbnn.data.screens import as_screen
from sbnn.determinism import reproducible
from sbnn.mechanism_shift import (
    MANY_GENES,
    PUBLISHED,
    Recipe,
    SparseShiftVAE,
    recovery,
    report,
    screen,
    simulate_perturbations,
    unmix,
)
from sbnn.mechanism_shift.accuracy import edge_scores, match_latents, mean_correlation
from sbnn.mechanism_shift.graph import edges_of
from sbnn.mechanism_shift.linear import LinearShift
from sbnn.mechanism_shift.records import compute_once
from sbnn.results import results_folder

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
TUNING_SEEDS = (100, 101)
HELD_OUT = 20  # perturbations, of a hundred
STRENGTHS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)
#: Numbers of perturbations and of latents, and seeds of screens with many genes.
MANY_SCREENS = ((100, 15, 100), (20, 15, 101), (20, 5, 102))
FURTHER_SCREENS = ((20, 5, 110), (20, 5, 111), (20, 5, 112), (50, 10, 113))
MANY_DEFAULT = "**also batches of 64, sampled dispersions (`MANY_GENES`)**"
#: Recipes of screens with many genes.
MANY_RECIPES = {
    "`Recipe()`: 400 units, batches of 128": Recipe(),
    "15 epochs, warm-up 5": Recipe(epochs=15, least_updates=0, updates_per_pair=0, warm_up=5),
    "64 units at the genes": Recipe(gene_units=64),
    MANY_DEFAULT: MANY_GENES,
    "also 200 other units": replace(MANY_GENES, hidden=200),
    "also 2,000 updates, warm-up 4": replace(
        MANY_GENES, hidden=200, least_updates=2000, updates_per_pair=0, warm_up=4
    ),
}
FAST = {"epochs": 4, "least_updates": 0, "updates_per_pair": 0}
#: Sizes of simulated screens: a small one, those of the published script, and the defaults of the
#: published library.
CONFIGURATIONS = {
    "small": {"n_cells_per": 50, "n_perturbations": 100, "n_latents": 15, "n_genes": 100},
    "script": {"n_cells_per": 250, "n_perturbations": 100, "n_latents": 15, "n_genes": 100},
    "library": {"n_cells_per": 500, "n_perturbations": 100, "n_latents": 30, "n_genes": 100},
}
# the best K of `STRENGTHS`
SVAE_PLUS = SparseShiftVAE(method="svae+", strength=10.0, recipe=PUBLISHED)
IVAE = SparseShiftVAE(method="ivae", recipe=PUBLISHED)
METHODS = {
    "pca": (LinearShift(rotation="none"), "largest"),
    "ica": (LinearShift(rotation="ica"), "largest"),
    "linear": (LinearShift(), "unmixed"),
    "ivae": (IVAE, "largest"),
    "ivae_unmixed": (IVAE, "unmixed"),
    "svae+": (SVAE_PLUS, "probable"),
    "svae+_unmixed": (SVAE_PLUS, "unmixed"),
    "staged": (SparseShiftVAE(recipe=Recipe()), "probable"),
}


def _staged(base=None, **changes):
    return SparseShiftVAE(recipe=replace(base or Recipe(), **changes)), "probable"


#: What each change over the published recipe gives: one more change from row to row.
ABLATION = {
    "svae+": METHODS["svae+"],
    "mask open (iVAE)": METHODS["ivae"],
    "+ unmixed afterwards": METHODS["ivae_unmixed"],
    "+ means of the encoder, then masked": _staged(
        PUBLISHED, patience=None, warm_up=10, epochs=100
    ),
    "+ learning rate, epsilon": _staged(
        hidden=128,
        batch_norm=True,
        dropout=0.1,
        standardize=False,
        dispersion=0.0,
        weight_precision=0.0,
    ),
    "+ no dropout, no batch norm": _staged(
        hidden=128, standardize=False, dispersion=0.0, weight_precision=0.0
    ),
    "+ standardized input, dispersion": _staged(hidden=128, weight_precision=0.0),
    "+ 400 units": _staged(weight_precision=0.0),
    "+ normal prior of weights (staged)": METHODS["staged"],
    "staged, not trained on after unmixing": _staged(first_share=1.0, unmixings=1),
    "staged, unmixed once": _staged(unmixings=1),
}
#: Name of the record -> configuration, name of the method, the method.
PLANNED = {f"script_{name}": ("script", name, how) for name, how in METHODS.items()}
PLANNED |= {f"library_{name}": ("library", name, METHODS[name]) for name in ("linear", "staged")}
PLANNED |= {f"ablation_{i}": ("small", name, how) for i, (name, how) in enumerate(ABLATION.items())}


def simulated(sizes, seed):
    """A screen of the first perturbations, and one of the others."""
    adata = simulate_perturbations(**sizes, random_state=seed)
    new = adata.obs["perturbation"].isin(adata.obs["perturbation"].cat.categories[-HELD_OUT:])
    return adata[~new], adata[new]


def seeded(model, n_latent, seed, **recipe):
    """A model with so many latents, and with changes of the recipe if it is a network."""
    model = clone(model).set_params(n_latent=n_latent, random_state=seed)
    return (
        model.set_params(recipe=replace(model.recipe, **recipe))
        if hasattr(model, "recipe")
        else model
    )


def by_seed(sizes, model, edges, shown, seeds, recipe):
    """Scores of a method on screens of one configuration, a row for each seed."""
    rows, first = [], {}
    for seed in seeds:
        known, new = simulated(sizes, seed)
        scores, found = recovery(
            seeded(model, sizes["n_latents"], seed, **recipe), known, edges, new
        )
        rows.append({"seed": seed} | scores)
        first = first or found
    return {"scores": pd.DataFrame(rows)} | (first if shown else {})


def measure(saved_models, only=None, fast=False, fresh=False):
    """Compute or load the planned records; dict of tables by title."""
    folder, records = results_folder(saved_models, "simulated_screen", fast), {}
    seeds, recipe = ((0,), FAST) if fast else (SEEDS, {})
    for record, (configuration, name, (model, edges)) in PLANNED.items():
        if any(fnmatchcase(record, pattern) for pattern in only or ["*"]):
            sizes, shown = CONFIGURATIONS[configuration], record.endswith("_staged")
            records[record] = compute_once(
                "methods",
                sizes,
                seeded(model, sizes["n_latents"], 0, **recipe),
                partial(by_seed, sizes, model, edges, shown, seeds, recipe),
                params={"method": name},
                results=folder / f"shift_{record}.pickle",
                overwrite=fresh,
                seeds=list(seeds),
                held_out=HELD_OUT,
            )
    return report.all_tables(records)


def tune(seeds=TUNING_SEEDS, strengths=STRENGTHS, **recipe):
    """Scores of the published recipe by K of its penalty, on the small configuration; DataFrame."""
    rows = []
    for strength in strengths:
        model = SparseShiftVAE(method="svae+", strength=strength, recipe=PUBLISHED)
        for seed in seeds:
            known, _ = simulated(CONFIGURATIONS["small"], seed)
            rows.append(
                {"K": strength, "seed": seed}
                | recovery(seeded(model, 15, seed, **recipe), known)[0]
            )
    return (
        pd.DataFrame(rows)
        .groupby("K")[["mcc", "f1", "precision", "recall", "elbo", "seconds"]]
        .mean()
    )


def scvi(seeds=SEEDS, configuration="small"):
    """Latents of scVI, as they are and unmixed, on the screens that the others were scored on; DataFrame."""
    import anndata
    from scvi.model import SCVI

    rows, sizes = [], CONFIGURATIONS[configuration]
    for seed in seeds:
        known = as_screen(simulated(sizes, seed)[0])
        adata, started = (
            anndata.AnnData(known.counts.toarray().astype(np.float32)),
            time.process_time(),
        )
        SCVI.setup_anndata(adata)
        model = SCVI(adata, n_latent=sizes["n_latents"])
        model.train(accelerator="cpu")
        latents, true = model.get_latent_representation(), known.truth["latents"]
        found = unmix(latents, known.perturbation)
        seconds, unmixed = time.process_time() - started, found.transform(latents)
        _, of_true, of_found = match_latents(true, unmixed)
        rows.append(
            {
                "seed": seed,
                "MCC": mean_correlation(true, latents),
                "MCC, unmixed": mean_correlation(true, unmixed),
            }
            | {
                "F1, unmixed": edge_scores(known.truth["shifts"], found.edges, of_true, of_found)[
                    "f1"
                ]
            }
            | {"CPU s": seconds}
        )
    return pd.DataFrame(rows).set_index("seed")


def bound(configurations=tuple(CONFIGURATIONS), seed=SEEDS[0]):
    """MCC of regressions from log counts to the true latents, on a tenth of the cells that is set aside; DataFrame."""
    models = {
        "linear, given the truth": LinearRegression,
        "network, given the truth": lambda: MLPRegressor(
            hidden_layer_sizes=(400, 400),
            alpha=1e-3,
            early_stopping=True,
            max_iter=100,
            random_state=seed,
        ),
    }
    rows = {}
    for configuration in configurations:
        known = as_screen(simulated(CONFIGURATIONS[configuration], seed)[0])
        logs = StandardScaler().fit_transform(np.log1p(known.counts.toarray()))
        parts = train_test_split(logs, known.truth["latents"], test_size=0.1, random_state=seed)
        with reproducible():
            rows[configuration] = {
                name: mean_correlation(parts[3], make().fit(parts[0], parts[2]).predict(parts[1]))
                for name, make in models.items()
            }
    return pd.DataFrame(rows).T.rename_axis("configuration")


def many_genes():
    """Scores of recipes on simulated screens and on real cells; DataFrame."""
    first, *_ = MANY_RECIPES
    defaults = {name: MANY_RECIPES[name] for name in (first, MANY_DEFAULT)}
    rows = on_screens(MANY_SCREENS, MANY_RECIPES) + on_screens(FURTHER_SCREENS, defaults)
    cells = most_counted(with_groups(load_dataset("citeseq_cd8", verbose=False)), 1000)
    papalexi = load_dataset("papalexi", verbose=False)
    for title, adata in (("CD8, 1,000 genes", cells), ("Papalexi, 299 genes", papalexi)):
        scored = by_recipe(adata, 10, 1, len(adata) // 5, MANY_RECIPES)
        rows += [{"screen": title} | row for row in scored]
    return pd.DataFrame(rows).set_index(["screen", "recipe"])


def on_screens(screens, recipes):
    """Scores of recipes on simulated screens with many genes: a list of dicts."""
    rows = []
    for n_perturbations, n_latents, seed in screens:
        title = f"{n_perturbations} perturbations, {n_latents} latents, seed {seed}"
        adata = thinned(n_perturbations, n_latents, seed)
        rows += [{"screen": title} | row for row in by_recipe(adata, n_latents, seed, 300, recipes)]
    return rows


def thinned(n_perturbations, n_latents, seed, n_genes=2000, total=5000):
    """A simulated screen of 5,300 cells with so many counts each."""
    n_cells_per = 5300 // n_perturbations
    adata = simulate_perturbations(
        n_cells_per, n_perturbations, n_latents, n_genes, random_state=seed
    )
    counts = adata.X.toarray().astype(int)
    shares = np.minimum(total / counts.sum(axis=1, keepdims=True), 1)
    adata.X = np.random.default_rng(seed).binomial(counts, shares)
    return adata


def with_groups(adata, n_groups=10):
    """Counts of cells whose "perturbations" are groups of similar proteins."""
    proteins = StandardScaler().fit_transform(np.log1p(adata.obsm["outputs"]))
    groups = KMeans(n_groups, random_state=0, n_init=3).fit_predict(proteins).astype(str)
    return screen(adata.layers["counts"], groups)


def by_recipe(adata, n_latents, seed, n_held_out, tried):
    """Scores of recipes on one screen, with some cells held out: a list of dicts."""
    order = np.random.default_rng(seed).permutation(len(adata))
    new = as_screen(adata[order[:n_held_out]])
    known = as_screen(adata[order[n_held_out:]])
    rows = []
    for name, recipe in tried.items():
        started = time.process_time()
        model = SparseShiftVAE(n_latents, recipe=recipe, random_state=0)
        model.fit(known.counts, known.perturbation)
        row = {"recipe": name, "CPU s": time.process_time() - started}
        row["IWELBO"] = model.iwelbo(new.counts, new.perturbation, 25)
        if known.truth:
            true, latents = known.truth["latents"], model.transform(known.counts)
            _, *matched = match_latents(true, latents)
            row["MCC"] = mean_correlation(true, latents)
            marked = edges_of(model.shift_graph_)
            row["F1"] = edge_scores(known.truth["shifts"], marked, *matched)["f1"]
        rows.append(row)
        print(row, flush=True)
    return rows


def memory(n_cells=100_000, n_genes=2000, density=0.1):
    """Seconds per epoch and the most memory that a fit to sparse counts takes; DataFrame of one row."""
    rng = np.random.default_rng(0)
    per_cell = int(density * n_genes)
    columns = np.concatenate(
        [np.sort(rng.choice(n_genes, per_cell, replace=False)) for _ in range(n_cells)]
    )
    pointers = np.arange(0, n_cells * per_cell + 1, per_cell)
    values = rng.poisson(1.0, n_cells * per_cell).astype(np.float32) + 1
    counts = sparse.csr_array(
        (values, columns.astype(np.int32), pointers), shape=(n_cells, n_genes)
    )
    perturbation, started = rng.integers(100, size=n_cells).astype(str), time.process_time()
    recipe = Recipe(epochs=2, least_updates=0, updates_per_pair=0, unmixings=1, first_share=0.5)
    SparseShiftVAE(15, recipe=recipe, random_state=0).fit(counts, perturbation)
    seconds = time.process_time() - started
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    row = {"cells": n_cells, "genes": n_genes, "CPU s per epoch": seconds / 2, "resident GiB": gib}
    return pd.DataFrame([row]).set_index("cells")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=lambda text: text.split(","), help="names of records")
    parser.add_argument("--saved-models", default=ROOT / "saved_models", type=Path)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--fast", action="store_true")
    others = {
        "tune": ("K of SVAE+", tune),
        "scvi": ("scVI", scvi),
        "bound": ("Bound", bound),
        "genes": ("Many genes", many_genes),
        "memory": ("Memory", memory),
    }
    for other in others:
        parser.add_argument(f"--{other}", action="store_true")
    options = parser.parse_args(arguments)
    tables = {title: run() for other, (title, run) in others.items() if getattr(options, other)}
    if not tables:
        tables = measure(options.saved_models, options.only, fast=options.fast, fresh=options.fresh)
    print_tables(tables)
    print(f"\n{report.NOTE}")


if __name__ == "__main__":
    main()
