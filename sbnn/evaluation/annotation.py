"""Models and results written into an AnnData or MuData, where scanpy and its relatives look for them."""

import json

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sbnn.data.checks import some
from sbnn.data.inputs import as_paired, output_names
from sbnn.data.readers.anndata import is_anndata, is_mudata, modality
from sbnn.evaluation.folds import held_out_means
from sbnn.evaluation.stability import gene_counts, selection_table
from sbnn.models.base import kept_genes
from sbnn.results import Record, library_versions


def annotate(adata, *found, data=None, point=None, key="sbnn"):
    """Write models and results into an AnnData or MuData, cells and genes matched by name.

    Parameters
    ----------
    adata : AnnData or MuData
        Changed in place, as by scanpy; of a MuData its modality ``"rna"``. All that is written, `write_h5ad` can save.
    *found : fitted model, Record or DataFrame, in any number
        ============================  ==================================================================================
        a fitted model                ``obsm["X_sbnn"]``, the map; ``obsm["sbnn_predictions"]``, in the units of the
                                      outputs; ``var["sbnn_kept"]``; ``var["sbnn_norm"]``, weight norms of the genes
        from `cross_validate`         ``obsm["sbnn_held_out"]``, predictions of every cell by the model that had not
                                      seen it, in the units of the outputs (a mean, if there are several);
                                      ``obs["sbnn_fold"]``, the first fold that it was held out in;
                                      ``var["sbnn_kept_in_folds"]``, share of the folds that kept a gene
        from `stability_selection`    ``var["sbnn_frequency"]``, ``["sbnn_expected_false"]`` and ``["sbnn_trusted"]``;
                                      a table from `selection_table` or `gene_counts` gives what it has of these
        from `repeat_fits`            ``var["sbnn_kept_by_seeds"]``, share of the seeds
        from `interpret`              ``varm["sbnn_effects"]``, SD of each output per SD of the gene;
                                      ``var["sbnn_r2_drop"]``
        from `fit_full`               ``obsm["X_sbnn"]``, ``var["sbnn_kept"]``, ``var["sbnn_norm"]``
        ============================  ==================================================================================

        Cells and genes that a result does not speak of get NaN, False or NA. ``uns["sbnn"]`` tells of each the
        parameters (JSON), R2, versions and the fingerprint of the data.
    data : PairedData, AnnData, MuData or tuple, optional
        What was cross-validated, see `sbnn.data.inputs.as_paired`: predictions are turned into the units of its
        outputs. By default `adata`. Not needed where folds were not scaled.
    point : int, optional
        Grid point of a cross-validation that has several, as from ``record.find(...)``.
    key : str
        In place of ``"sbnn"``.

    Raises
    ------
    TypeError
        If `adata` or one of `found` is something else.
    ValueError
        If no cell or no gene of a result is in `adata`, names repeat, a record does not say which cells it is of, is of
        other data than `data`, or has several grid points and `point` is not given.

    Examples
    --------
    >>> sbnn.annotate(adata, model, record)  # doctest: +SKIP
    >>> scanpy.pl.embedding(adata, "X_sbnn", color="family")  # doctest: +SKIP
    """
    whole, adata = adata, modality(adata) if is_mudata(adata) else adata
    if not is_anndata(adata):
        raise TypeError(f"adata: expected an AnnData or a MuData, got {type(adata).__name__}")
    for names, kind in ((adata.obs_names, "cell"), (adata.var_names, "gene")):
        if not names.is_unique:
            raise ValueError(
                f"adata: {kind} names must be unique, these repeat: {some(names[names.duplicated()].unique())}"
            )
    for result in found:
        if isinstance(result, pd.DataFrame) and "frequency" in result:
            _of_genes(adata, key, result)
        elif isinstance(result, Record):
            about = _write_record(adata, key, result, whole if data is None else data, point)
            about |= {"dataset": result.dataset, "sha256": result.sha256, "versions": dict(result.versions)}
            whole_record = result.experiment != "cross-validation" or "test_predictions" in result.values
            _tell(adata, key, result.experiment if whole_record else "stability selection", about)
        elif hasattr(result, "predict"):
            _tell(adata, key, "model", _write_model(adata, key, result))
        else:
            raise TypeError(
                "found: expected fitted models, records and tables with a column 'frequency', got "
                f"{type(result).__name__}"
            )


def _write_model(adata, key, model):
    check_is_fitted(model)
    predicted = np.asarray(model.predict(adata)).reshape(adata.n_obs, -1)
    names = getattr(model, "output_names_", output_names(None, predicted.shape[1]))
    genes = getattr(model, "feature_names_in_", adata.var_names)
    table = {"kept": np.isin(np.arange(model.n_features_in_), kept_genes(model))}
    if hasattr(model, "gene_norms_"):
        table["norm"] = model.gene_norms_
    _of_genes(adata, key, pd.DataFrame(table, index=pd.Index(genes)))
    adata.obsm[f"{key}_predictions"] = pd.DataFrame(predicted, adata.obs_names, [str(name) for name in names])
    if hasattr(model, "transform"):
        adata.obsm[f"X_{key}"] = np.asarray(model.transform(adata))
    size = getattr(model, "library_size_", None)
    return {
        "class": type(model).__name__,
        "params": _as_json(model.get_params()),
        "versions": library_versions(),
        **({} if size is None else {"library_size": float(size)}),
    }


