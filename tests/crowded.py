"""Made-up records of `sbnn fit`: any number of outputs and types, long names, outliers."""

import functools
from dataclasses import replace

import numpy as np
from explorable import fit_to_explore, folds_to_explore

LONG = "Action potential half-width at rheobase + 50 pA (ms), mean of 5 sweeps"


@functools.cache
def own_records(n_outputs, n_types, n_families=0, n_genes=25):
    """Records of 150 cells by name; one is far out on the map, another 50 SD off in output 1."""
    rng = np.random.default_rng(1)
    types = [f"Type {i} of the primary motor cortex"[: 8 + i % 40] for i in range(n_types)]
    outputs = np.array([f"Output {i}{LONG[: i % 2 * 99]}" for i in range(n_outputs)])
    genes = np.array([f"{'ENSMUSG0000000'[: i % 5 * 9]}Gene{i}" for i in range(n_genes + 40)])
    fit = fit_to_explore(150, n_outputs, n_genes, types=types)
    fit.embedding[0] = 400, -300
    fit.outputs[1, 0] = 50
    fit.outputs[:, 0] /= fit.outputs[:, 0].std()
    fit.values |= {"feature_names": outputs, "kept_genes": genes[:n_genes]}
    fit.values["train_feature_r2"] = np.linspace(0.8, -0.1, n_outputs)
    fit.labels["family"] = ""
    if n_families:
        fit.labels["family"] = np.resize([f"Family {i}" for i in range(n_families)], 150)
    stable = (np.arange(len(genes)) < n_genes - 5) | (rng.uniform(size=(20, 1, len(genes))) < 0.1)
    halves = {"selected": stable, "n_selected": stable.sum(-1), "gene_names": genes}
    one, other = np.split(rng.permutation(40), 2)
    effects = {"effects": rng.normal(size=(n_genes, n_outputs))}
    return {
        "fit": fit,
        "folds": folds_to_explore(fit),
        "halves": replace(fit, folds=[(one, other), (other, one)] * 10, values=halves),
        "effects": replace(fit, values=fit.values | effects),
    }
