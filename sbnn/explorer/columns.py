"""Data of the page: places, names and groups of the cells, and values of every feature."""

import base64

import numpy as np

from sbnn.evaluation.folds import held_out_means
from sbnn.plotting.colors import Groups
from sbnn.plotting.latent import NEEDED
from sbnn.plotting.reading import model_title, require

NOT_THE_MODEL = {"device", "n_threads", "random_state", "reconstruct"}  # may differ between a fit and its folds


def page_data(fit, folds=None):
    """Everything that the page shows, for JSON: names, groups, places and z-scores, these as base64 of float32."""
    require(fit, "fit_record", [*NEEDED, "cell_names"])
    if folds is not None:
        require(folds, "cv_record", ("test_feature_r2",), fit)
    outputs = [
        {"name": str(name), "group": "output", "r2": _or_none(r2)}
        for name, r2 in zip(fit.feature_names, fit.train_feature_r2, strict=True)
    ]
    genes = [{"name": str(name), "group": "gene"} for name in fit.kept_genes]
    values = {
        "measured": _packed(np.hstack([fit.outputs, fit.expression])),
        "predicted": _packed(np.hstack([fit.predictions, fit.predicted_expression])),
    }
    if folds is not None:
        point = _point_of(fit, folds)
        values["held_out"] = _packed(held_out_means(folds, fit.outputs, point))  # NaN of cells that never were
        for output, r2 in zip(outputs, folds.test_feature_r2[:, point].mean(0), strict=True):
            output["test_r2"] = _or_none(r2)
    return {
        "dataset": fit.dataset,
        "model": model_title(fit),
        "cells": [str(name) for name in fit.cell_names],
        "map": _places(fit),
        "groups": _groups(Groups(fit)),
        "features": outputs + genes,
        "values": values,
    }


def _point_of(fit, folds):
    """Grid point of a cross-validation that has predictions of the model of a fit, in units that compare."""
    params = {name: value for name, value in fit.params[0].items() if name not in NOT_THE_MODEL}
    hits = folds.points(**params)
    if not hits:
        raise ValueError(f"cv_record: none of its {len(folds.params)} models is that of the fit, {params}")
    point = hits[0]
    kept = folds.values.get("test_predictions", [None] * len(folds.params))[point]
    if kept is None or any(fold is None for fold in kept):
        raise ValueError("cv_record: it has no predictions of the model of the fit; cross-validate it again")
    if folds.settings["scaling"] == "none":
        raise ValueError("cv_record: its outputs were not scaled, so its predictions cannot be compared with the fit")
    return point


def _places(fit):
    """The map is ``embedding``; a latent space of one dimension is drawn against the first output."""
    width = fit.latent.shape[1]
    x, y = np.asarray(fit.embedding, np.float32).T
    axes = ["t-SNE 1", "t-SNE 2"] if width > 2 else ["latent 1", "latent 2"]
    if width == 1:
        y, axes[1] = fit.outputs[:, 0], f"{fit.feature_names[0]} (measured, z-score)"
    return {"x": _packed(x), "y": _packed(y), "axes": axes, "equal": width > 1}


def _groups(groups):
    """Types and families of the cells, the most frequent first; families only if they differ from types."""
    title = "Cluster of outputs" if groups.clustered else "Type"
    found = {"type": _coded(title, groups.types, groups.count("type"))}
    if (groups.families != groups.types).any():
        found["family"] = _coded("Family", groups.families, groups.table)
    return found


def _coded(title, names, table):
    codes, groups = table.index.get_indexer(names).tolist(), [str(name) for name in table.index]
    return {"title": title, "names": groups, "colors": table["color"].tolist(), "codes": codes}


def _or_none(number):
    """A number for JSON, which has no NaN."""
    return float(number) if np.isfinite(number) else None


def _packed(numbers):
    """Numbers as text, column by column."""
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes(order="F")).decode("ascii")
