"""Effect of each kept gene on every output and on the map."""

from __future__ import annotations

from os import PathLike

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import _check_feature_names_in

from sbnn.data.fingerprint import fingerprint
from sbnn.data.inputs import match_outputs, validate_new_cells
from sbnn.data.paired import Paired, as_adata, as_paired, get_groups
from sbnn.evaluation.crossval import predict_like
from sbnn.evaluation.folds import grouped_folds, panel_mask, paper_folds, scale_fold
from sbnn.evaluation.runs import describe_estimator, store_result
from sbnn.evaluation.stability import selection_table
from sbnn.models.linear import kept_genes
from sbnn.models.stacked import StackedRegressor
from sbnn.results import Record, check_record


def interpret(
    model: BaseEstimator,
    X: ArrayLike | pd.DataFrame | AnnData,
    Y: ArrayLike | pd.DataFrame | str | None = None,
    *,
    stability: pd.DataFrame | None = None,
) -> Record:
    """Interpret the kept genes of a fitted model.

    Parameters
    ----------
    model : fitted network or linear model of this package
    X : array-like, DataFrame or AnnData, shape (n, p)
    Y : array-like, shape (n, q) or (n,); or the name of a table in ``X.obsm``
        Outputs, unless `X` contains them; with names, matched to those of the fit. Use held-out
        cells, scaled like the training cells: otherwise, ``r2_drop`` is too large.
    stability : DataFrame with the column ``frequency``, optional
        As from `sbnn.selection_table`.

    Returns
    -------
    Record
        For k kept genes and q outputs, ``values`` contains

        - ``effects``, (k, q): mean change of the output, in its SDs, per SD of the gene: half of
          that from one SD below its mean to one above it;
        - ``kept_genes``, (k,), and ``feature_names``, (q,);
        - ``r2``: R2 with all genes;
        - ``table``: one row per gene, sorted by ``r2_drop``, the loss of R2 with the gene at its
          training mean. The other columns are ``norm``, of a network; ``stability``; ``output`` and
          ``effect``, the largest; and ``shift``, half of the mean distance on the map between cells
          with the gene one SD below and one above.

    Raises
    ------
    TypeError
        If `model` is of another package.
    """
    kept = kept_genes(model)
    if stability is not None and "frequency" not in stability:
        raise ValueError("stability: no column 'frequency'; use the table of sbnn.selection_table")
    if not hasattr(model, "x_mean_"):
        raise TypeError(f"model: expected one of this package, got {type(model).__name__}")
    outputs = match_outputs(model, X, Y)
    needed = model._needed_genes() if isinstance(model, StackedRegressor) else kept
    values = validate_new_cells(model, X, needed=needed)  # (n, p)
    true = np.asarray(outputs, dtype=np.float64).reshape(len(values), -1)  # (n, q)
    sds = StandardScaler().fit(true).scale_  # 1 if an output is constant
    names = np.asarray(getattr(outputs, "columns", model.output_names_))
    # scikit-learn warns if names are missing
    cells = pd.DataFrame(values, columns=getattr(model, "feature_names_in_", None))
    r2 = model.score(cells, outputs)
    effects = []
    rows = []
    for gene in kept:
        low, high = _low_and_high(cells, gene)
        effect = _effect(model, low, high, true) / sds  # (q,)
        strongest = np.abs(effect).argmax()
        row = {"output": names[strongest], "effect": effect[strongest]}
        if hasattr(model, "transform"):
            moves = model.transform(high) - model.transform(low)
            row["shift"] = np.linalg.norm(moves, axis=1).mean() / 2
        removed = _set_gene(cells, gene, model.x_mean_[gene])
        row["r2_drop"] = r2 - model.score(removed, outputs)
        effects.append(effect)
        rows.append(row)
    genes = _check_feature_names_in(model)[kept]
    table = pd.DataFrame(rows, pd.Index(genes, name="gene"))
    if stability is not None:
        frequency = stability["frequency"].reindex(genes, fill_value=0.0)
        table.insert(0, "stability", frequency)
    if hasattr(model, "gene_norms_"):
        table.insert(0, "norm", model.gene_norms_[kept])
    return Record(
        experiment="interpretation",
        dataset="custom",
        sha256=fingerprint([values, true]),
        params=[{}],
        settings={"estimator": describe_estimator(model)},
        values={
            "effects": np.array(effects),
            "kept_genes": genes,
            "feature_names": names,
            "r2": r2,
            "table": table.sort_values("r2_drop", ascending=False, kind="stable"),
        },
    )