def _write_record(adata, key, record, data, point):
    """Write what a record holds, and give what there is to say of it."""
    values = record.values
    if record.experiment == "interpretation":
        genes = pd.Index(record.kept_genes.astype(str))
        _of_genes(adata, key, pd.DataFrame({"r2_drop": record.r2_drops}, index=genes))
        effects = pd.DataFrame(record.effects, genes, record.feature_names.astype(str))
        adata.varm[f"{key}_effects"] = effects.reindex(adata.var_names)
        return {"r2": record.r2, "params": _as_json(record.settings["estimator"])}
    if record.experiment == "fit":
        table = {"kept": record.selected} | ({"norm": record.gene_norms} if "gene_norms" in values else {})
        _of_genes(adata, key, pd.DataFrame(table, index=record.gene_names))
        _of_cells(adata, f"X_{key}", record.cell_names, record.latent)
        return {"train_r2": float(record.train_r2), "params": _as_json(record.settings["estimator"])}
    if record.experiment == "repeated fits":
        _of_genes(adata, key, gene_counts(record)[["frequency"]].set_axis(["kept_by_seeds"], axis=1))
        return {"train_r2": record.train_r2[0], "params": _as_json(record.settings["estimator"])}
    if record.experiment != "cross-validation":
        raise ValueError(f"found: a record of the kind {record.experiment!r} says nothing of single cells or genes")
    if "test_predictions" not in values:
        _of_genes(adata, key, selection_table(record))
        return {"test_r2": record.test_r2[:, 0], "params": _as_json(record.settings["estimator"])}
    if point is None and len(record.params) > 1:
        raise ValueError(f"point: the record has {len(record.params)} grid points, choose one: record.find(...)")
    point = 0 if point is None else point
    _write_held_out(adata, key, record, data, point)
    if "selected" in values:
        share = pd.DataFrame({"kept_in_folds": record.selected[:, point].mean(axis=0)}, index=record.gene_names)
        _of_genes(adata, key, share)
    return {
        "test_r2": record.test_r2[:, point],
        "test_feature_r2": record.test_feature_r2[:, point],
        "feature_names": record.feature_names.astype(object),
        "params": _as_json({**record.settings["estimator"], "point": record.params[point]}),
        "scaling": record.settings["scaling"],
    }


def _write_held_out(adata, key, record, data, point):
    scaling, cells = record.settings["scaling"], record.values.get("cell_names")
    paired = None
    if scaling != "none" or cells is None:
        try:
            paired = as_paired(data)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"data: give what was cross-validated, as data=(adata, name of the outputs); with `adata`: {error}"
            ) from error
        if paired.sha256 != record.sha256:
            raise ValueError(
                f"data: the record is of {record.dataset!r} with other values, cells or outputs; give what was "
                "cross-validated as data="
            )
        cells = paired.cell_names
    if any(predicted is None for predicted in record.test_predictions[point]):
        raise ValueError("found: the predictions were left out of this cross-validation (`drop_details`)")
    Y = np.zeros((len(cells), len(record.feature_names))) if paired is None else paired.Y  # not looked at if not scaled
    table = pd.DataFrame(held_out_means(record, Y, point), columns=record.feature_names.astype(str))
    _of_cells(adata, f"{key}_held_out", cells, table)
    first = np.full(len(cells), -1)
    for f, (_, test) in reversed(list(enumerate(record.folds))):
        first[test] = f
    folds = pd.Series(first, index=np.asarray(cells)).reindex(adata.obs_names, fill_value=-1)
    adata.obs[f"{key}_fold"] = folds.astype("Int64").mask(folds < 0)


def _of_cells(adata, name, cells, values):
    """Write rows of a table or an array to ``obsm``, by the names of the cells."""
    found = pd.Index(np.asarray(cells)).get_indexer(adata.obs_names)
    if (found < 0).all():
        raise ValueError(
            f"adata: it has other cells than the result: {some(adata.obs_names, 3)}, the result {some(cells, 3)}"
        )
    rows = np.asarray(values, dtype=np.float64)[found]
    rows[found < 0] = np.nan
    table = isinstance(values, pd.DataFrame)
    adata.obsm[name] = pd.DataFrame(rows, adata.obs_names, values.columns) if table else rows


def _of_genes(adata, key, table):
    """Write columns of a table to ``var``, by the names of the genes."""
    names = table.index.astype(str)
    if not names.isin(adata.var_names).any():
        raise ValueError(
            f"adata: it has other genes than the result: {some(adata.var_names, 3)}, the result {some(names, 3)}"
        )
    aligned = table.set_axis(names, axis=0).reindex(adata.var_names)
    for name, column in aligned.items():
        truth = table[name].dtype == bool
        adata.var[f"{key}_{name}"] = column.eq(True).to_numpy() if truth else column.to_numpy(dtype=np.float64)


def _tell(adata, key, kind, about):
    adata.uns[key] = {**adata.uns.get(key, {}), kind: about}


def _as_json(params):
    return json.dumps(params, default=lambda value: value.tolist() if hasattr(value, "tolist") else repr(value))
