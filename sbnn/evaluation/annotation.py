"""Models and results in AnnData."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.base import BaseEstimator

from sbnn.data.checks import some
from sbnn.data.inputs import output_names
from sbnn.data.paired import as_paired
from sbnn.errors import check_number
from sbnn.evaluation.folds import held_out_means
from sbnn.evaluation.identity import described
from sbnn.evaluation.stability import gene_counts, selection_table
from sbnn.models.linear import kept_genes
from sbnn.results import Record, library_versions


def annotate(
    adata: AnnData,
    *found: BaseEstimator | Record | pd.DataFrame,
    data=None,
    point: int | None = None,
    key: str = "sbnn",
) -> None:
    """Write models and results into an AnnData; cells and genes are matched by name.

    Parameters
    ----------
    adata : AnnData
        Modified in place.
    *found : fitted model, Record or DataFrame, in any number
        - A fitted model: ``obsm["X_sbnn"]``, the latent space; ``obsm["sbnn_predictions"]``, in
          units of the outputs; ``var["sbnn_kept"]``; ``var["sbnn_norm"]``.
        - A record from `cross_validate`: ``obsm["sbnn_held_out"]``, mean prediction for held-out
          cells, in the units of the outputs; ``obs["sbnn_fold"]``, the first fold that tests the
          cell; ``var["sbnn_kept_in_folds"]``, share of folds.
        - From `stability_selection`: ``var["sbnn_frequency"]``, ``var["sbnn_expected_false"]`` and
          ``var["sbnn_trusted"]``.
        - From `selection_table` or `gene_counts`: every column, in ``var``.
        - From `repeat_fits`: ``var["sbnn_kept_by_seeds"]``, share of seeds.
        - From `interpret`: ``varm["sbnn_effects"]``, in SDs of the output per SD of the gene;
          ``var["sbnn_r2_drop"]``.
        - From `fit_full`: ``obsm["X_sbnn"]``, ``var["sbnn_kept"]``, ``var["sbnn_norm"]``.

        Cells and genes that a result lacks get NaN, False or NA. ``uns["sbnn"]`` holds parameters
        (JSON), versions, and the R2 and data fingerprint of records.
    data : AnnData or tuple, optional
        By default `adata`.
    point : int, optional
        Grid point, as from ``record.find(...)``, if a record has several.
    key : str
        Prefix to use instead of ``"sbnn"``.

    Raises
    ------
    ValueError
        If `adata` has no cell or gene of a result, a record is of other data, or `point` is
        missing.

    Examples
    --------
    >>> from sbnn import LeaveOneOutRidge, annotate, cross_validate, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> annotate(data, cross_validate(LeaveOneOutRidge(), data, folds=5, verbose=False))
    >>> data.obsm["sbnn_held_out"].shape
    (100, 16)
    """
    if not found:
        raise TypeError("found: expected at least one model, record or table")
    notes = _Notes(adata, key)
    for result in found:
        if isinstance(result, pd.DataFrame):
            notes.of_genes(result)
        elif isinstance(result, Record):
            notes.of_record(result, adata if data is None else data, point)
        else:
            notes.of_model(result)


class _Notes:
    def __init__(self, adata, key):
        self.adata = adata
        self.key = key

    def of_cells(self, cells, values, columns=None):
        table = pd.DataFrame(values, cells.astype(str), columns, dtype=np.float64)
        return self._aligned(table, self.adata.obs_names, "cells")

    def of_genes(self, table, genes=None):
        table = pd.DataFrame(table, genes).rename(index=str)
        aligned = self._aligned(table, self.adata.var_names, "genes")
        for name, column in aligned.items():
            is_mask = table[name].dtype == bool  # False for missing genes
            values = column.eq(True) if is_mask else column.astype(np.float64)
            self.adata.var[f"{self.key}_{name}"] = values

    def _aligned(self, table, names, kind):
        if not table.index.isin(names).any():
            raise ValueError(
                f"adata: expected the {kind} of the result ({some(table.index, 3)}), "
                f"got {some(names, 3)}"
            )
        return table.reindex(names)

    def about(self, kind, params, **entries):
        entries["params"] = json.dumps(params, default=str)
        self.adata.uns[self.key] = self.adata.uns.get(self.key, {}) | {kind: entries}

    def of_model(self, model):
        adata = self.adata
        kept = np.zeros(model.n_features_in_, bool)
        kept[kept_genes(model)] = True
        predicted = np.asarray(model.predict(adata)).reshape(adata.n_obs, -1)
        names = getattr(model, "output_names_", output_names(None, predicted.shape[1]))
        columns = names.astype(str)
        adata.obsm[f"{self.key}_predictions"] = pd.DataFrame(predicted, adata.obs_names, columns)
        names = getattr(model, "feature_names_in_", adata.var_names)
        self.of_genes({"kept": kept}, names)
        if hasattr(model, "gene_norms_"):
            self.of_genes({"norm": model.gene_norms_}, names)
        if hasattr(model, "transform"):
            adata.obsm[f"X_{self.key}"] = np.asarray(model.transform(adata))
        self.about("model", described(model), versions=library_versions())

    def of_record(self, record, data, point):
        kind = record.experiment
        params = record.settings["estimator"]
        about = {"dataset": record.dataset, "sha256": record.sha256, "versions": record.versions}
        if kind == "interpretation":
            about["r2"] = record.r2
            self.of_interpretation(record)
        elif kind == "fit":
            about["train_r2"] = record.train_r2
            self.of_fit(record)
        elif kind == "repeated fits":
            about["train_r2"] = record.train_r2[0]
            self.of_genes({"kept_by_seeds": gene_counts(record)["frequency"]})
        elif "test_predictions" not in record.values:
            kind = "stability selection"
            about["test_r2"] = record.test_r2[:, 0]
            self.of_genes(selection_table(record))
        else:
            if point is None and len(record.params) == 1:
                point = 0
            check_number("point", point, int, 0, len(record.params) - 1)
            about["test_r2"] = record.test_r2[:, point]
            params = params | {"point": record.params[point]}
            self.of_cross_validation(record, data, point)
        self.about(kind, params, **about)

    def of_interpretation(self, record):
        genes = record.kept_genes.astype(str)
        self.of_genes({"r2_drop": record.r2_drops}, genes)
        effects = pd.DataFrame(record.effects, genes, record.feature_names.astype(str))
        self.adata.varm[f"{self.key}_effects"] = effects.reindex(self.adata.var_names)

    def of_fit(self, record):
        self.of_genes({"kept": record.selected}, record.gene_names)
        if "gene_norms" in record.values:
            self.of_genes({"norm": record.gene_norms}, record.gene_names)
        latent = self.of_cells(record.cell_names, record.latent)
        self.adata.obsm[f"X_{self.key}"] = latent.to_numpy()

    def of_cross_validation(self, record, data, point):
        data = as_paired(data)
        names = record.feature_names.astype(str)
        held_out = held_out_means(record, data.Y, point)
        self.adata.obsm[f"{self.key}_held_out"] = self.of_cells(data.cell_names, held_out, names)
        fold = pd.Series(pd.NA, data.cell_names, dtype="Int64")
        for f, (_, test) in reversed([*enumerate(record.folds)]):  # the first fold counts
            fold.iloc[test] = f
        self.adata.obs[f"{self.key}_fold"] = fold.reindex(self.adata.obs_names)
        if "selected" in record.values:
            share = record.selected[:, point].mean(0)
            self.of_genes({"kept_in_folds": share}, record.gene_names)
