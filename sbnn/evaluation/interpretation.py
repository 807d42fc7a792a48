"""Effect of each kept gene on every output and on the map."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import _check_feature_names_in

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.inputs import new_cells, two_tables
from sbnn.data.paired import as_paired, groups_of
from sbnn.data.preselection import preselect_genes, settings_of
from sbnn.evaluation.crossval import predicted_by
from sbnn.evaluation.folds import grouped_folds, paper_folds, source_arrays, split_fold
from sbnn.evaluation.runs import described, load_or_compute
from sbnn.evaluation.stability import selection_table
from sbnn.models.linear import kept_genes
from sbnn.results import Record


def interpret(
    model: BaseEstimator,
    X,
    Y=None,
    *,
    stability: pd.DataFrame | None = None,
) -> Record:
    """Interpret the kept genes of a fitted model.

    Parameters
    ----------
    model : fitted network or linear model of this package
    X : array-like, DataFrame or AnnData, shape (n, p)
    Y : array-like, shape (n, q) or (n,); or the name of a table in ``X.obsm``
        Outputs, unless `X` contains them. Use held-out cells, scaled like the training cells; in
        training cells, ``r2_drop`` is too large.
    stability : DataFrame with the column ``frequency``, optional
        As from `sbnn.selection_table`.

    Returns
    -------
    Record
        For k kept genes, q outputs and d latent variables, ``values`` contains

        - ``effects``, (k, q): mean change of the output, in its SDs, per SD of the gene: half of
          that from one SD below the mean of the gene to one above it, with all others as they are;
        - ``shifts``, (k,): mean distance by which this half moves the cells on the map;
        - ``r2_drops``, (k,): loss of R2 with the gene at its training mean;
        - ``kept_genes`` and ``gene_norms``, (k,); ``feature_names``, (q,);
        - ``r2``: R2 with all genes;
        - ``table``: one row per gene, sorted by loss of R2, with the columns ``norm``,
          ``stability``, ``output`` (that with the largest effect), ``effect``, ``shift`` and
          ``r2_drop``.

    Examples
    --------
    >>> from sbnn import SparseReducedRankRegression, interpret, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> model = SparseReducedRankRegression(alpha=20.0).fit(data[:70])
    >>> interpret(model, data[70:]).effects.shape  # kept genes, outputs
    (41, 16)
    """
    X, table = two_tables(X, Y)
    kept = kept_genes(model)
    values = new_cells(model, X, needed=kept)
    outputs = np.asarray(table, dtype=np.float64).reshape(len(values), -1)
    found = {
        "kept_genes": _check_feature_names_in(model)[kept],
        "feature_names": np.asarray(getattr(table, "columns", model.output_names_)),
        **_changes(model, values, outputs, table),
    }
    found["table"] = _gene_table(found, stability)
    settings = {"estimator": described(model), "n_cells": len(values)}
    sha256 = fingerprint_arrays(values, outputs)
    return Record("interpretation", "custom", sha256, [{}], settings=settings, values=found)


def _changes(model, X, outputs, table):
    """Effects, shifts, losses of R2 and norms of the kept genes, and R2 with all."""
    kept = kept_genes(model)
    # scikit-learn warns if names are missing
    cells = pd.DataFrame(X, columns=getattr(model, "feature_names_in_", None))
    found = {"r2": model.score(cells, table)}
    effects = []
    shifts = []
    r2_without = []
    for gene in kept:
        mean = X[:, gene].mean()
        sd = X[:, gene].std()
        low = _with_gene(cells, gene, mean - sd)
        high = _with_gene(cells, gene, mean + sd)
        change = predicted_by(model, high, outputs) - predicted_by(model, low, outputs)
        effects.append(change.mean(0) / 2)
        if hasattr(model, "transform"):
            moves = np.asarray(model.transform(high)) - np.asarray(model.transform(low))
            shifts.append(np.linalg.norm(moves, axis=1).mean() / 2)
        blind = _with_gene(cells, gene, model.x_mean_[gene])
        r2_without.append(model.score(blind, table))
    found["effects"] = np.array(effects) / np.where(np.ptp(outputs, 0) == 0, 1, outputs.std(0))
    found["r2_drops"] = found["r2"] - np.array(r2_without)
    if shifts:
        found["shifts"] = np.array(shifts)
    norms = np.linalg.norm(np.atleast_2d(getattr(model, "coef_", 0)), axis=0)
    found["gene_norms"] = getattr(model, "gene_norms_", norms)[kept]
    return found


def _with_gene(cells, gene, value):
    cells = cells.copy()
    cells.isetitem(gene, value)
    return cells


def _gene_table(found, stability):
    genes = pd.Index(found["kept_genes"].astype(str), name="gene")
    table = pd.DataFrame({"norm": found["gene_norms"]}, genes)
    if stability is not None:
        table["stability"] = stability["frequency"].reindex(genes, fill_value=0.0)
    strongest = np.abs(found["effects"]).argmax(1)
    table["output"] = found["feature_names"][strongest]
    table["effect"] = found["effects"][np.arange(len(genes)), strongest]
    if "shifts" in found:
        table["shift"] = found["shifts"]
    table["r2_drop"] = found["r2_drops"]
    return table.sort_values("r2_drop", ascending=False, kind="stable")


def interpret_held_out(
    estimator, data, halves, *, groups=None, preselect=None, results=None, overwrite=False
):
    """Fit an estimator to three quarters of the cells, and `interpret` it on the others.

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
    data = as_paired(data)
    stability = selection_table(halves)["frequency"]
    settings = {
        "scaling": "fold",
        "held out": "a quarter",
        "stability": fingerprint_arrays(stability.index.to_numpy(str), stability.to_numpy()),
    }
    if groups is None:
        fold = paper_folds(data.n_cells, 4)[0]
    else:
        of_cells = groups_of(data, groups)
        fold = grouped_folds(of_cells, min(4, len(np.unique(of_cells))))[0]
        settings["held out"] = f"the {len(fold[1])} cells of some groups"
        settings["cells"] = fingerprint_arrays(fold[1])
    if preselect is not None:
        settings |= settings_of(preselect)
    seed = estimator.random_state
    wanted = Record("interpretation", data.name, data.sha256, [{}], seed, settings)

    def compute():
        genes = slice(None)
        if preselect is not None:
            genes = preselect_genes(data, preselect, fold[0])
        arrays = source_arrays(data, "fold")
        X_train, Y_train, X_test, Y_test = split_fold(arrays, fold, "fold", genes)
        names = data.gene_names[genes]
        model = clone(estimator).fit(pd.DataFrame(X_train, columns=names), Y_train)
        X_test = pd.DataFrame(X_test, columns=names)
        Y_test = pd.DataFrame(Y_test, columns=data.feature_names)
        return interpret(model, X_test, Y_test, stability=stability.to_frame()).values

    return load_or_compute(wanted, compute, results, overwrite, estimator=estimator)
