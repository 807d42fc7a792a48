"""Write models and results into an AnnData or MuData, where scanpy and related packages expect them."""

import json

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sbnn.data.checks import some
from sbnn.data.inputs import output_names
from sbnn.data.objects import gene_modality
from sbnn.data.paired import as_paired
from sbnn.errors import check_number, documented
from sbnn.evaluation.folds import held_out_means
from sbnn.evaluation.stability import gene_counts, selection_table
from sbnn.models.linear import kept_genes
from sbnn.results import Record, library_versions


@documented
def annotate(adata, *found, data=None, point=None, key="sbnn"):
    """Write models and results into an AnnData or MuData, with cells and genes matched by name.

    Parameters
    ----------
    adata : AnnData or MuData
        Modified in place; in a MuData, the modality ``"rna"`` is modified. The annotated object can
        still be saved with ``write_h5ad`` or ``write_h5mu``.
    *found : fitted model, Record or DataFrame, in any number
        ============================
        ================================================================================== a fitted
        model                ``obsm["X_sbnn"]``, the latent space; ``obsm["sbnn_predictions"]``, in
        the units
                                      of the outputs; ``var["sbnn_kept"]``; ``var["sbnn_norm"]``,
                                      weight norms of the genes
        from `cross_validate`         ``obsm["sbnn_held_out"]``, predictions for every cell,
        averaged over the models
                                      fitted without the cell, in the units of the outputs;
                                      ``obs["sbnn_fold"]``, the first fold in which the cell was
                                      held out; ``var["sbnn_kept_in_folds"]``, share of folds in
                                      which the gene was kept
        from `stability_selection`    ``var["sbnn_frequency"]``, ``["sbnn_expected_false"]`` and
        ``["sbnn_trusted"]`` from `selection_table` or     every column of the table, in ``var``,
        with the prefix ``sbnn_`` `gene_counts` from `repeat_fits`
        ``var["sbnn_kept_by_seeds"]``, share of seeds with which the gene was kept from `interpret`
        ``varm["sbnn_effects"]``, effects on the outputs, in SDs of the output per SD
                                      of the gene;
                                      ``var["sbnn_r2_drop"]``
        from `fit_full`               ``obsm["X_sbnn"]``, ``var["sbnn_kept"]``, ``var["sbnn_norm"]``
        ============================
        ==================================================================================

        The values of cells and genes that are missing from a result are NaN, False or NA.
        ``uns["sbnn"]`` holds the parameters (as JSON) and the library versions of each model and
        record, and also the R2 and the data fingerprint of each record.
    data : AnnData, MuData or tuple, optional
        Data set that was cross-validated; predictions are converted to the units of its outputs.
        The default is `adata`.
    point : int, optional
        Index of the grid point to write, as returned by ``record.find(...)``; required if a record
        has several grid points.
    key : str
        Prefix to use instead of ``"sbnn"``.

    Raises
    ------
    ValueError
        If `adata` contains none of the cells or none of the genes of a result, if a record was
        computed from data other than `data`, or if a record has several grid points and `point` is
        not given.

    Examples
    --------
    >>> sbnn.annotate(adata, model, record)  # doctest: +SKIP
    >>> scanpy.pl.embedding(adata, "X_sbnn", color="family")  # doctest: +SKIP
    """
    notes = _Notes(gene_modality(adata), str(key))
    for result in found:
        if isinstance(result, pd.DataFrame):
            notes.of_genes(result)
            continue
        if isinstance(result, Record):
            kind, about = _write_record(notes, result, adata if data is None else data, point)
            about["params"] = result.settings["estimator"] | about.get("params", {})
            about |= {
                "dataset": result.dataset,
                "sha256": result.sha256,
                "versions": dict(result.versions),
            }
        else:
            kind, about = "model", _write_model(notes, result)
        about["params"] = json.dumps(
            about["params"], default=lambda v: v.tolist() if hasattr(v, "tolist") else repr(v)
        )
        notes.adata.uns[notes.key] = {**notes.adata.uns.get(notes.key, {}), kind: about}


