"""What of the records goes into the page: places, names and groups of the cells, and numbers of every feature."""

import base64

import numpy as np

from sbnn.explorer.held_out import held_out_predictions
from sbnn.plotting.colors import families_of, family_table, type_table, types_of, without_types
from sbnn.plotting.latent import FIT
from sbnn.plotting.reading import model_title, require

NEEDED = (
    *("embedding", "latent", "predictions", "outputs", "feature_names", "train_feature_r2", "cell_names"),
    *("kept_genes", "expression", "predicted_expression", "labels", "colors"),
)


def page_data(fit, folds=None):
    """Everything that the page shows, ready for JSON.

    Parameters
    ----------
    fit : Record
        From `sbnn.fit_full`.
    folds : Record, optional
        Cross-validation of the same model on the same data, see `held_out_predictions`.

    Returns
    -------
    dict
        ``dataset``, ``model``, ``cells`` (n names); ``map``, see `places`; ``groups``, type and family, each with the
        ``names`` and ``colors`` of its groups and the ``codes`` of the cells; ``features``, the outputs and then the
        kept genes: ``name``, ``group``, ``r2`` and, with `folds`, ``test_r2``; ``values``, by kind (``measured``,
        ``predicted`` and, with `folds`, ``held_out``, of the outputs alone) z-scores of one feature after the other.
        Numbers of cells are base64 of little-endian float32.

    Raises
    ------
    TypeError, ValueError
        If a record is of another kind, of other data or of another model.
    """
    require(fit, "fit_record", FIT, NEEDED)
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
        predictions, test_r2 = held_out_predictions(fit, folds)
        values["held_out"] = _packed(predictions)
        for output, r2 in zip(outputs, test_r2, strict=True):
            output["test_r2"] = _or_none(r2)
    return {
        "dataset": fit.dataset,
        "model": model_title(fit),
        "cells": [str(name) for name in fit.cell_names],
        "map": places(fit),
        "groups": groups(fit),
        "features": outputs + genes,
        "values": values,
    }


def places(fit):
    """Places of the cells on the page.

    Returns
    -------
    dict
        ``x`` and ``y``; ``axes``, their names; and ``equal``, whether both have one unit. The map is ``embedding``; a
        latent space of one dimension is drawn against the first output.
    """
    width = fit.latent.shape[1]
    x, y = np.asarray(fit.embedding, np.float32).T
    axes = ["t-SNE 1", "t-SNE 2"] if width > 2 else ["latent 1", "latent 2"]
    if width == 1:
        y, axes[1] = fit.outputs[:, 0], f"{fit.feature_names[0]} (measured, z-score)"
    return {"x": _packed(x), "y": _packed(y), "axes": axes, "equal": width > 1}


def groups(fit):
    """Types and families of the cells, the most frequent first; families only where they say something else."""
    title = "Cluster of outputs" if without_types(fit) else "Type"
    found = {"type": _coded(title, types_of(fit), type_table(fit))}
    families = families_of(fit)
    if (families != types_of(fit)).any():
        found["family"] = _coded("Family", families, family_table(fit))
    return found


def _coded(title, names, table):
    codes = table.index.get_indexer(names)
    return {
        "title": title,
        "names": [str(name) for name in table.index],
        "colors": table["color"].tolist(),
        "codes": codes.tolist(),
    }


def _or_none(number):
    """A number for JSON, which knows no NaN."""
    return float(number) if np.isfinite(number) else None


def _packed(numbers):
    """Numbers as text, column by column."""
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes(order="F")).decode("ascii")
