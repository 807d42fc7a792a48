"""Place new cells on the map of a saved model."""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import cells_of, kind_of_expression, some
from sbnn.data.count_normalizer import COUNTS
from sbnn.data.diagnose import ROUNDING, unlike_training
from sbnn.data.inputs import new_cells
from sbnn.data.objects import entry, gene_modality
from sbnn.data.preprocessing import log2p1
from sbnn.data.readers.containers import is_container, read_container
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table import are_row_numbers, read_table
from sbnn.data.readers.table_names import about_genes, texts
from sbnn.data.readers.table_numbers import as_numbers
from sbnn.data.streams import ExpressionStream
from sbnn.errors import warn
from sbnn.store import write_atomically

# first column of predictions, which sets them apart from measured outputs
PREDICTED = "predicted cell"


def read_cells(path, model, *, counts=None, genes_in_rows=None, totals=None, sheet=None):
    """Read expression for a fitted model."""
    genes = getattr(model, "feature_names_in_", None)
    if genes is None:
        raise ValueError("model: it has no gene names, so the genes of new cells cannot be matched")
    normalizer = getattr(model, "normalizer_", None)
    if Path(path).exists() and is_container(path):
        return _of_anndata(path, normalizer, counts, totals)
    table = read_table(path if sheet is None else (path, sheet), "cells")
    table = _with_names(table, genes)
    if genes_in_rows is None:
        genes_in_rows = table.index.isin(genes).sum() > table.columns.isin(genes).sum()
    if genes_in_rows:
        about = about_genes(table.columns)
        if about.any():
            warn(f"cells: columns that describe genes are left out: {some(table.columns[about])}")
        table = table.loc[:, ~about].T
    if totals is not None:
        totals = as_numbers(entry(table, totals, "the table").to_frame(), "totals")[totals]
    known = as_numbers(table.loc[:, table.columns.isin(genes)], "cells")
    if known.empty:
        raise ValueError(
            f"cells: no column ({some(table.columns, 3)}) or row ({some(table.index, 3)}) is a "
            f"gene of the model ({some(genes, 3)})"
        )
    gaps = known.columns[known.isna().any()]
    if len(gaps):
        raise ValueError(f"cells: values of {some(gaps)} are missing; set unobserved genes to 0")
    if counts is None:
        counts = normalizer is not None and _are_whole(known.to_numpy())
        if not counts and kind_of_expression(known.to_numpy())[0] == "normalised":
            warn("cells: too large for logarithms, so log2(x + 1) is applied; see --log")
            known = known.transform(log2p1)
    if counts and totals is None:
        empty = ~known.any(axis=1)
        why = "cells without counts of the genes of the model"
        reading = Reading("cells", {}, {})
        reading.leave_out("cells", why, known.index, empty)
        reading.require_no_problem()
        known = known[~empty]
    return _normalized(ExpressionStream(known, totals=totals), counts, normalizer)


def _with_names(table, genes):
    """Name rows that are only numbered, or by the only column with genes."""
    numbered = are_row_numbers(table.index)
    known = table.index.isin(genes).any() or table.columns.isin(genes).any()
    for name, values in table.select_dtypes(object).items():
        of_genes = values.isin(genes).any() and 2 * values.nunique() > len(values)  # not types
        if (numbered and values.is_unique) or (not known and of_genes):
            warn(f"cells: rows are named by column {name!r}")
            return table.drop(columns=name).set_axis(texts(values), axis=0)
    return table


def _of_anndata(path, normalizer, counts, totals):
    """Cells of an AnnData, from its counts if the model can normalise them."""
    import anndata  # slow to import

    if Path(path).suffix == ".h5ad":
        adata = anndata.read_h5ad(path, backed="r")
    else:
        adata = gene_modality(read_container(path))
    source = adata.X
    if totals is not None:
        totals = entry(adata.obs, totals, "adata.obs")
    if normalizer is not None and counts is not False and COUNTS in adata.layers:
        source = adata.layers[COUNTS]
        counts = True
    cells = ExpressionStream(source, adata.var_names, cell_names=adata.obs_names, totals=totals)
    if counts is None and normalizer is not None:
        counts = _are_whole(cells.rows(slice(0, 100)))
    return _normalized(cells, counts, normalizer)


def _normalized(cells, counts, normalizer):
    if not counts:
        return cells
    if normalizer is None:
        raise ValueError("cells: got counts, but the model was fitted to log values; pass those")
    return normalizer.transform(cells)


def _are_whole(values):
    return bool((values >= 0).all() and (values % 1 == 0).all())


def place(model, X):
    """Positions on the map, with the share of clipped genes, and predicted outputs."""
    kept = model.get_support(indices=True)
    genes = model.get_feature_names_out()
    cells = pd.Index(cells_of(X), name="cell")
    values = new_cells(model, X, kept)
    for mistake in unlike_training(model, values, genes, cells):
        warn(mistake)
    X = pd.DataFrame(values, cells, genes)
    latent = model.transform(X)
    places = pd.DataFrame(latent, cells).rename(columns=lambda unit: f"sbnn_{unit + 1}")
    beyond = (values < model.x_min_[kept] - ROUNDING) | (values > model.x_max_[kept] + ROUNDING)
    places["clipped"] = beyond.mean(axis=1)
    predicted = np.asarray(model.predict(X)).reshape(len(cells), -1)
    return places, pd.DataFrame(predicted, cells, model.output_names_)


def write_map(model, X, out, predictions=None, inputs=()):
    """Write positions on the map as CSV, without overwriting `inputs`."""
    out = Path(out)
    places, predicted = place(model, X)
    if predictions is None:
        clipped = places.pop("clipped")
        places = places.join(predicted).assign(clipped=clipped)
    else:
        predictions = Path(predictions)
        content = predicted.rename_axis(PREDICTED).to_csv().encode()
        write_atomically(content, predictions)
    write_atomically(places.to_csv().encode(), out)
    return len(places)
