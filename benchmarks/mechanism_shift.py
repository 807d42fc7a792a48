"""Perturbation screens: every method on simulated screens with known truth, a real screen, and memory; prints tables.

    python benchmarks/mechanism_shift.py [--only 'small_*,ablation_*'] [--fresh] [--fast]
    python benchmarks/mechanism_shift.py --tune            K of the published penalty, on other seeds than reported
    python benchmarks/mechanism_shift.py --scvi            scVI with its own settings, then unmixed; needs scvi-tools
    python benchmarks/mechanism_shift.py --bound           how near a regression comes that is given the true latents
    python benchmarks/mechanism_shift.py --memory          100 000 cells x 2000 genes: seconds per epoch, memory

Measures what is missing, one thread, and keeps it in saved_models; `--fresh` measures all anew.
"""

import argparse
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sbnn.data.simulate_perturbations import simulate_perturbations
from sbnn.determinism import reproducible
from sbnn.mechanism_shift import PUBLISHED, Recipe, SparseShiftVAE, unmix
from sbnn.mechanism_shift.experiments import CONFIGURATIONS, SEEDS, score, split_screen
from sbnn.mechanism_shift.graph import edge_scores, match_latents, mean_correlation
from sbnn.mechanism_shift.methods import Method
from sbnn.mechanism_shift.study import SIMULATED, STUDY
from sbnn.results import results_folder
from sbnn.tables import print_tables

ROOT = Path(__file__).resolve().parents[1]
TUNING_SEEDS = (100, 101)
STRENGTHS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)


def measure(saved_models, only=None, fast=False, fresh=False):
    """Run, or load, the whole study; dict of tables by title."""
    tables = {}
    for name in (SIMULATED, "papalexi"):
        folder = results_folder(saved_models, name, fast)
        try:
            STUDY.run(name, folder, only=only if name == SIMULATED else None, fast=fast, fresh=fresh)
        except FileNotFoundError as error:
            print(f"{name} cannot be found or downloaded: {error}")
            continue
        tables |= {f"{name}: {title}": table for title, table in STUDY.tables(STUDY.load(folder)).items()}
    return tables


def tune(seeds=TUNING_SEEDS, strengths=STRENGTHS, **recipe):
    """Scores of the published recipe by K of its penalty, on the small configuration; DataFrame."""
    rows = []
    for strength in strengths:
        model = SparseShiftVAE(method="svae+", strength=strength, recipe=replace(PUBLISHED, **recipe))
        for seed in seeds:
            known, _ = split_screen(simulate_perturbations(**CONFIGURATIONS["small"], random_state=seed))
            rows.append({"K": strength, "seed": seed} | score(Method("", model, "published"), known, 15, seed)[0])
    return pd.DataFrame(rows).groupby("K")[["mcc", "f1", "precision", "recall", "elbo", "seconds"]].mean()


def scvi(seeds=SEEDS, configuration="small"):
    """Latents of scVI, as they are and unmixed, on the screens that the others were scored on; DataFrame."""
    import anndata
    from scvi.model import SCVI

    rows, sizes = [], CONFIGURATIONS[configuration]
    for seed in seeds:
        known, _ = split_screen(simulate_perturbations(**sizes, random_state=seed))
        adata, started = anndata.AnnData(known.counts.toarray().astype(np.float32)), time.process_time()
        SCVI.setup_anndata(adata)
        model = SCVI(adata, n_latent=sizes["n_latents"])
        model.train(accelerator="cpu")
        latents, true = model.get_latent_representation(), known.truth["latents"]
        found = unmix(latents, known.perturbation)
        seconds, unmixed = time.process_time() - started, found.transform(latents)
        _, of_true, of_found = match_latents(true, unmixed)
        rows.append(
            {"seed": seed, "MCC": mean_correlation(true, latents), "MCC, unmixed": mean_correlation(true, unmixed)}
            | {"F1, unmixed": edge_scores(known.truth["shifts"], found.edges, of_true, of_found)["f1"]}
            | {"CPU s": seconds}
        )
    return pd.DataFrame(rows).set_index("seed")


def bound(configurations=tuple(CONFIGURATIONS), seed=SEEDS[0]):
    """MCC of regressions from log counts to the true latents, on a tenth of the cells that is set aside; DataFrame."""
    models = {
        "linear, given the truth": LinearRegression,
        "network, given the truth": lambda: MLPRegressor(
            hidden_layer_sizes=(400, 400), alpha=1e-3, early_stopping=True, max_iter=100, random_state=seed
        ),
    }
    rows = {}
    for configuration in configurations:
        known, _ = split_screen(simulate_perturbations(**CONFIGURATIONS[configuration], random_state=seed))
        logs = StandardScaler().fit_transform(np.log1p(known.counts.toarray()))
        parts = train_test_split(logs, known.truth["latents"], test_size=0.1, random_state=seed)
        with reproducible():
            rows[configuration] = {
                name: mean_correlation(parts[3], make().fit(parts[0], parts[2]).predict(parts[1]))
                for name, make in models.items()
            }
    return pd.DataFrame(rows).T.rename_axis("configuration")


def memory(n_cells=100_000, n_genes=2000, density=0.1):
    """Seconds per epoch and the most memory that a fit to sparse counts takes; DataFrame of one row."""
    rng = np.random.default_rng(0)
    per_cell = int(density * n_genes)
    columns = np.concatenate([np.sort(rng.choice(n_genes, per_cell, replace=False)) for _ in range(n_cells)])
    pointers = np.arange(0, n_cells * per_cell + 1, per_cell)
    values = rng.poisson(1.0, n_cells * per_cell).astype(np.float32) + 1
    counts = sparse.csr_array((values, columns.astype(np.int32), pointers), shape=(n_cells, n_genes))
    perturbation, started = rng.integers(100, size=n_cells).astype(str), time.process_time()
    recipe = Recipe(epochs=2, least_updates=0, updates_per_pair=0, unmixings=1, first_share=0.5)
    SparseShiftVAE(15, recipe=recipe, random_state=0).fit(counts, perturbation)
    seconds = time.process_time() - started
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    row = {"cells": n_cells, "genes": n_genes, "CPU s per epoch": seconds / 2, "resident GiB": gib}
    return pd.DataFrame([row]).set_index("cells")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), help="experiments on simulated screens; * for all")
    parser.add_argument("--saved-models", default=ROOT / "saved_models", type=Path)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--fast", action="store_true")
    others = {
        "tune": ("K of SVAE+", tune),
        "scvi": ("scVI", scvi),
        "bound": ("Bound", bound),
        "memory": ("Memory", memory),
    }
    for other in others:
        parser.add_argument(f"--{other}", action="store_true")
    options = parser.parse_args(arguments)
    tables = {title: run() for other, (title, run) in others.items() if getattr(options, other)}
    if not tables:
        tables = measure(options.saved_models, options.only, fast=options.fast, fresh=options.fresh)
    print_tables(tables)
    print(f"\n{STUDY.note}")


if __name__ == "__main__":
    main()
