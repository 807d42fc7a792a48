"""Figures of one output and of a hundred, of one type and of a hundred: all stay readable."""

import numpy as np
import pandas as pd

from sbnn.results import Record

LONG = "Action potential half-width at rheobase + 50 pA (ms), mean of 5 sweeps"


def names_of_outputs(n):
    return np.array([(f"Output {i}", f"{LONG}, {i}", f"Rheobase (pA), sweep {i}")[i % 3] for i in range(1, n + 1)])


def labels_of(n_cells, n_types, families=False):
    """Types without families, the last of one cell; names of some are long."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, n_types + 1)
    drawn = np.sort(rng.choice(n_types, n_cells, p=share / share.sum()))
    drawn[:n_types] = np.arange(n_types)[:n_cells]
    names = np.array(
        [f"Exc L5-6 FEZF2 type {i} of the primary motor cortex" if i % 4 == 1 else f"Type {i}" for i in range(n_types)]
    )
    family = np.array([f"Family {i % 12}" for i in range(n_types)]) if families else np.full(n_types, "")
    colors = {name: f"#{i * 2:02x}{(i * 37) % 256:02x}{(i * 91) % 256:02x}" for i, name in enumerate(names)}
    return drawn, pd.DataFrame({"family": family[drawn], "type": names[drawn]}), colors


def all_records(n_outputs, n_types, n_cells=300, n_genes=25, families=False):
    """What `sbnn fit` leaves of a data set, made up."""
    rng = np.random.default_rng(1)
    outputs = names_of_outputs(n_outputs)
    genes = np.array([f"ENSMUSG{i:011d}" if i % 5 == 0 else f"Gene{i}" for i in range(n_genes + 40)])
    kind, labels, colors = labels_of(n_cells, n_types, families)
    angle = 2 * np.pi * kind / n_types
    latent = np.column_stack([np.cos(angle), np.sin(angle)]) * 3 + rng.normal(size=(n_cells, 2)) * 0.7
    latent[0] = 400, -300
    weights = rng.normal(size=(2, n_outputs)) / (1 + np.arange(n_outputs) / 20)
    predictions = np.clip(latent, -5, 5) @ weights / 3
    measured = predictions + rng.normal(size=predictions.shape)
    measured[1, 0] = 50 * measured[:, 0].std()
    scale = measured.std(0)
    measured, predictions = (measured - measured.mean(0)) / scale, (predictions - measured.mean(0)) / scale
    r2 = np.sort(rng.uniform(-0.1, 0.8, n_outputs))[::-1]
    selected = np.arange(len(genes)) < n_genes
    shared = {"feature_names": outputs, "labels": labels, "colors": colors}
    settings = {
        "estimator": {
            "class": "sbnn.SparseBottleneckRegressor",
            "params": {"protocol": "distilled", "n_components": 2, "n_genes": n_genes},
        }
    }

    def record(experiment, params=({},), folds=(), **values):
        return Record(experiment, "mine", "s", list(params), 0, settings, list(folds), values)

    def validation(params, level):
        shape = (3, len(params))
        folds_r2 = r2 + 0.02 * rng.normal(size=(*shape, n_outputs)) + level
        kept = np.broadcast_to(selected, (*shape, len(genes)))
        own = {"selected": kept, "n_selected": kept.sum(-1)} if "n_components" in params[0] else {}
        return record(
            "cross-validation",
            params,
            test_r2=folds_r2.mean(-1),
            test_feature_r2=folds_r2,
            gene_names=genes,
            feature_names=outputs,
            **own,
        )

    fit = record(
        "fit",
        latent=latent,
        embedding=latent,
        predictions=predictions,
        outputs=measured,
        train_feature_r2=r2 + 0.1,
        kept_genes=genes[:n_genes],
        expression=rng.normal(size=(n_cells, n_genes)),
        predicted_expression=rng.normal(size=(n_cells, n_genes)) * 0.3 + latent[:, :1] / 5,
        selected=selected,
        gene_norms=rng.exponential(size=len(genes)) * selected,
        gene_names=genes,
        **shared,
    )
    halves = np.arange(len(genes)) < n_genes - 5
    halves = halves | (rng.uniform(size=(20, 1, len(genes))) < 0.1)
    cells = np.arange(20)
    pairs = [(cells[i % 2 :: 2], cells[1 - i % 2 :: 2]) for i in range(20)]
    effects = rng.normal(size=(n_genes, n_outputs)) * 0.1
    effects[3, 0] = 5
    return {
        "fit_default_2d": fit,
        "cv_default": validation([{"n_components": 2}], 0),
        "cv_ridge": validation([{}], -0.1),
        "halves_default": record(
            "cross-validation", folds=pairs, selected=halves, n_selected=halves.sum(-1), gene_names=genes
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
            latents=np.stack([latent] * 5),
            agreement=np.linspace(0.8, 0.9, 5),
            spread=rng.exponential(size=n_cells),
            errors=rng.exponential(size=n_cells),
        ),
        "tsne": record(
            "t-SNE",
            transcriptome=rng.normal(size=(n_cells, 2)) + 5 * latent.clip(-3, 3),
            n_transcriptome=20,
            outputs=latent.clip(-3, 3),
            n_outputs=min(n_outputs, 9),
            labels=labels,
            colors=colors,
        ),
        "repeats_network": record(
            "repeated fits",
            [{"random_state": i} for i in range(10)],
            selected=halves[:10, 0][None],
            n_selected=halves[:10, 0].sum(-1)[None],
            gene_names=genes,
        ),
    }
