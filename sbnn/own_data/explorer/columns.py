"""Data of the explorer page."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.checks import group_columns
from sbnn.data.colors import fill_colors
from sbnn.data.paired import as_paired
from sbnn.errors import check_among
from sbnn.evaluation.folds import held_out_means
from sbnn.evaluation.stability import kept_genes_table
from sbnn.evaluation.verdict import verdict
from sbnn.plotting.colors import Groups, count_groups, group_table
from sbnn.plotting.reading import dataset_title, model_title
from sbnn.results import Record

# may differ between fit and cross-validation
NOT_THE_MODEL = {"device", "random_state", "reconstruct"}
MOST_BYTES = 4.6e6  # keeps the page with its library below 6 MB
# of the name of a gene, and of a value in a cell
BYTES_OF_NAME, BYTES_OF_CELL = 60, 16 / 3
TSNE_AXES = ["t-SNE 1", "t-SNE 2"]


def page_data(
    fit: Record,
    folds: Record | None = None,
    data: Any = None,
    ridge: Record | None = None,
    halves: Record | None = None,
    tsne: Record | None = None,
    color: str | None = None,
    title: str | None = None,
) -> dict[str, Any]:
    """Everything that the page shows, ready for JSON."""
    outputs = pd.DataFrame({"name": fit.feature_names, "group": "output"})
    outputs["r2"] = fit.train_feature_r2
    genes = pd.DataFrame({"name": fit.kept_genes, "group": "gene"})
    measured = np.hstack([fit.outputs, fit.expression])
    predicted = np.hstack([fit.predictions, fit.predicted_expression])
    values = {"measured": _pack(measured), "predicted": _pack(predicted)}
    sentence = ""
    if folds is not None:
        point = _matching_point(fit, folds)
        held_out = held_out_means(folds, fit.outputs, point)
        values["held_out"] = _pack(held_out)
        outputs["test_r2"] = folds.test_feature_r2[:, point].mean(0)
        # the model is named above it
        named = f" of {folds.describe(point)}"
        sentence = verdict(folds, ridge, point).sentence.replace(named, "", 1)
    if halves is not None:
        table = kept_genes_table(halves, fit.kept_genes)
        genes["trust"] = table["trust"].to_numpy()
        genes["frequency"] = table["frequency"].to_numpy()
    page = {
        "dataset": fit.dataset,
        "title": dataset_title(fit.dataset) if title is None else title,
        "model": model_title(fit),
        "cells": fit.cell_names.tolist(),
        "verdict": sentence,
        "maps": _page_maps(fit, tsne),
        "values": values,
        "features": _table_rows(outputs) + _table_rows(genes),
    }
    cells = None
    if data is not None:
        cells = as_paired(data)
        if [*cells.cell_names] != [*fit.cell_names]:
            raise ValueError(
                "data: expected the cells of the fit in the same order, adata[fit.cell_names]"
            )
    groups = _page_groups(Groups(fit), fit.colors, None if cells is None else cells.labels)
    if color is not None:
        check_among("color", color, groups)
    page["groups"] = groups
    page["color"] = color
    if cells is not None:
        n_bytes = MOST_BYTES - len(json.dumps(page))
        page["genes"] = _genes_not_kept(cells, fit, n_bytes)
    return page


def _table_rows(table):
    """Rows as dicts, with None for missing numbers, because JSON has no NaN."""
    objects = table.astype(object)
    return objects.where(table.notna(), None).to_dict("records")


def _matching_point(fit, folds):
    """Grid point with the parameters of the fit and predictions."""
    params = {}
    for name, value in fit.params[0].items():
        if name.rpartition("__")[2] not in NOT_THE_MODEL:  # network__device of a stacked model
            params[name] = value
    if not folds.points(**params):
        raise ValueError(f"cv_record: it has no model with the parameters of the fit, {params}")
    point = folds.find(**params)
    no_predictions = [[None]] * len(folds.params)
    predictions = folds.values.get("test_predictions", no_predictions)[point]
    if any(fold is None for fold in predictions):
        raise ValueError("cv_record: it has no predictions for the model of the fit")
    return point


def _genes_not_kept(data, fit, n_bytes):
    """Most variable genes that the model does not keep, as many as the bytes allow."""
    is_kept = np.isin(data.gene_names, fit.kept_genes)
    not_kept = np.flatnonzero(~is_kept)
    bytes_of_gene = BYTES_OF_CELL * data.n_cells + BYTES_OF_NAME
    n_genes = int(n_bytes / bytes_of_gene)
    variances = data.X[:, not_kept].var(0)
    by_variance = np.argsort(-variances, kind="stable")
    chosen = not_kept[by_variance[: max(n_genes, 0)]]
    X = data.X[:, chosen].astype(np.float64)  # (n_cells, n_genes)
    sd = np.maximum(X.std(0), 1e-12)
    return {
        "names": data.gene_names[chosen].tolist(),
        "values": _pack((X - X.mean(0)) / sd),
        "left_out": len(not_kept) - len(chosen),
    }


def _page_maps(fit, tsne):
    """The model's map (one unit: with the first output), then t-SNEs."""
    width = fit.latent.shape[1]
    places = np.array(fit.embedding, np.float32)
    axes = ["unit 1", "unit 2"]
    if width == 1:
        places[:, 1] = fit.outputs[:, 0]
        axes[1] = f"{fit.feature_names[0]} (measured, z-score)"
    elif width > 2:
        axes = TSNE_AXES
    maps = [_page_map("map of the model", places, axes, equal=width > 1)]
    if tsne is not None:
        maps.append(_page_map("t-SNE of the genes", tsne.transcriptome, TSNE_AXES))
        maps.append(_page_map("t-SNE of the outputs", tsne.outputs, TSNE_AXES))
    return maps


def _page_map(title, xy, axes, equal=True):
    x, y = np.transpose(xy)
    return {"title": title, "x": _pack(x), "y": _pack(y), "axes": axes, "equal": equal}


def _page_groups(groups, colors, labels):
    """Types, and families if they differ, most frequent first; then other labels of few values.

    If no type is known, another label comes first.
    """
    types = count_groups(pd.Series(groups.types), colors)
    kinds = {"type": _encode_groups("Type", groups.types, types)}
    if (groups.families != groups.types).any():
        kinds["family"] = _encode_groups("Family", groups.families, groups.table)
    if labels is None:
        return kinds
    others = {}
    for name in group_columns(labels):
        if name not in ("family", "type"):
            table = group_table(labels[name])
            groups = Groups(SimpleNamespace(labels=table, colors=fill_colors({}, table)))
            others[name] = _encode_groups(name, groups.types, groups.table)
    is_labelled = len(types) > 1 or "family" in kinds
    return kinds | others if is_labelled or not others else others


def _encode_groups(title, names, table):
    """Names and colours of groups, and the position of the group of each cell in them."""
    return {
        "title": title,
        "names": table.index.tolist(),
        "colors": table["color"].tolist(),
        "codes": table.index.get_indexer(names).tolist(),
    }


def _pack(numbers):
    """Base64 text of float32, column by column."""
    content = np.asarray(numbers, "<f4").tobytes(order="F")
    return base64.b64encode(content).decode("ascii")
