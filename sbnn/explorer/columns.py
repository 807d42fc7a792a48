"""Data of the explorer page: positions, names and groups of the cells, and values of every feature."""

import base64
import json
import zlib
from dataclasses import replace

import numpy as np

from sbnn.data.paired import as_paired
from sbnn.evaluation.folds import held_out_means
from sbnn.evaluation.stability import kept_genes_table
from sbnn.evaluation.verdict import verdict
from sbnn.plotting.colors import Groups
from sbnn.plotting.latent import NEEDED
from sbnn.plotting.reading import model_title, require

# may differ between fit and cross-validation
NOT_THE_MODEL = {"device", "n_threads", "random_state", "reconstruct"}
MOST_BYTES = 4.6e6  # limit for the data, so that the page with its library stays below 6 MB
# maximum size of the name and range of a gene, and of a value in a cell
BYTES_OF_GENE, BYTES_OF_CELL = 60, 4 / 3


def page_data(fit, folds=None, data=None, ridge=None, halves=None, tsne=None):
    """Everything that the page shows, ready for JSON: names, groups, positions, and z-scores (float32 in base64)."""
    require(fit, "fit_record", [*NEEDED, "cell_names"])
    if folds is not None:
        require(folds, "cv_record", ("test_feature_r2",), fit)
    named = zip(fit.feature_names, fit.train_feature_r2, strict=True)
    outputs = [{"name": str(name), "group": "output", "r2": _or_none(r2)} for name, r2 in named]
    genes, sentence = [{"name": str(name), "group": "gene"} for name in fit.kept_genes], ""
    if halves is not None:
        require(halves, "halves", ["selected"], fit)
        trusted = kept_genes_table(halves, fit.kept_genes)
        for gene, frequency, trust in zip(genes, trusted.frequency, trusted.trust, strict=True):
            gene |= {"trust": trust, "frequency": float(frequency)}
    values = {"measured": _packed(np.hstack([fit.outputs, fit.expression]))}
    values["predicted"] = _packed(np.hstack([fit.predictions, fit.predicted_expression]))
    if folds is not None:
        point = _point_of(fit, folds)
        # NaN for cells never held out
        values["held_out"] = _packed(held_out_means(folds, fit.outputs, point))
        for output, r2 in zip(outputs, folds.test_feature_r2[:, point].mean(0), strict=True):
            output["test_r2"] = _or_none(r2)
        sentence = verdict(folds, replace(fit, dataset=folds.dataset), ridge, point).sentence
    page = {
        "dataset": fit.dataset,
        "model": model_title(fit),
        "cells": [str(name) for name in fit.cell_names],
    }
    page |= {"verdict": sentence, "maps": _maps(fit, tsne), "groups": _groups(Groups(fit))}
    page |= {"features": outputs + genes, "values": values}
    return (
        page
        if data is None
        else page | {"genes": _genes(as_paired(data), fit, MOST_BYTES - len(json.dumps(page)))}
    )


def _point_of(fit, folds):
    """Grid point of a cross-validation that has the parameters of the fit and predictions of scaled outputs."""
    params = {name: value for name, value in fit.params[0].items() if name not in NOT_THE_MODEL}
    hits = folds.points(**params)
    if not hits:
        raise ValueError(f"cv_record: it has no model with the parameters of the fit, {params}")
    point = hits[0]
    kept = folds.values.get("test_predictions", [None] * len(folds.params))[point]
    if any(fold is None for fold in kept) or folds.settings["scaling"] == "none":
        raise ValueError(
            "cv_record: it has no predictions of scaled outputs for the model of the fit"
        )
    return point


def _genes(data, fit, room):
    """Genes that the model does not keep, with 8 bits per value: the most variable genes that fit into `room` bytes."""
    require(fit, "fit_record", [], data)
    others = np.flatnonzero(~np.isin(data.gene_names, fit.kept_genes))
    n_genes = max(int(room / (BYTES_OF_CELL * data.n_cells + BYTES_OF_GENE)), 0)
    chosen = others[np.argsort(-data.X[:, others].var(0), kind="stable")][:n_genes]
    X = data.X[:, chosen].astype(np.float64)
    low, width = X.min(0), np.maximum(np.ptp(X, axis=0), 1e-12)
    codes = np.rint((X - low) / width * 255).astype(np.uint8)
    packed = base64.b64encode(zlib.compress(codes.tobytes(order="F"))).decode("ascii")
    low, width = (low - X.mean(0)) / (sd := np.maximum(X.std(0), 1e-12)), width / sd
    names = [str(name) for name in data.gene_names[chosen]]
    ranges = {"low": low.round(4).tolist(), "width": width.round(4).tolist()}
    return {"names": names} | ranges | {"codes": packed, "left_out": len(others) - len(chosen)}


def _maps(fit, tsne):
    """Maps of the cells: the model's map (for one latent, the latent and the first output), then t-SNEs if given."""
    width, tsne_axes = fit.latent.shape[1], ["t-SNE 1", "t-SNE 2"]
    axes, places = (
        tsne_axes if width > 2 else ["latent 1", "latent 2"],
        np.array(fit.embedding, np.float32),
    )
    if width == 1:
        places[:, 1], axes[1] = fit.outputs[:, 0], f"{fit.feature_names[0]} (measured, z-score)"
    maps = {"map of the model": (places, axes)}
    if tsne is not None:
        require(tsne, "tsne", ["transcriptome"], fit)
        alone = {"t-SNE of all genes": tsne.transcriptome, "t-SNE of the outputs": tsne.outputs}
        maps |= {title: (xy, tsne_axes) for title, xy in alone.items()}
    maps = {
        title: (_packed(xy[:, 0]), _packed(xy[:, 1]), axes) for title, (xy, axes) in maps.items()
    }
    return [
        {"title": title, "x": x, "y": y, "axes": axes, "equal": width > 1}
        for title, (x, y, axes) in maps.items()
    ]


def _groups(groups):
    """Types and families of the cells, the most frequent first; families are left out if they equal the types."""
    title = "Cluster of outputs" if groups.clustered else "Type"
    found = {"type": _coded(title, groups.types, groups.count("type"))}
    if (groups.families != groups.types).any():
        found["family"] = _coded("Family", groups.families, groups.table)
    return found


def _coded(title, names, table):
    codes, groups = table.index.get_indexer(names).tolist(), [str(name) for name in table.index]
    return {"title": title, "names": groups, "colors": table["color"].tolist(), "codes": codes}


def _or_none(number):
    """Convert a number to a float, or to None if it is not finite, because JSON has no NaN."""
    return float(number) if np.isfinite(number) else None


def _packed(numbers):
    """Encode numbers as base64 text of float32, column by column."""
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes(order="F")).decode("ascii")