def effects_on_outputs(
    model: BaseEstimator, X: np.ndarray | pd.DataFrame, Y: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """Effects of the kept genes, a mask, on outputs in SDs, (k, q), as in `interpret`."""
    cells = pd.DataFrame(X)
    effects = []
    for gene in np.flatnonzero(kept):
        low, high = _low_and_high(cells, gene)
        if isinstance(X, np.ndarray):  # the model was fitted to an array, too
            low, high = low.to_numpy(), high.to_numpy()
        effects.append(_effect(model, low, high, Y))
    return np.array(effects).reshape(-1, Y.shape[1])


def _low_and_high(cells, gene):
    """Copies of the cells with a gene one SD below its mean, and one above."""
    values = cells.iloc[:, gene].to_numpy()
    mean, sd = values.mean(), values.std()
    return _set_gene(cells, gene, mean - sd), _set_gene(cells, gene, mean + sd)


def _effect(model, low, high, true):
    """Half of the mean difference between the predictions for two tables of cells, (q,)."""
    change = predict_like(model, high, true) - predict_like(model, low, true)
    return change.mean(0) / 2


def _set_gene(cells, gene, value):
    """Copy of the cells in which a gene has the same value everywhere."""
    edited = cells.copy()
    edited.isetitem(gene, value)
    return edited


@store_result(convert=as_adata)
def interpret_held_out(
    estimator: BaseEstimator,
    data: AnnData | tuple | Paired,
    halves: Record,
    *,
    groups: str | ArrayLike | None = None,
    preselect: int | None = None,
    results: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Record:
    """Fit an estimator to three quarters of the cells or groups; `interpret` it on the others.

    Parameters
    ----------
    estimator : SparseBottleneckRegressor or DistilledBottleneckRegressor
        Gets z-scored data.
    data : AnnData or tuple (X, Y)
    halves : Record
        From `sbnn.stability_selection` for the same data.
    groups, preselect, results, overwrite
        As in `sbnn.stability_selection`.

    Returns
    -------
    Record
        As from `interpret`, for `sbnn.plotting.effect_map`.
    """
    cells = as_paired(data)
    check_record("halves", halves)
    stability = selection_table(halves)
    held_out = "a quarter"
    if groups is None:
        fold = paper_folds(cells.n_cells, 4)[0]
    else:
        cell_groups = get_groups(cells, groups)
        n_groups = len(np.unique(cell_groups))
        fold = grouped_folds(cell_groups, min(4, n_groups))[0]
        held_out = f"the {len(fold[1])} cells of some groups"
    panel = panel_mask(estimator, cells.gene_names)
    X_train, Y_train, X_test, Y_test, genes = scale_fold(
        cells, fold, scaling="fold", preselect=preselect, panel=panel
    )
    names = cells.gene_names[genes]
    model = clone(estimator)
    model.fit(pd.DataFrame(X_train, columns=names), Y_train)
    interpretation = interpret(
        model,
        pd.DataFrame(X_test, columns=names),
        pd.DataFrame(Y_test, columns=cells.feature_names),
        stability=stability,
    )
    return Record(
        experiment="interpretation",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[{}],
        seed=estimator.random_state,
        settings={
            "estimator": describe_estimator(estimator),
            "scaling": "fold",
            "held out": held_out,
            "preselect": preselect,
        },
        values=interpretation.values,
    )
