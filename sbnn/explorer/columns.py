"""Data of the explorer page."""

import base64
import json

import numpy as np
import pandas as pd

from sbnn.data.paired import as_paired
from sbnn.evaluation.folds import held_out_means
from sbnn.evaluation.stability import kept_genes_table
from sbnn.evaluation.verdict import verdict
from sbnn.plotting.colors import Groups
from sbnn.plotting.reading import model_title

# may differ between fit and cross-validation
NOT_THE_MODEL = {"device", "random_state", "reconstruct"}
MOST_BYTES = 4.6e6  # keeps the page with its library below 6 MB
# of the name of a gene, and of a value in a cell
BYTES_OF_GENE, BYTES_OF_CELL = 60, 16 / 3
TSNE_AXES = ["t-SNE 1", "t-SNE 2"]


def page_data(fit, folds=None, data=None, ridge=None, halves=None, tsne=None):
    """Everything that the page shows, ready for JSON."""
    page = {
        "dataset": fit.dataset,
        "model": model_title(fit),
        "cells": fit.cell_names.tolist(),
        "verdict": "",
        "maps": _maps(fit, tsne),
        "groups": _groups(Groups(fit)),
    }
    outputs = pd.DataFrame({"name": fit.feature_names, "group": "output"})
    outputs["r2"] = fit.train_feature_r2
    page["values"] = {
        "measured": _packed(np.hstack([fit.outputs, fit.expression])),
        "predicted": _packed(np.hstack([fit.predictions, fit.predicted_expression])),
    }
    if folds is not None:
        point = _point_of(fit, folds)
        page["values"]["held_out"] = _packed(held_out_means(folds, fit.outputs, point))
        outputs["test_r2"] = folds.test_feature_r2[:, point].mean(0)
        found = verdict(folds, ridge, point)
        page["verdict"] = found.sentence
    genes = pd.DataFrame({"name": fit.kept_genes, "group": "gene"})
    if halves is not None:
        table = kept_genes_table(halves, fit.kept_genes)
        genes["trust"] = table["trust"].to_numpy()
        genes["frequency"] = table["frequency"].to_numpy()
    page["features"] = _rows(outputs) + _rows(genes)
    if data is not None:
        room = MOST_BYTES - len(json.dumps(page))
        page["genes"] = _other_genes(as_paired(data), fit, room)
    return page


def _rows(table):
    """Rows as dicts, with None for missing numbers, because JSON has no NaN."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _point_of(fit, folds):
    """Grid point with the parameters of the fit and predictions."""
    params = {name: value for name, value in fit.params[0].items() if name not in NOT_THE_MODEL}
    points = folds.points(**params)
    if not points:
        raise ValueError(f"cv_record: it has no model with the parameters of the fit, {params}")
    found = folds.values.get("test_predictions", [[None]] * len(folds.params))[points[0]]
    if any(fold is None for fold in found):
        raise ValueError("cv_record: it has no predictions for the model of the fit")
    return points[0]


def _other_genes(data, fit, room):
    """Most variable genes that the model does not keep, in `room` bytes."""
    others = np.flatnonzero(~np.isin(data.gene_names, fit.kept_genes))
    n_genes = int(room / (BYTES_OF_CELL * data.n_cells + BYTES_OF_GENE))
    by_variance = np.argsort(-data.X[:, others].var(0), kind="stable")
    chosen = others[by_variance[: max(n_genes, 0)]]
    X = data.X[:, chosen].astype(np.float64)  # (n_cells, n_genes)
    return {
        "names": data.gene_names[chosen].tolist(),
        "values": _packed((X - X.mean(0)) / np.maximum(X.std(0), 1e-12)),
        "left_out": len(others) - len(chosen),
    }


def _maps(fit, tsne):
    """The model's map (one unit: with the first output), then t-SNEs."""
    width = fit.latent.shape[1]
    places = np.array(fit.embedding, np.float32)
    axes = ["unit 1", "unit 2"]
    if width == 1:
        places[:, 1] = fit.outputs[:, 0]
        axes[1] = f"{fit.feature_names[0]} (measured, z-score)"
    elif width > 2:
        axes = TSNE_AXES
    maps = [_map("map of the model", places, axes, width > 1)]
    if tsne is not None:
        maps.append(_map("t-SNE of the genes", tsne.transcriptome, TSNE_AXES))
        maps.append(_map("t-SNE of the outputs", tsne.outputs, TSNE_AXES))
    return maps


def _map(title, xy, axes, equal=True):
    x, y = np.transpose(xy)
    return {"title": title, "x": _packed(x), "y": _packed(y), "axes": axes, "equal": equal}


def _groups(groups):
    """Types, and families if they differ, most frequent first."""
    found = {"type": _coded("Type", groups.types, groups.count("type"))}
    if (groups.families != groups.types).any():
        found["family"] = _coded("Family", groups.families, groups.table)
    return found


def _coded(title, names, table):
    return {
        "title": title,
        "names": table.index.tolist(),
        "colors": table["color"].tolist(),
        "codes": table.index.get_indexer(names).tolist(),
    }


def _packed(numbers):
    """Base64 text of float32, column by column."""
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes(order="F")).decode("ascii")
