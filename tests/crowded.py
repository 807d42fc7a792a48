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
    kinds = np.arange(n_types)
    names = [f"Type {i}, of the primary motor cortex" if i % 4 == 1 else f"Type {i}" for i in kinds]
    colors = {name: f"#{37 * i % 256:02x}{i:02x}{91 * i % 256:02x}" for i, name in enumerate(names)}
    # rare types have one cell
    own = np.append(kinds, rng.choice(kinds, 150 - n_types, p=(kinds + 1.0) / (kinds + 1).sum()))
    labels = pd.DataFrame({"family": "", "type": np.array(names)[own]})
    if n_families:
        labels["family"] = [f"Family {i % n_families}" for i in own]
    outputs = np.array([(f"Output {i}", f"{LONG}, {i}")[i % 2] for i in range(n_outputs)])
    genes = np.array([(f"Gene{i}", f"ENSMUSG{i:011d}")[i % 5 == 0] for i in range(n_genes + 40)])
    angle = 2 * np.pi * own / n_types
    latent = 3 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.7 * rng.normal(size=(150, 2))
    near = latent.copy()
    latent[0] = 400, -300
    measured = rng.normal(size=(150, n_outputs))
    measured[1, 0] = 50
    r2 = np.linspace(0.8, -0.1, n_outputs)
    selected = np.arange(len(genes)) < n_genes
    fit = fit_record(n=150, n_genes=n_genes, features=outputs)
    cells = {"labels": labels, "colors": colors}
    fit.values |= cells | {"latent": latent, "embedding": latent, "train_feature_r2": r2}
    scaled = (measured - measured.mean(0)) / measured.std(0)
    fit.values |= {"outputs": scaled, "predictions": scaled / 2}
    fit.values |= {"kept_genes": genes[:n_genes], "gene_names": genes, "selected": selected}
    fit.values["gene_norms"] = rng.exponential(size=len(genes))

    def record(params=({},), folds=(), **values):
        return replace(fit, params=list(params), folds=list(folds), values=values)

    named = {"gene_names": genes, "feature_names": outputs}
    folds = r2 + 0.02 * rng.normal(size=(3, 1, n_outputs))
    scores = {"test_r2": folds.mean(-1), "test_feature_r2": folds}
    stable = (np.arange(len(genes)) < n_genes - 5) | (rng.uniform(size=(20, 1, len(genes))) < 0.1)
    halves = [np.split(rng.permutation(40), 2) for _ in range(10)]
    pairs = [pair for one, other in halves for pair in ((one, other), (other, one))]
    effects = 0.1 * rng.normal(size=(n_genes, n_outputs))
    effects[-1, 0] = 5
    trust = {"spread": rng.exponential(size=150), "errors": rng.exponential(size=150)}
    shares = {"outputs": np.full(n_outputs, 1 / n_outputs), "transcriptome": np.full(60, 1 / 60)}
    maps = {"transcriptome": near, "n_transcriptome": 20, "outputs": near, "n_outputs": 2}
    n_kept = {"n_selected": np.full((3, 1), n_genes)}
    return {
        "fit_default_2d": fit,
        "cv_default": record(**scores, **n_kept, **named),
        "cv_ridge": record(**scores, **named),
        "halves_default": record(folds=pairs, selected=stable, n_selected=stable.sum(-1), **named),
        "interpretation": record(kept_genes=genes[:n_genes], effects=effects, **named),
        "components": record(**shares),
        "map_trust": record(latent=latent, agreement=np.linspace(0.8, 0.9, 5), **trust),
        "tsne": record(**maps, **cells),
    }