class _Notes:
    """Writes values of cells and genes to an AnnData, matched by name, under keys that start with `key`."""

    def __init__(self, adata, key):
        self.adata, self.key = adata, key

    def of_cells(self, cells, values, columns=None):
        """Table of `values` with one row per cell of the AnnData, matched by cell name."""
        table = pd.DataFrame(
            np.asarray(values, dtype=np.float64), np.asarray(cells).astype(str), columns
        )
        return self._aligned(table, self.adata.obs_names, "cells")

    def of_genes(self, table, genes=None):
        """Write the columns of a table to ``var``, matched by gene name."""
        table = pd.DataFrame(table, None if genes is None else pd.Index(genes)).rename(index=str)
        for name, column in self._aligned(table, self.adata.var_names, "genes").items():
            truth = table[name].dtype == bool
            column = column.eq(True).to_numpy() if truth else column.to_numpy(dtype=np.float64)
            self.adata.var[f"{self.key}_{name}"] = column

    def _aligned(self, table, names, kind):
        """Reindex the rows of a table to the given names; names that the table lacks get NaN."""
        if not table.index.isin(names).any():
            raise ValueError(
                f"adata: expected the {kind} of the result ({some(table.index, 3)}), got {some(names, 3)}"
            )
        return table.reindex(names)


def _write_model(notes, model):
    """Write the results of a fitted model to the AnnData, and return the entry for ``uns``."""
    check_is_fitted(model)
    adata, key = notes.adata, notes.key
    predicted = np.asarray(model.predict(adata)).reshape(adata.n_obs, -1)
    names = getattr(model, "output_names_", output_names(None, predicted.shape[1]))
    norms = {"norm": model.gene_norms_} if hasattr(model, "gene_norms_") else {}
    kept = np.isin(np.arange(model.n_features_in_), kept_genes(model))
    notes.of_genes({"kept": kept} | norms, getattr(model, "feature_names_in_", adata.var_names))
    adata.obsm[f"{key}_predictions"] = pd.DataFrame(
        predicted, adata.obs_names, [str(name) for name in names]
    )
    if hasattr(model, "transform"):
        adata.obsm[f"X_{key}"] = np.asarray(model.transform(adata))
    return {
        "class": type(model).__name__,
        "params": model.get_params(),
        "versions": library_versions(),
    }


def _write_record(notes, record, data, point):
    """Write the contents of a record to the AnnData; return the kind of the record and the entry for ``uns``."""
    adata, key, values, kind = notes.adata, notes.key, record.values, record.experiment
    if kind == "interpretation":
        genes = pd.Index(record.kept_genes.astype(str))
        notes.of_genes({"r2_drop": record.r2_drops}, genes)
        effects = pd.DataFrame(record.effects, genes, record.feature_names.astype(str))
        adata.varm[f"{key}_effects"] = effects.reindex(adata.var_names)
        return kind, {"r2": record.r2}
    if kind == "fit":
        norms = {"norm": record.gene_norms} if "gene_norms" in values else {}
        notes.of_genes({"kept": record.selected} | norms, record.gene_names)
        adata.obsm[f"X_{key}"] = notes.of_cells(record.cell_names, record.latent).to_numpy()
        return kind, {"train_r2": float(record.train_r2)}
    if kind == "repeated fits":
        notes.of_genes(gene_counts(record)[["frequency"]].set_axis(["kept_by_seeds"], axis=1))
        return kind, {"train_r2": record.train_r2[0]}
    if "test_predictions" not in values:
        notes.of_genes(selection_table(record))
        return "stability selection", {"test_r2": record.test_r2[:, 0]}
    data = as_paired(data)
    if data.sha256 != record.sha256 or (point is None and len(record.params) > 1):
        held = f"{record.dataset!r}, and the position of one grid point (see record.find)"
        raise ValueError(f"data, point: expected the data of the record, {held}")
    check_number("point", point := point or 0, int, 0, len(record.params) - 1)
    held_out = held_out_means(record, data.Y, point)
    adata.obsm[f"{key}_held_out"] = notes.of_cells(
        data.cell_names, held_out, record.feature_names.astype(str)
    )
    fold = pd.Series(pd.NA, data.cell_names, dtype="Int64")
    for f, (_, test) in reversed(list(enumerate(record.folds))):
        fold.iloc[test] = f
    adata.obs[f"{key}_fold"] = fold.reindex(adata.obs_names)
    if "selected" in values:
        notes.of_genes({"kept_in_folds": record.selected[:, point].mean(axis=0)}, record.gene_names)
    about = {
        "test_r2": record.test_r2[:, point],
        "test_feature_r2": record.test_feature_r2[:, point],
    }
    about |= {
        "feature_names": record.feature_names.astype(object),
        "params": {"point": record.params[point]},
    }
    return kind, about | {"scaling": record.settings["scaling"]}
