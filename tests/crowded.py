"""Made-up records of `sbnn fit`: any number of outputs and types, long names, outliers."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
from made_up import fit_record

LONG = "Action potential half-width at rheobase + 50 pA (ms), mean of 5 sweeps"


@functools.cache
def own_records(n_outputs, n_types, n_families=0, n_genes=25):
    """Records of 150 cells by name; one is far out on the map, another 50 SD off in output 1."""
    rng = np.random.default_rng(1)
    names = np.array(
        [f"Type {i} of the primary motor cortex"[: 8 + i % 40] for i in range(n_types)]
    )
    colors = {name: f"#{37 * i % 256:02x}{i:02x}99" for i, name in enumerate(names)}
    # rare types have one cell
    own = np.append(np.arange(n_types), rng.integers(n_types, size=150 - n_types) ** 2 // n_types)
    labels = pd.DataFrame({"family": "", "type": names[own]})
    if n_families:
        labels["family"] = [f"Family {i % n_families}" for i in own]
    outputs = np.array([(f"Output {i}", f"{LONG}, {i}")[i % 2] for i in range(n_outputs)])
    genes = np.array([(f"Gene{i}", f"ENSMUSG{i:011d}")[i % 5 == 0] for i in range(n_genes + 40)])
    angle = 2 * np.pi * own / n_types
    latent = 3 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.7 * rng.normal(size=(150, 2))
    latent[0] = 400, -300
    measured = rng.normal(size=(150, n_outputs))
    measured[1, 0] = 50
    scaled = (measured - measured.mean(0)) / measured.std(0)
    r2 = np.linspace(0.8, -0.1, n_outputs)
    fit = fit_record(n=150, n_genes=n_genes, features=outputs)
    fit.values |= {"latent": latent, "embedding": latent, "labels": labels, "colors": colors}
    fit.values |= {"train_feature_r2": r2, "outputs": scaled, "predictions": scaled / 2}
    fit.values |= {"kept_genes": genes[:n_genes], "gene_norms": rng.uniform(size=len(genes))}
    fit.values["selected"] = np.arange(len(genes)) < n_genes

    folds = {"test_r2": np.ones((3, 1)), "test_feature_r2": np.tile(r2, (3, 1, 1))}
    stable = (np.arange(len(genes)) < n_genes - 5) | (rng.uniform(size=(20, 1, len(genes))) < 0.1)
    halves = {"selected": stable, "n_selected": stable.sum(-1), "gene_names": genes}
    effects = {"kept_genes": genes[:n_genes], "feature_names": outputs}
    effects["effects"] = rng.normal(size=(n_genes, n_outputs))
    one, other = np.split(rng.permutation(40), 2)
    return {
        "fit": fit,
        "folds": replace(fit, values=folds),
        "halves": replace(fit, folds=[(one, other), (other, one)] * 10, values=halves),
        "effects": replace(fit, values=effects),
    }
