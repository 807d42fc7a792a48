"""Made-up records of `sbnn fit`: any number of outputs and types, long names, outliers."""

import functools

import numpy as np
import pandas as pd

from sbnn.results import Record

LONG = "Action potential half-width at rheobase + 50 pA (ms), mean of 5 sweeps"
LONG_TYPE = "Exc L5-6 FEZF2 of the primary motor cortex, subtype"


def labelled_cells(n_cells, n_types, n_families):
    """Types, labels and colours of cells; rare types have one cell, and a name in four is long."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, n_types + 1)
    kind = np.sort(rng.choice(n_types, n_cells, p=share / share.sum()))
    kind[:n_types] = np.arange(n_types)[:n_cells]
    types = np.array([f"{LONG_TYPE} {i}" if i % 4 == 1 else f"Type {i}" for i in range(n_types)])
    families = np.array([f"Family {i % n_families}" if n_families else "" for i in range(n_types)])
    colors = {
        name: f"#{i * 2:02x}{i * 37 % 256:02x}{i * 91 % 256:02x}" for i, name in enumerate(types)
    }
    return kind, pd.DataFrame({"family": families[kind], "type": types[kind]}), colors


@functools.cache
def own_records(n_outputs, n_types, n_families=0, n_cells=150, n_genes=25):
    """Records by name; one cell is far out on the map, another is 50 SD off in output 1."""
    rng = np.random.default_rng(1)
    outputs = [
        (f"Output {i}", f"{LONG}, {i}", f"Rheobase (pA), sweep {i}")[i % 3]
        for i in range(1, n_outputs + 1)
    ]
    outputs = np.array(outputs)
    genes = np.array(
        [f"ENSMUSG{i:011d}" if i % 5 == 0 else f"Gene{i}" for i in range(n_genes + 40)]
    )
    kind, labels, colors = labelled_cells(n_cells, n_types, n_families)
    angle = 2 * np.pi * kind / n_types
    latent = 3 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.7 * rng.normal(
        size=(n_cells, 2)
    )
    latent[0] = 400, -300
    near = latent.clip(-5, 5)
    predictions = near @ rng.normal(size=(2, n_outputs)) / 3
    measured = predictions + rng.normal(size=predictions.shape)
    measured[1, 0] = 50 * measured[:, 0].std()
    middle = measured.mean(0)
    scale = measured.std(0)
    r2 = np.sort(rng.uniform(-0.1, 0.8, n_outputs))[::-1]
    selected = np.arange(len(genes)) < n_genes
    stable = (np.arange(len(genes)) < n_genes - 5) | (rng.uniform(size=(20, 1, len(genes))) < 0.1)
    effects = 0.1 * rng.normal(size=(n_genes, n_outputs))
    effects[-1, 0] = 5
    params = {"protocol": "distilled", "n_components": 2, "n_genes": n_genes}
    settings = {"estimator": {"class": "sbnn.SparseBottleneckRegressor", "params": params}}

    def record(experiment, params=({},), folds=(), **values):
        return Record(experiment, "mine", "s", list(params), 0, settings, list(folds), values)

    def validation(worse=0.0, **values):
        folds = r2 - worse + 0.02 * rng.normal(size=(3, 1, n_outputs))
        names = {"gene_names": genes, "feature_names": outputs}
        return record(
            "cross-validation", test_r2=folds.mean(-1), test_feature_r2=folds, **names, **values
        )

    kept = np.tile(selected, (3, 1, 1))
    expression = 0.3 * rng.normal(size=(n_cells, n_genes)) + near[:, :1] / 5
    cells = np.arange(20)
    return {
        "fit_default_2d": record(
            "fit",
            latent=latent,
            embedding=latent,
            predictions=(predictions - middle) / scale,
            outputs=(measured - middle) / scale,
            train_feature_r2=r2 + 0.1,
            feature_names=outputs,
            selected=selected,
            kept_genes=genes[:n_genes],
            gene_names=genes,
            gene_norms=rng.exponential(size=len(genes)) * selected,
            expression=expression,
            predicted_expression=expression,
            labels=labels,
            colors=colors,
        ),
        "cv_default": validation(selected=kept, n_selected=kept.sum(-1)),
        "cv_ridge": validation(worse=0.1),
        "halves_default": record(
            "cross-validation",
            folds=[(cells[i % 2 :: 2], cells[1 - i % 2 :: 2]) for i in range(20)],
            selected=stable,
            n_selected=stable.sum(-1),
            gene_names=genes,
        ),
        "interpretation": record(
            "interpretation",
            kept_genes=genes[:n_genes],
            feature_names=outputs,
            effects=effects,
            steps=effects,
            output_sd=np.ones(n_outputs),
        ),
        "components": record(
            "principal components",
            transcriptome=np.full(len(genes), 1 / len(genes)),
            outputs=np.full(n_outputs, 1 / n_outputs),
        ),
        "map_trust": record(
            "map trust",
            latent=latent,
            agreement=np.linspace(0.8, 0.9, 5),
            spread=rng.exponential(size=n_cells),
            errors=rng.exponential(size=n_cells),
        ),
        "tsne": record(
            "t-SNE",
            transcriptome=near + 0.2 * rng.normal(size=near.shape),
            n_transcriptome=20,
            outputs=near,
            n_outputs=min(n_outputs, 9),
            labels=labels,
            colors=colors,
        ),
    }
