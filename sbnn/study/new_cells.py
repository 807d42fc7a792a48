"""Place new cells on the map of a saved model, matching genes by name, and write a table."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import kind_of_expression, some
from sbnn.data.count_normalizer import COUNTS
from sbnn.data.inputs import ROUNDING, cells_of, new_cells
from sbnn.data.objects import entry
from sbnn.data.preprocessing import log2p1
from sbnn.data.readers.tables import as_numbers, leave_out, read_table
from sbnn.data.streams import ExpressionStream
from sbnn.results import results_path, write_atomically

# name of the first column of predictions, which sets them apart from measured outputs
PREDICTED = "predicted cell"


def read_cells(path, model, *, counts=None, genes_in_rows=None, totals=None, sheet=None):
    """Read the expression of new cells in the form that a fitted model takes."""
    genes = getattr(model, "feature_names_in_", None)
    if genes is None:
        raise ValueError(
            "model: it was fitted without gene names, so the genes of new cells cannot be matched"
        )
    normalizer = getattr(model, "normalizer_", None)
    known = normalizer is not None
    if Path(path).suffix == ".h5ad":
        return _of_anndata(path, normalizer, counts, totals)
    table = read_table(path if sheet is None else (path, sheet), "cells")
    if genes_in_rows is None:
        genes_in_rows = table.index.isin(genes).sum() > table.columns.isin(genes).sum()
    table = table.T if genes_in_rows else table
    of_cells = (
        None
        if totals is None
        else as_numbers(entry(table, totals, "the table").to_frame(), "totals")[totals]
    )
    there = as_numbers(table.loc[:, table.columns.isin(genes)], "cells")
    if there.empty:
        across, down = some(table.columns, 3), some(table.index, 3)
        raise ValueError(
            f"cells: no column ({across}) or row ({down}) is a gene of the model ({some(genes, 3)})"
        )
    gaps = there.columns[there.isna().any()]
    if len(gaps):
        raise ValueError(f"cells: values of {some(gaps)} are missing; set unobserved genes to 0")
    if counts is None:
        counts = known and _are_whole(there.to_numpy())
        if not counts and kind_of_expression(there.to_numpy())[0] == "normalised":
            warnings.warn(
                "cells: too large for logarithms, so log2(x + 1) is applied; see --log",
                stacklevel=2,
            )
            there = there.transform(log2p1)
    if counts and totals is None:
        empty = ~there.any(axis=1)
        leave_out(
            {},
            "cells",
            "cells without counts of the genes of the model",
            there.index[empty],
            len(there),
        )
        there = there[~empty]
    cells = ExpressionStream(there, totals=of_cells)
    return _normalized(cells, normalizer) if counts else cells


def _normalized(cells, normalizer):
    if normalizer is None:
        raise ValueError(
            "cells: got counts, but the model was not fitted to counts; pass log values"
        )
    return normalizer.transform(cells)


def _of_anndata(path, normalizer, counts, totals):
    import anndata  # slower to import than all other packages

    adata = anndata.read_h5ad(path, backed="r")
    totals = None if totals is None else entry(adata.obs, totals, "adata.obs")
    known = normalizer is not None
    if counts is not False and COUNTS in adata.layers and known:
        layer = adata.layers[COUNTS]
        cells = ExpressionStream(layer, adata.var_names, cell_names=adata.obs_names, totals=totals)
        return normalizer.transform(cells)
    if counts is None:
        first = adata.X[: min(100, adata.n_obs)]
        counts = known and _are_whole(first.toarray() if sparse.issparse(first) else first)
    cells = ExpressionStream(adata, totals=totals)
    return _normalized(cells, normalizer) if counts else cells


def _are_whole(values):
    values = np.asarray(values)
    return bool((values >= 0).all() and (values % 1 == 0).all())


def place(model, X):
    """Place cells on the map of a model; returns positions, with the share of clipped genes, and predicted outputs."""
    kept = model.get_support(indices=True)
    values = new_cells(model, X, kept)
    cells = cells_of(X)
    cells = pd.Index(range(len(values)) if cells is None else cells, name="cell")
    X = pd.DataFrame(values, cells, model.get_feature_names_out())
    low, high = model.x_min_[kept] - ROUNDING, model.x_max_[kept] + ROUNDING
    clipped = ((values < low) | (values > high)).mean(axis=1)
    latent = model.transform(X)
    places = pd.DataFrame(latent, cells, [f"sbnn_{i + 1}" for i in range(latent.shape[1])]).assign(
        clipped=clipped
    )
    predicted = np.asarray(model.predict(X)).reshape(len(cells), -1)
    return places, pd.DataFrame(predicted, cells, [str(name) for name in model.output_names_])


def write_map(model, X, out, predictions=None, inputs=()):
    """Place cells on the map of a model and write their positions as CSV, without overwriting `inputs`."""
    out = results_path(out, "--out", (*inputs, predictions))
    predictions = (
        None if predictions is None else results_path(predictions, "--predictions", inputs)
    )
    places, predicted = place(model, X)
    if predictions is None:
        places = pd.concat([places.drop(columns="clipped"), predicted, places["clipped"]], axis=1)
    else:
        write_atomically(
            predicted.rename_axis(PREDICTED).to_csv().encode(), predictions, PREDICTED.encode()
        )
    write_atomically(places.to_csv().encode(), out, b"cell,sbnn_1,")
    return len(places)
