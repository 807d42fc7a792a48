"""A user's own cells: folds, panels, and results as tables that any program reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.model_selection import KFold

from sbnn.data.checks import UNKNOWN, abbreviate, gene_positions
from sbnn.data.paired import Paired, as_paired, get_groups
from sbnn.errors import check_among
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.folds import grouped_folds, held_out_means
from sbnn.evaluation.stability import panel_table, selection_table
from sbnn.evaluation.verdict import (
    LEAST_FOLDS,
    PairedDifference,
    outputs_table,
    paired_difference,
    verdict,
)
from sbnn.files import (
    LISTED,
    SUMMARY,
    read_summary,
    refuse_other_file,
    replacing,
    write_summary,
)
from sbnn.own_data.names import suggest_spelling
from sbnn.own_data.tables import (
    warn_left_out,
)
from sbnn.results import Fold, Record, check_record

N_FOLDS = 10
SEEDS_OF_MAPS = 3  # besides that of the fit
#: Results in cells.h5ad: keys of obsm, and columns of var, which are those of genes.csv.
CELL_RESULTS = ("X_sbnn", "predicted", "stacked")
GENE_RESULTS = [
    "kept",
    "norm",
    "frequency",
    "expected_false",
    "trusted",
    "stand_ins",
    "order",
    "required",
]
#: Records that `write_tables` accepts, and what they are.
RECORDS = {
    "fit": "fit_full",
    "scores": "cross_validate",
    "ridge": "cross_validate of LeaveOneOutRidge on the same folds",
    "stacked": "cross_validate of StackedRegressor on the same folds",
    "halves": "stability_selection",
    "effects": "interpret or interpret_held_out",
    "trust": "map_trust",
}


def choose_folds(
    data: AnnData | tuple | Paired,
    groups: str | None = None,
    *,
    fast: bool = False,
    seed: int = 42,
) -> list[Fold]:
    """Folds that test every cell once: of whole groups, or of single cells.

    Parameters
    ----------
    data : AnnData or tuple (X, Y)
    groups : str, optional
        Column of ``obs``, such as ``"donor"``, whose groups are held out as a whole.
    fast : bool
        Two folds instead of ten.
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions.

    Raises
    ------
    ValueError
        If `groups` is no column, or has a single group.

    Examples
    --------
    >>> from sbnn import simulate_patchseq
    >>> from sbnn.own_data.results import choose_folds
    >>> folds = choose_folds(simulate_patchseq(n_cells=25))
    >>> sorted(len(test) for train, test in folds)
    [2, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    """
    cells = as_paired(data)
    n_folds = 2 if fast else N_FOLDS
    if groups is None:
        splitter = KFold(min(n_folds, cells.n_cells // 2), shuffle=True, random_state=seed)
        return list(splitter.split(cells.X))
    labels = get_groups(cells, groups)
    return grouped_folds(labels, min(n_folds, len(np.unique(labels))), seed)


class Panel(NamedTuple):
    """Genes that a network has to keep, genes among which it chooses the others, and how many."""

    required: list[str] | None
    candidates: list[str] | None
    n_genes: int


def read_panel(
    gene_names: pd.Index,
    require: str | os.PathLike[str] | None,
    candidates: str | os.PathLike[str] | None,
    n_genes: int,
) -> Panel:
    r"""Read files with the name of a gene on each line, for a `DistilledBottleneckRegressor`.

    Parameters
    ----------
    gene_names : pandas.Index
        All genes of the data.
    require : path-like, optional
        Genes to keep in any case.
    candidates : path-like, optional
        Genes among which the others are chosen. Those that are not in the data, as in a catalogue
        of probes, are left out with a warning.
    n_genes : int
        Number of genes to keep; at most as many as there are.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError
        If required genes are unknown or more than `n_genes`, or no candidate is in the data.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from sbnn.own_data.results import read_panel
    >>> _ = Path("markers.txt").write_text("Sst\nPvalb\n")
    >>> names = pd.Index(["Gad1", "Pvalb", "Sst", "Vip"])
    >>> read_panel(names, require="markers.txt", candidates=None, n_genes=3)
    Panel(required=['Sst', 'Pvalb'], candidates=None, n_genes=3)
    """
    required = _read_genes(require, "require")
    possible = _read_genes(candidates, "candidates")
    allowed = set(gene_names)
    if required is not None:
        try:
            gene_positions(required, gene_names, argument="require")
        except ValueError as error:
            raise ValueError(f"{error}{suggest_spelling(gene_names, required)}") from error
        if len(required) > n_genes:
            raise ValueError(
                f"require: {len(required)} genes are more than the {n_genes} of the panel; raise "
                "n_genes, or require fewer"
            )
    if possible is not None:
        is_known = pd.Index(possible).isin(gene_names)
        unknown = [*pd.Index(possible)[~is_known]]
        if not is_known.any():
            raise ValueError(
                f"candidates: none of {len(possible)} genes is in the data: "
                f"{abbreviate(unknown)}; the data have {abbreviate(gene_names)}"
                f"{suggest_spelling(gene_names, unknown)}"
            )
        warn_left_out("candidate genes that are not in the data", unknown)
        possible = [*pd.Index(possible)[is_known]]
        allowed = {*possible, *(required or [])}
    return Panel(required=required, candidates=possible, n_genes=min(n_genes, len(allowed)))


def _read_genes(path, argument):
    """Different names on the lines of a file, or None without one."""
    if path is None:
        return None
    # utf-8-sig, as files of Excel begin with a mark
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeError as error:
        raise ValueError(
            f"{argument}: {path} is no text in UTF-8: {error}; save it as such"
        ) from error
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise ValueError(f"{argument}: {path} has no name of a gene")
    return names


def count_fits(
    data: AnnData | tuple | Paired,
    groups: str | None,
    n_pairs: int,
    *,
    fast: bool,
    seed: int,
) -> dict[str, int]:
    """Number of networks that notebook 08 fits for each record, by its name up to a number."""
    cells = as_paired(data)
    cell_groups = None if groups is None else get_groups(cells, groups)
    halves = complementary_pairs(cells.n_cells, n_pairs, seed=seed, groups=cell_groups)
    n_folds = len(choose_folds(cells, groups, fast=fast, seed=seed))
    return {
        "cv_distilled": n_folds,
        "cv_stacked": n_folds,
        "fit_distilled": 1,
        "fit_stacked": 1,
        "halves_distilled": len(halves),
        "map_trust": 1 if fast else SEEDS_OF_MAPS,
        "interpretation": 1,
    }


# --- results as tables


def write_tables(
    folder: str | os.PathLike[str],
    data: AnnData | tuple | Paired,
    records: Mapping[str, Record],
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Write results as CSV, JSON and h5ad files.

    Parameters
    ----------
    folder : path-like
        Folder to write to. Earlier results in it are replaced, but not files of the same names that
        ``summary.json`` does not list, or that were changed since.
    data : AnnData or tuple (X, Y)
        That of the fit.
    records : dict of str to Record
        ``"fit"``, from `sbnn.fit_full`, and any of ``"scores"``, ``"ridge"`` and ``"stacked"`` (of
        `sbnn.StackedRegressor`), from `sbnn.cross_validate` with one grid point; ``"halves"``, from
        `sbnn.stability_selection`, maybe for some of the genes; ``"effects"``, from
        `sbnn.evaluation.interpretation.interpret_held_out` or `sbnn.interpret`; and ``"trust"``,
        from `sbnn.map_trust`.
    settings : dict, optional
        Anything to note in ``summary.json``, such as paths and options.

    Returns
    -------
    dict of str to pathlib.Path
        By name:

        - ``genes.csv``, a row for each gene: ``kept`` and ``norm`` (of its weights, in the fit to
          all cells), with halves ``frequency``, ``expected_false``, ``trusted`` and ``stand_ins``
          of `sbnn.selection_table`, and, of a `DistilledBottleneckRegressor`, the columns of
          `sbnn.evaluation.stability.panel_table`: the order of choice, and whether the gene was
          required;
        - ``outputs.csv`` (with scores): test R2 of each output over the folds, its SD and 95 %
          interval, and those of ridge and of both together;
        - ``cells.csv``: position on the map (``sbnn_1``, ...), and with scores the prediction of
          each output when the cell was held out, in the units of the data (``predicted_...``, and
          ``stacked_...`` from all genes); with trust also the ``error`` and the ``spread`` of the
          cell; then its labels;
        - ``effects.csv`` (with effects), a row for each gene: ``r2_drop``, ``shift``, and the
          effect on each output, in SD per SD of the gene;
        - ``summary.json``: data, settings, model, verdict, genes and versions, and the sha256 of
          each of these files;
        - ``cells.h5ad``: the data, with the map in ``obsm["X_sbnn"]``, predictions of held-out
          cells in ``obsm["predicted"]`` and ``obsm["stacked"]``, and ``genes.csv`` in ``var``;
          what the data have under these names is replaced.

    Raises
    ------
    ValueError
        If records are of other data or have other names, the fit is missing, or files of another
        origin would be replaced.
    OSError
        If a file cannot be written.
    """
    cells = as_paired(data)
    _check_records(records, cells)
    fit = records["fit"]
    scores = records.get("scores")
    genes = _tabulate_genes(cells, fit, records.get("halves"))
    predictions = {}
    for prefix, role in {"predicted": "scores", "stacked": "stacked"}.items():
        if role in records:
            predictions[prefix] = _predictions(cells, records[role])
    tables = {"genes.csv": genes}
    if scores is not None:
        tables["outputs.csv"] = outputs_table(
            scores, records.get("ridge"), stacked=records.get("stacked")
        )
    tables["cells.csv"] = _tabulate_cells(cells, records, predictions)
    if "effects" in records:
        tables["effects.csv"] = _tabulate_effects(records["effects"])
    writers: dict[str, Callable[[Path], object]] = {}
    for name, table in tables.items():
        writers[name] = partial(_write_csv, table)
    annotated = _annotate_cells(data, fit, genes, predictions)
    writers["cells.h5ad"] = partial(annotated.write_h5ad, compression="gzip")
    paths = {name: Path(folder, name) for name in writers}
    for path in paths.values():  # before any of them is replaced
        refuse_other_file(path, LISTED)
    if not read_summary(folder):
        write_summary(folder, {})
    for name, write in writers.items():
        with replacing(paths[name], LISTED) as temporary:
            write(temporary)
    summary = _summarise_results(cells, records, genes, settings)
    paths[SUMMARY] = write_summary(folder, summary)
    return paths


def _check_records(records, cells):
    for role, record in records.items():
        check_among("records", role, RECORDS)
        check_record(f"records[{role!r}]", record)
        # effects of `interpret` are those of other cells
        if role != "effects" and [*record.cell_names] != [*cells.cell_names]:
            raise ValueError(f"records[{role!r}]: expected the cells of data, got others")
    if "fit" not in records:
        raise ValueError(f"records: expected 'fit', from {RECORDS['fit']}, got {[*records]}")


def _write_csv(table, path):
    """Write a table to a temporary file; six digits are more than any result has."""
    texts = {True: "TRUE", False: "FALSE"}  # which R and Excel know as well
    masks = {name: table[name].map(texts) for name in table.select_dtypes(bool)}
    table.assign(**masks).to_csv(path, float_format="%.6g", lineterminator="\n")


def _tabulate_genes(cells, fit, halves):
    """A row for each gene of the data, also those that preselection left out; kept ones first."""
    names = pd.Index(cells.gene_names, name="gene")
    kept = pd.Series(fit.selected, fit.gene_names)
    table = pd.DataFrame({"kept": kept.reindex(names, fill_value=False)})
    if "gene_norms" in fit.values:
        table["norm"] = pd.Series(fit.gene_norms, fit.gene_names)
    order = [*table]
    if halves is not None:
        table = table.join(selection_table(halves, data=cells))
        # halves may be of the candidate genes only
        table["trusted"] = table["trusted"].eq(True)
        table["stand_ins"] = table["stand_ins"].fillna("")
        order = ["kept", "frequency"]
    if "gene_order" in fit.values:
        table = table.join(panel_table(fit))
        table["order"] = table["order"].astype("Int64")  # missing for genes that are not kept
        table["required"] = table["required"].eq(True)
    return table.sort_values(order, ascending=False, kind="stable")


def _predictions(cells, scores):
    """Mean prediction of each output for each cell when it was held out, in the units of data."""
    means = held_out_means(scores, cells.Y, scores.find())
    return pd.DataFrame(means, cells.cell_names, cells.feature_names)


def _tabulate_cells(cells, records, predictions):
    fit = records["fit"]
    trust = records.get("trust")
    names = pd.Index(cells.cell_names, name="cell")
    tables = [pd.DataFrame(fit.latent, names, map_columns(fit.latent.shape[1]))]
    if trust is not None:
        tables.append(pd.DataFrame({"error": trust.errors, "spread": trust.spread}, names))
    for prefix, table in predictions.items():
        tables.append(table.add_prefix(f"{prefix}_"))
    is_known = (cells.labels.astype(object) != UNKNOWN).any()
    labels = cells.labels.loc[:, is_known]
    return pd.concat([*tables, labels], axis=1).rename_axis("cell")


def map_columns(n_components: int) -> list[str]:
    """Names of the columns that have the place of a cell on the map."""
    return [f"sbnn_{i + 1}" for i in range(n_components)]


def _tabulate_effects(record):
    """Effects of each gene on each output, the gene that matters most first."""
    genes = pd.Index(record.kept_genes, name="gene")
    effects = pd.DataFrame(record.effects, genes, record.feature_names)
    columns = [name for name in ("r2_drop", "shift") if name in record.table]
    return record.table[columns].join(effects)


def _summarise_results(
    cells: Paired,
    records: Mapping[str, Record],
    genes: pd.DataFrame,
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Content of ``summary.json``."""
    fit = records["fit"]
    summary: dict[str, Any] = {
        "data": {
            "name": cells.name,
            "n_cells": cells.n_cells,
            "n_genes": cells.n_genes,
            "n_outputs": len(cells.feature_names),
            "sha256": cells.sha256,
            "notes": list(cells.about.get("notes") or []),
        },
        "settings": dict(settings or {}),
        "model": fit.settings["estimator"] | {"preselect": fit.settings.get("preselect")},
    }
    roles = ("scores", "ridge", "stacked")
    summary |= summarise_accuracy(*(records.get(role) for role in roles))
    summary["kept_genes"] = genes.index[genes["kept"]].tolist()
    if "trusted" in genes:
        summary["trusted_genes"] = genes.index[genes["trusted"]].tolist()
    if "trust" in records:
        summary["agreement_of_maps"] = records["trust"].agreement.tolist()
    summary["versions"] = fit.versions
    return summary


def summarise_accuracy(
    scores: Record | None, ridge: Record | None, stacked: Record | None
) -> dict[str, Any]:
    """Entries of ``summary.json`` about the network, and network and ridge stacked.

    Parameters
    ----------
    scores, ridge, stacked : Record
        As for `write_tables`.
    """
    summary = {}
    if scores is not None:
        summary["verdict"] = _summarise_scores(scores, ridge)
    if stacked is not None:
        summary["stacked"] = _summarise_scores(stacked, ridge)
        if scores is not None and len(stacked.folds) >= LEAST_FOLDS:
            gain = paired_difference(stacked, scores, "test_r2")
            summary["stacked"]["minus_network"] = _plain_interval(gain)
    return summary


def _plain_interval(interval: PairedDifference) -> dict[str, float]:
    """Mean and ends of an interval, by name."""
    return {name: float(value) for name, value in interval._asdict().items()}


def _summarise_scores(scores, ridge):
    judged = verdict(scores, ridge, scores.find())
    r2 = scores.test_r2[:, scores.find()]
    summary = {"sentence": judged.sentence, "n_folds": len(r2), "test_r2": float(r2.mean())}
    for name, interval in (("interval", judged.interval), ("minus_ridge", judged.difference)):
        if interval is not None:
            summary[name] = _plain_interval(interval)
    if judged.interval is not None:
        table = outputs_table(scores).sort_values("test_r2", ascending=False)
        summary["n_outputs"] = len(table)
        summary["predicted_outputs"] = table.loc[table["low"] > 0, "test_r2"].to_dict()
    if ridge is not None:
        summary["ridge_r2"] = float(ridge.test_r2.mean())
    return summary


def _annotate_cells(data, fit, genes, predictions):
    """AnnData of the data and of results about its cells and genes; values are not copied."""
    adata = data
    if not isinstance(data, AnnData):
        cells = as_paired(data)
        adata = AnnData(cells.X, cells.labels, pd.DataFrame(index=cells.gene_names))
        adata.obsm["outputs"] = pd.DataFrame(cells.Y, cells.cell_names, cells.feature_names)
    # results of an earlier fit would be taken for those of this one
    obsm = {key: value for key, value in adata.obsm.items() if key not in CELL_RESULTS}
    obsm |= {"X_sbnn": fit.latent} | predictions
    for key, table in obsm.items():
        if isinstance(table, pd.DataFrame):
            obsm[key] = _without_slashes(table)
    return AnnData(
        X=adata.X,
        obs=_without_slashes(adata.obs),
        var=adata.var.drop(columns=GENE_RESULTS, errors="ignore").join(genes),
        layers=dict(adata.layers),
        obsm=obsm,
        uns=dict(adata.uns),
    )


def _without_slashes(table):
    """The table with other names for columns that would be folders in a file of HDF5."""
    return table.rename(columns=lambda name: str(name).replace("/", "|"))
