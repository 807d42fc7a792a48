"""New cells: placed on the map of a fitted model, predicted, and compared with those of the fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.inputs import validate_genes
from sbnn.errors import warn
from sbnn.models.distilled import DistilledBottleneckRegressor
from sbnn.models.published import SparseBottleneckRegressor
from sbnn.models.saved import read_class_name
from sbnn.models.stacked import StackedRegressor
from sbnn.own_data.names import count_matches, naming_the_page
from sbnn.own_data.results import map_columns
from sbnn.own_data.table_files import read_anndata
from sbnn.own_data.tables import counts_or_logs, get_expression, read_table

MODELS: dict[str, Any] = {
    "DistilledBottleneckRegressor": DistilledBottleneckRegressor,
    "SparseBottleneckRegressor": SparseBottleneckRegressor,
    "StackedRegressor": StackedRegressor,
}
ROUNDING = 1e-4  # of the range of a gene
# Kept genes of new cells beyond these limits are of another kind. On eight data sets, held-out
# cells and single families stay within them (0 % and 0.7 % beyond), scaled cells for logs do not.
MOST_OUTSIDE = 0.1  # of the kept genes of a cell
LARGEST_SHIFT = 1 / 3  # mean over the genes, in SDs of the training cells
LARGEST_DISTANCE = 1.18  # from the training means, of which 1 is usual
RARE_GENE = 2  # largest distance of a gene, as that of a rare one depends on single cells
FEWEST_COMPARED = 20  # new cells
USUAL_PANEL = 25  # kept genes


def load_network(path: str | os.PathLike[str]) -> Any:
    """Read the model of a fit, whichever network it is.

    Parameters
    ----------
    path : path-like
        File of a model, or a folder with ``model.safetensors``, as `sbnn fit` writes it.

    Returns
    -------
    DistilledBottleneckRegressor, SparseBottleneckRegressor or StackedRegressor

    Raises
    ------
    ValueError
        If the file is no model, or was altered.
    FileNotFoundError
        If there is no such file.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "model.safetensors"
    model_class = MODELS.get(read_class_name(file), DistilledBottleneckRegressor)
    return model_class.load(file)  # which names another class that the file holds


@naming_the_page()
def predict_cells(
    model: Any,
    expression: str | os.PathLike[str] | pd.DataFrame | AnnData,
    counts: bool | None = None,
    genes_in_rows: bool | None = None,
) -> pd.DataFrame:
    """Place new cells on the map of a fitted network, and predict their outputs.

    Parameters
    ----------
    model : path-like or fitted network of this package
        See `load_network`.
    expression : path-like, DataFrame or AnnData
        As in `sbnn.read_tables`; genes are matched by name, and other genes are left out.
    counts : bool, optional
        True for raw counts, which are normalised like those of the fit, False for log values. By
        default, whole numbers are counts.
    genes_in_rows : bool, optional
        By default, the axis of `expression` that has more genes of the fit.

    Returns
    -------
    DataFrame
        A row for each cell: its position, ``sbnn_1`` and so on; ``genes_outside``, the number of
        kept genes outside the range of the training cells; and ``predicted_<output>``, in the units
        of the outputs of the fit. A `StackedRegressor` adds ``stacked_<output>``, which it predicts
        from all genes; the other columns are those of its network.

    Warns
    -----
    UserWarning
        If the kept genes are not those of the training cells, as with scaled cells for a fit to
        logs.

    Raises
    ------
    ValueError
        If genes of the model are missing, the model was fitted to log values and these are counts,
        or a table is refused, as by `sbnn.read_tables`.
    """
    network = load_network(model) if isinstance(model, str | os.PathLike) else model
    if isinstance(expression, str | os.PathLike) and str(expression).lower().endswith(".h5ad"):
        expression = read_anndata(expression)
    genes = pd.Index(getattr(network, "feature_names_in_", ()))
    if isinstance(expression, AnnData):
        adata, _ = get_expression(expression, counts)
        table = adata[:, _mask_known(adata.var_names, genes)]
    else:
        table = read_table(expression, "expression", accept_numbered=True)
        if genes_in_rows is None:
            genes_in_rows = count_matches(table.index, genes) > count_matches(table.columns, genes)
        if genes_in_rows:
            table = table.T
        table = table.loc[:, _mask_known(table.columns, genes)]
    expressed, are_raw = counts_or_logs(table, counts)
    values = expressed.to_df()
    if are_raw:
        if network.normalizer_ is None:
            raise ValueError(
                "expression: raw counts, but the model was fitted to log values; give log values "
                "that were computed as those of the fit"
            )
        values = network.normalizer_.transform(values)
    predictors = {"predicted": network}
    if isinstance(network, StackedRegressor):
        # it is first, as its error names all genes that are missing
        predictors = {"stacked": network, "predicted": network.network_}
    tables = []
    for prefix, predictor in predictors.items():
        predictions = np.asarray(predictor.predict(values)).reshape(len(values), -1)
        names = [f"{prefix}_{name}" for name in network.output_names_]
        tables.append(pd.DataFrame(predictions, values.index, names))
    places = pd.DataFrame(np.asarray(network.transform(values)), values.index)
    places.columns = map_columns(places.shape[1])
    places["genes_outside"] = compare_with_fit(predictors["predicted"], values)
    return pd.concat([places, *reversed(tables)], axis=1).rename_axis("cell")


def compare_with_fit(network: Any, expression: pd.DataFrame) -> np.ndarray:
    """Number of kept genes of each new cell outside the range of the training cells.

    A warning names genes if many are outside, or their means and SDs are not those of the fit.
    """
    kept = np.flatnonzero(network.support_)
    values = validate_genes(network, expression, kept)  # shape (n, k)
    low, high = network.x_min_[kept], network.x_max_[kept]
    margin = ROUNDING * (high - low)
    n_outside = ((values < low - margin) | (values > high + margin)).sum(axis=1)
    means, scales = network.x_mean_[kept], network.x_scale_[kept]
    # for any part of the training cells, the mean square of the distances is about 1, but not for
    # cells that are farther away; other units shift most genes in the same direction
    shifts = (values.mean(axis=0) - means) / scales
    distances = np.hypot(shifts, values.std(axis=0) / scales)
    # the means over few genes vary more
    tolerance = max(np.sqrt(USUAL_PANEL / len(kept)), 1)
    are_others = n_outside.mean() > tolerance * MOST_OUTSIDE * len(kept)
    # without `standardize`, SDs of the fit are not known
    if network.standardize and len(values) >= FEWEST_COMPARED:
        are_others |= abs(shifts.mean()) > tolerance * LARGEST_SHIFT
        distance = np.minimum(distances, RARE_GENE).mean()
        are_others |= distance > 1 + tolerance * (LARGEST_DISTANCE - 1)
    if are_others:
        names = getattr(network, "feature_names_in_", expression.columns)[kept]
        farthest = [
            f"{names[i]} (mean {values[:, i].mean():.3g}, in the fit {means[i]:.3g})"
            for i in np.argsort(-distances)[:3]
        ]
        warn(
            f"expression: kept genes are not those of the training cells: {', '.join(farthest)}; "
            f"{np.count_nonzero(n_outside)} of {len(values)} cells have some outside their range; "
            "are units, normalisation and kinds of cells those of the fit?"
        )
    return n_outside


def _mask_known(names, genes):
    """Genes of the fit, or all if none is: then the model says which it needs."""
    is_known = names.isin(genes)
    return is_known | (not is_known.any())
