"""Rows and columns in another order, and rows more, change nothing; else they are refused.

Readers of published files, and public functions and methods that take tables, are found by their
names and pages: one without files or a call here fails.
"""

import base64
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from entries import (
    FEW_STEPS,
    cells,
    courses,
    folds_record,
    halves_record,
    network,
    network_record,
    screened_cells,
    two_folds,
    typed_cells,
)
from layouts import (
    EQUATIONS,
    HUMAN,
    MOTOR_CORTEX,
    MOUSE,
    TRAJECTORIES,
    as_published,
    blood_clustering,
    blood_tables,
    human_features,
    mouse_features,
    visual_cortex_fields,
)
from scipy import sparse
from scipy.io import savemat
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import sbnn
import sbnn.data.readers
from sbnn import preprocessing
from sbnn.data.ephys_features import to_shared_features
from sbnn.data.gene_dynamics import prior_table
from sbnn.data.readers import r_files, scala
from sbnn.dynamics import PhoenixRegressor, evaluate, gene_set_test, trajectories
from sbnn.dynamics.baselines import AutoRegression, PriorAlone
from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    SparsePCAForest,
    cross_validate_classifier,
    family_importance,
)
from sbnn.evaluation.fits import gene_selection
from sbnn.evaluation.interpretation import interpret_held_out
from sbnn.evaluation.maps import tsne_maps
from sbnn.explorer.columns import page_data
from sbnn.mechanism_shift import (
    LinearShift,
    SparseShiftVAE,
    edges_of,
    recovery,
    recovery_of_genes,
    screen,
    z_score_expression,
)

API = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text()


# --- results by name


def named(result):
    """Tables of all that is in a result."""
    if isinstance(result, dict):
        parts = {}
        for key, value in result.items():
            parts |= {f"{key} {part}": table for part, table in named(value).items()}
        return parts
    if isinstance(result, ad.AnnData):
        return named(parts_of_anndata(result))
    if isinstance(result, pd.Series):
        return {"": result.to_frame("value")}
    return {"": result if isinstance(result, pd.DataFrame) else pd.DataFrame([result])}


def parts_of_anndata(adata):
    names, genes = adata.obs_names, adata.var_names
    # categories of types have an order
    parts = {"X": adata.to_df(), "obs": adata.obs.astype(object), "var": adata.var.astype(object)}
    parts |= {key: adata.to_df(key) for key in adata.layers}
    parts |= {key: pd.DataFrame(table, names) for key, table in adata.obsm.items()}
    parts |= {key: pd.DataFrame(table, genes, genes) for key, table in adata.varp.items()}
    if "type_colors" in adata.uns:
        parts["colors"] = pd.Series(adata.uns["type_colors"], adata.obs["type"].cat.categories)
    about = adata.uns["sbnn"]
    for reason, dropped in about.get("dropped", {}).items():
        parts[f"dropped: {reason}"] = sorted(dropped) if np.ndim(dropped) else dropped
    return parts | {"library size": about.get("library_size")}


def assert_alike(result, usual):
    """Refuse other values of the same names, but for rounding."""
    tables, usual_tables = named(result), named(usual)
    assert [*tables] == [*usual_tables]
    for part, table in tables.items():
        pd.testing.assert_frame_equal(
            table,
            usual_tables[part],
            check_like=True,  # in any order
            check_dtype=False,
            check_names=False,
            check_column_type=False,
            check_index_type=False,
            rtol=1e-4,
            atol=1e-6,
            obj=part,
        )


# --- published files


class Order:
    """The usual order of rows and columns or, with a seed, others and more rows."""

    def __init__(self, seed=None):
        self.rng = None if seed is None else np.random.default_rng(seed)

    def positions(self, size):
        return np.arange(size) if self.rng is None else self.rng.permutation(size)

    def rows(self, table, more=None):
        """Rows alone, where columns have their places."""
        if self.rng is not None and more is not None:
            table = pd.concat([table, more])
        return table.iloc[self.positions(len(table))]

    def table(self, table, more=None):
        rows = self.rows(table, more)
        return rows.iloc[:, self.positions(rows.shape[1])]

    def turned(self, table, more=None):
        """Of a table with names of cells in columns."""
        return self.table(table.T, None if more is None else more.T).T


def put_csv(table, path, index=False, **options):
    table.to_csv(path, index=index, **options)
    return path


def put_text(text, path):
    path.write_text(text)
    return path


def read_mouse(read, folder, order):
    metadata = as_published(MOUSE)
    other_cell = metadata.tail(1).assign(ephys_session_id="19", cell_specimen_id="79.0")
    paths = [
        put_csv(order.table(mouse_features()), folder / "features.csv"),
        put_csv(order.table(metadata, more=other_cell), folder / "metadata.csv"),
    ]
    return {"absolute": read(*paths), "relative": read(*paths, relative=True)}


def read_human(read, folder, order):
    metadata = as_published(HUMAN)
    other_cell = metadata.tail(1).assign(specimen_id="59")
    return read(
        put_csv(order.table(human_features()), folder / "features.csv"),
        put_csv(order.table(metadata, more=other_cell), folder / "metadata.csv"),
    )


def read_cord_blood(read, folder, order):
    counts, proteins = blood_tables(np.random.default_rng(0))
    other_counts = counts.iloc[:, :1].set_axis(["counted"], axis=1)
    other_proteins = proteins.iloc[:, :1].set_axis(["stained"], axis=1)
    no_cell = pd.DataFrame({"cell_barcode": ["none"], "cluster": [0], "type": ["Ery"]})
    clustering = blood_clustering(counts)
    return read(
        put_csv(order.turned(counts, more=other_counts), folder / "rna.csv", index=True),
        put_csv(order.turned(proteins, more=other_proteins), folder / "proteins.csv", index=True),
        put_csv(order.table(clustering, more=no_cell), folder / "clustering.csv"),
        n_genes=3,
    )


def read_cd8(read, folder, order):
    counts, proteins = blood_tables(np.random.default_rng(0))
    other_cell = proteins.iloc[:, :1].set_axis(["CD4_other"], axis=1)
    return read(
        put_csv(order.turned(counts), folder / "rna.csv", index=True),
        put_csv(order.turned(proteins, more=other_cell), folder / "proteins.csv", index=True),
        n_genes=3,
    )


def as_in_r(table):
    """Counts of cells, and names, of a table of genes x cells."""
    return sparse.csr_array(table.T.to_numpy()), table.columns, table.index


def read_citefuse(read, folder, order):
    """The objects of the file are given, as rdata may be missing."""
    counts, proteins = blood_tables(np.random.default_rng(0))
    controls = [proteins.head(1).set_axis([name]) for name in r_files.ISOTYPE_CONTROLS]
    proteins = pd.concat([proteins, *controls])
    tables = {"RNA": as_in_r(order.turned(counts)), "ADT": as_in_r(order.turned(proteins))}
    with patch.object(r_files, "r_objects", return_value={"CITEseq_example": tables}):
        return read(folder / "citefuse.rda", n_genes=3)


def read_tcga_breast(read, folder, order):
    """Subtypes have no names, and are in the order of the transcripts."""
    rng = np.random.default_rng(0)
    tumours = list("abcd")
    expression = order.table(pd.DataFrame(rng.uniform(0, 9, (4, 3)), tumours, list("xyz")))
    proteins = order.table(pd.DataFrame(rng.normal(size=(4, 2)), tumours, ["p", "q"]))
    subtypes = pd.Series(["Basal", "LumA", "LumA", "Her2"], tumours)[expression.index]
    parts = {
        "mrna": SimpleNamespace(to_pandas=lambda: expression),
        "protein": SimpleNamespace(to_pandas=lambda: proteins),
        "subtype": subtypes,
    }
    content = {"breast.TCGA": {"data.train": parts}}
    with patch.object(r_files, "r_objects", return_value=content):
        return read(folder / "breast.rda")


def read_pbmc(read, folder, order):
    counts, proteins = blood_tables(np.random.default_rng(0))
    counts = order.turned(counts)
    proteins = order.rows(proteins)[counts.columns]
    obs, var = pd.DataFrame(index=counts.columns), pd.DataFrame(index=counts.index)
    adata = ad.AnnData(sparse.csr_matrix(counts.T.to_numpy("f4")), obs, var)
    adata.obsm["protein_expression"] = proteins.T.to_numpy()
    adata.uns["protein_names"] = proteins.index.to_numpy()
    adata.write_h5ad(folder / "pbmc.h5ad")
    return read(folder / "pbmc.h5ad", n_genes=3)


def read_visual_cortex(read, folder, order):
    fields, short_names = visual_cortex_fields(np.random.default_rng(0))
    of_rows = {"gene_id": ["gene_id"], "pc_name": ["pc_name"]}
    of_rows["sample_id"] = [name for name in fields if len(fields[name]) == 4]
    of_columns = {"gene_id": "T_dat", "pc_name": "E_pc_scaled", "feature_name": "E_feature"}
    for axis, names in of_rows.items():
        positions = order.positions(len(fields[axis]))
        for name in names:
            fields[name] = np.asarray(fields[name], dtype=object)[positions]
        if axis in of_columns:
            fields[of_columns[axis]] = fields[of_columns[axis]][:, positions]
    savemat(folder / "release.mat", fields)
    names = order.rows(pd.Series(short_names), more=pd.Series({"raw_other": "other"}))
    path = put_text(json.dumps(names.to_dict()), folder / "names.json")
    return read(folder / "release.mat", path)


def motor_cortex_counts(order):
    """Complete counts; `f` has few, and the last cell is in no other table."""
    cell_names = [f"20180918_sample_{i}_S1" for i in (0, 1, 2, 3, 7)]
    counts = np.random.default_rng(0).integers(5, 500, (6, 5))
    counts[5] = [1, 0, 2, 1, 0]
    table = pd.DataFrame(counts, list("abcdef"), cell_names)
    return order.turned(table.iloc[:, :4], more=table.iloc[:, 4:])


def motor_cortex_metadata(order, folder):
    table = as_published(MOTOR_CORTEX, "\t")
    table = order.table(table[:4], more=table[4:])
    return put_csv(table, folder / "metadata.csv", sep="\t")


def read_motor_cortex(read, folder, order):
    ephys = pd.DataFrame(
        np.random.default_rng(1).normal(size=(4, 3)),
        [f"20180918sample{i}" for i in range(4)],
        ["AP width", "Tau", "Rin"],
    )
    terms = pd.DataFrame({"Symbol": [*"abcf", "not counted"], "Name": "channel"})
    terms = order.table(terms[:4], more=terms[4:])
    lines = ["\t".join(terms)] + ["\t".join(row) + "\t" for row in terms.to_numpy()]
    paths = [
        put_csv(motor_cortex_counts(order), folder / "counts.csv", index=True),
        put_csv(order.table(ephys), folder / "ephys.csv", index=True),
        motor_cortex_metadata(order, folder),
    ]
    channels = read(*paths, put_text("\n".join(lines), folder / "terms.txt"))
    return {"all genes": read(*paths), "ion channels": channels}


def read_warm_motor_cortex(read, folder, order):
    counts = order.turned(motor_cortex_counts(Order()))
    path = put_csv(counts, folder / "counts.csv", index=True)
    return read(path, motor_cortex_metadata(order, folder))


def read_labels(read, folder, order):
    usual = [f"20180918sample{i}" for i in range(4)]
    return read(motor_cortex_metadata(order, folder)).loc[usual]


def read_screen(read, folder, order):
    """Cells are named by their row in the file, and here by their counts of the guide."""
    genes, columns = ["CD274", "IRF1", "STAT1"], order.positions(3)
    targets = ["non-targeting", "IRF1", "STAT1", "non-targeting", "IRF1", "STAT1"]
    table = pd.DataFrame({"target": targets, "guide": [f"{target}g1" for target in targets]})
    table["guide_umi"] = np.arange(20.0, 26)
    table["guide_frac"] = [0.9, 0.95, 0.5, 1, 0.85, 0.9]
    table["confident"] = table["guide_frac"] > 0.8
    table["bio_rep"] = np.tile(["rep_1", "rep_2"], 3)
    table = order.table(table)
    counts = np.random.default_rng(0).poisson(3, (6, 3))[table.index][:, columns]
    sparse.save_npz(folder / "counts.npz", sparse.csr_matrix(counts))
    adata = read(
        folder / "counts.npz",
        put_text("\n".join(np.array(genes)[columns]), folder / "genes.txt"),
        put_csv(table, folder / "cells.csv"),
    )
    adata.obs_names = adata.obs["guide_umi"].astype(str)
    return adata


def put_trajectories(text, path, genes):
    """Each sample has a line for each gene and one of times; genes are in an order."""
    header, *lines = text.splitlines()
    n_genes = len(genes)
    for start in range(0, len(lines), n_genes + 1):
        lines[start : start + n_genes] = [lines[start + gene] for gene in genes]
    return put_text("\n".join([header, *lines]), path)


def put_dynamics(texts, folder, genes):
    """Files that go by the position of genes: of trajectories, of names and of a prior."""
    prior = pd.DataFrame([line.split(",") for line in texts["prior"].splitlines()])
    return {
        "train": put_trajectories(texts["train"], folder / "train.csv", genes),
        "test": put_trajectories(texts["test"], folder / "test.csv", genes),
        "names": put_csv(as_published(texts["names"]).iloc[genes], folder / "names.csv"),
        "prior": put_csv(prior.iloc[genes, genes], folder / "prior.csv", header=False),
    }


def read_samples(read, folder, order):
    paths = put_dynamics(TRAJECTORIES, folder, genes=order.positions(3))
    return read(paths["test"], paths["names"])


def read_measured(read, folder, order):
    paths = put_dynamics(TRAJECTORIES, folder, genes=order.positions(3))
    return {"cells": read(*paths.values()), "bins": read(*paths.values(), cells_per_bin=2)}


def read_breast(read, folder, order):
    paths = put_dynamics(TRAJECTORIES, folder, genes=order.positions(3))
    edges = as_published(TRAJECTORIES["edges"])
    other_edge = pd.DataFrame({"from": ["x"], "to": ["other"]})
    usual_proteins = as_published(TRAJECTORIES["proteins"])
    proteins = order.rows(usual_proteins, more=pd.DataFrame({"gene": ["other"]}))
    # pairs of proteins are numbers of their lines
    lines = [*proteins["gene"]]
    rows = [line.split(",") for line in TRAJECTORIES["interactions"].splitlines()]
    interactions = pd.DataFrame(rows)
    for column in (0, 1):
        genes = usual_proteins["gene"].iloc[interactions[column].astype(int) - 1]
        interactions[column] = [1 + lines.index(gene) for gene in genes]
    return read(
        *paths.values(),
        put_csv(order.table(edges, more=other_edge), folder / "edges.csv"),
        put_csv(order.rows(interactions), folder / "interactions.csv", header=False),
        put_csv(proteins, folder / "proteins.csv"),
    )


def read_grn(read, folder, order):
    """Training samples are drawn by the position of genes."""
    texts = TRAJECTORIES | {"names": "x\nA_input\nB_input\nC\n", "prior": "0,0,0\n0,0,1\n0,0,0\n"}
    paths = put_dynamics(texts, folder, genes=order.positions(3))
    other_gene = pd.DataFrame({"node": ["other"], "eqn": ["input gene"]})
    equations = order.table(as_published(EQUATIONS), more=other_gene)
    path = put_csv(equations, folder / "equations.csv")
    data = read(path, paths["names"], paths["test"], paths["prior"], n_samples=1)
    return data[data.obs["split"] == "test"]


#: Writes files, and reads them, by the name of the reader.
FILES = {
    "read_breast": read_breast,
    "read_cd8": read_cd8,
    "read_cell_labels": read_labels,
    "read_citefuse": read_citefuse,
    "read_cord_blood": read_cord_blood,
    "read_gouwens": read_visual_cortex,
    "read_gouwens_ephys": read_mouse,
    "read_grn": read_grn,
    "read_lee_human": read_human,
    "read_measured": read_measured,
    "read_papalexi": read_screen,
    "read_pbmc": read_pbmc,
    "read_scala": read_motor_cortex,
    "read_scala_34c_counts": read_warm_motor_cortex,
    "read_tcga_breast": read_tcga_breast,
    "read_trajectories": read_samples,
}


def published_readers():
    """By name."""
    found = {}
    for module in pkgutil.iter_modules(sbnn.data.readers.__path__, "sbnn.data.readers."):
        home = importlib.import_module(module.name)
        for name, value in vars(home).items():
            if name.startswith("read_") and getattr(value, "__module__", None) == module.name:
                found[name] = value
    return found


@pytest.mark.filterwarnings("ignore:1 of 4 cells have no type")
@pytest.mark.parametrize("name", published_readers())
def test_published_files_are_read_by_name(name, tmp_path):
    read = published_readers()[name]
    usual = FILES[name](read, tmp_path, Order())
    for seed in (1, 2):
        assert_alike(FILES[name](read, tmp_path, Order(seed)), usual)


# --- public functions of tables

#: Types of tables in signatures, and on the pages of functions.
TABLES = re.compile(r"DataFrame|Series|AnnData|Counts|CellFeatures")
TABLES_OF_ESTIMATORS = {"X", "counts", "trajectories", "x0"}
#: Functions that take arrays or one table without names, give positions, or write in its order.
BY_POSITION = {
    "LinearShift.fit",
    "LinearShift.transform",
    "cell_maps",
    "compute_once",
    "edges_table",
    "later_fold",
    "repeated_donor_folds",
}


def takes_tables(function):
    page = inspect.getdoc(function) or ""
    parameters = page.partition("Parameters\n")[2].partition("Returns\n")[0]
    signature = inspect.signature(function).parameters
    types = re.findall(r"^[\w, ]+ : .*", parameters, re.M)
    types += [str(parameter.annotation) for parameter in signature.values()]
    return any(map(TABLES.search, types)) or not TABLES_OF_ESTIMATORS.isdisjoint(signature)


def functions_of_tables():
    """Names of all that are in the reference, with the class of methods."""
    names = []
    for path in re.findall(r"^   (\w[\w.]*)$", API, re.M):
        value = pkgutil.resolve_name(f"sbnn.{path}")
        if inspect.isfunction(value) and takes_tables(value):
            names.append(value.__name__)
        if inspect.isclass(value):
            for name, method in inspect.getmembers(value, inspect.isfunction):
                is_ours = method.__module__.startswith("sbnn.") and not name.startswith("_")
                if is_ours and takes_tables(method):
                    names.append(f"{value.__name__}.{name}")
    return [name for name in names if name not in BY_POSITION]


REGRESSORS = {
    "ridge": sbnn.LeaveOneOutRidge(),
    "reduced rank": sbnn.ReducedRankRegression(2, alpha=0.1),
    "sparse": sbnn.SparseReducedRankRegression(2, alpha=0.1),
    "published": network(reconstruct=True, random_state=0),
    "distilled": sbnn.DistilledBottleneckRegressor(
        n_genes=5, distillation=FEW_STEPS, reconstruct=True, random_state=0
    ),
    "stacked": sbnn.StackedRegressor(
        sbnn.DistilledBottleneckRegressor(n_genes=5, distillation=FEW_STEPS, random_state=0)
    ),
}
CLASSIFIERS = {
    "BiLSTM": AttentionBiLSTMClassifier(
        hidden=2, max_epochs=1, transfer="joint", validation_share=0.2, random_state=0
    ),
    "default": EphysTypeClassifier(n_steps=2, random_state=0),
    "attention": FamilyAttentionClassifier(n_members=1, n_steps=2, random_state=0),
    "forest": SparsePCAForest(n_estimators=2, random_state=0),
}


def last_first(table, axis):
    """The table with the last row or column before the others."""
    order = np.roll(np.arange(table.shape[axis]), 1)
    if isinstance(table, ad.AnnData):
        return table[order].copy() if axis == 0 else table[:, order].copy()
    return table.iloc[order] if axis == 0 else table.iloc[:, order]


@dataclass
class Call:
    """A function, and its tables by argument, whose rows and columns have names."""

    function: Callable[..., Any]
    tables: dict[str, Any]
    #: Rows or columns of arguments by whose position random numbers are drawn.
    drawn: tuple[str, ...] = ()

    def orders(self):
        """All tables, one of them with rows or columns in another order, by which one it is."""
        for argument, table in self.tables.items():
            for axis in range(len(table.shape)):
                which = f"{argument} {('rows', 'columns')[axis]}"
                if which not in self.drawn:
                    yield which, self.tables | {argument: last_first(table, axis)}


def of_cells(values, table, columns=None):
    """What a model answers, with the names of the cells."""
    names = table.obs_names if isinstance(table, ad.AnnData) else table.index
    return pd.DataFrame(np.asarray(values), names, columns)


ANSWERS = ("predict", "predict_proba", "transform", "reconstruct_genes", "attention_weights")


def calls_of_answers(fitted, adata):
    """What a fitted model answers for the cells of an AnnData, and of a table."""
    tables = {"table": adata.to_df(), "adata": adata}
    calls = {}
    for method in ANSWERS:
        if hasattr(fitted, method):
            answer = getattr(fitted, method)
            calls[method] = Call(partial(answer_by_name, answer), tables)
    return calls


def answer_by_name(answer, table, adata):
    return {
        "of a table": of_cells(answer(table), table),
        "of an AnnData": of_cells(answer(adata), adata),
    }


def by_class(model, calls):
    return {f"{type(model).__name__}.{method}": call for method, call in calls.items()}


def calls_of_regressor(model):
    """Weights of networks are drawn by the position of genes and outputs."""
    X, Y = cells().to_df(), cells().obsm["outputs"]
    fitted = clone(model).fit(X, Y)
    tables = {"X": X, "y": Y}
    drawn = ()
    if hasattr(fitted, "network_"):
        drawn = ("X columns", "y columns")
    if hasattr(fitted, "history_"):
        tables |= {"new_X": X[:20], "new_y": Y[:20]}

    def fit(X, y, new_X=None, new_y=None):
        fit_again = clone(model).fit
        if new_X is not None:
            fit_again = partial(fit_again, eval_set=(new_X, new_y))
        again = fit_again(X, y)
        predicted = of_cells(again.predict(X), X, columns=again.output_names_)
        return {"predicted": predicted, "history": getattr(again, "history_", 0)}

    def fit_transform(X, y):
        return of_cells(clone(model).fit_transform(X, y), X)

    calls = {
        "fit": Call(fit, tables, drawn),
        "score": Call(fitted.score, {"X": X, "y": Y}),
        **calls_of_answers(fitted, cells()),
    }
    if "transform" in calls:
        calls["fit_transform"] = Call(fit_transform, {"X": X, "y": Y}, drawn)
    return by_class(model, calls)


def few_features():
    """Every third feature of the typed cells."""
    return typed_cells()[:, ::3].copy()


def calls_of_classifier(model):
    """Weights are drawn by the position of features."""
    adata = few_features()
    X, labels = adata.to_df(), adata.obs
    y = labels["type"].astype(str)
    families = adata.var["family"]
    tables = {"X": X, "y": y, "families": families}
    fit_first = partial(clone(model).fit, families=families)
    if isinstance(model, AttentionBiLSTMClassifier):
        tables |= {"groups": labels["donor"], "source_X": X[:90], "source_y": y[:90]}
        fit_first = partial(fit_first, source=(X, y))

    def fit(X, y, families, groups=None, source_X=None, source_y=None):
        fit_again = partial(clone(model).fit, families=families)
        if groups is not None:
            fit_again = partial(fit_again, groups=groups, source=(source_X, source_y))
        again = fit_again(X, y)
        return of_cells(again.predict_proba(X), X)

    fitted = fit_first(X, y)
    calls = {
        "fit": Call(fit, tables, drawn=("X columns",)),
        "score": Call(fitted.score, {"X": X, "y": y}),
        **calls_of_answers(fitted, adata),
    }
    return by_class(model, calls)


def calls_of_data():
    X, Y, labels = cells().to_df(), cells().obsm["outputs"], cells().obs
    counts = cells().to_df("counts")
    totals = pd.Series(np.arange(80), counts.index) + counts.sum(axis=1).max()
    features, types = typed_cells().to_df(), typed_cells().obs
    about_features = typed_cells().var
    values = np.random.default_rng(0).uniform(1, 2, (4, len(scala.EPHYS_FEATURES)))
    raw = pd.DataFrame(values, columns=list(scala.EPHYS_FEATURES))
    raw["name sample"] = [f"x/09 18 2018 sample {i}.mat" for i in range(4)]
    mouse_cells = sbnn.typed_cells(mouse_features().drop(columns="ID"))
    normalizer = sbnn.CountNormalizer().fit(counts)

    def select_genes(counts):
        return pd.Series(preprocessing.select_genes(counts, 5).selected, counts.columns)

    def fit_normalizer(X):
        return sbnn.CountNormalizer().fit(X).transform(X)

    def pair(X, Y, labels, counts):
        return {
            "logarithms": sbnn.paired(X, Y, labels=labels, counts=counts),
            "counts": sbnn.paired(None, Y, labels=labels, counts=counts),
        }

    def read_anndata(expression, outputs, labels):
        return sbnn.read_tables(expression, outputs, labels)

    def normalize(counts, totals):
        normalized = preprocessing.normalize_library_size(counts, 1e4, totals)
        return of_cells(normalized, counts, columns=counts.columns)

    return {
        "paired": Call(pair, {"X": X, "Y": Y, "labels": labels, "counts": counts}),
        "read_tables": Call(
            sbnn.read_tables, {"expression": counts, "outputs": Y, "labels": labels}
        ),
        "CountNormalizer.fit": Call(fit_normalizer, {"X": counts}),
        "CountNormalizer.transform": Call(normalizer.transform, {"X": counts, "totals": totals}),
        "ephys_from_raw": Call(
            lambda **tables: scala.ephys_from_raw(**tables)[0],
            {"cell_features": raw, "metadata": as_published(MOTOR_CORTEX, "\t")},
        ),
        "typed_cells": Call(
            sbnn.typed_cells,
            {
                "X": features,
                "labels": types,
                "families": about_features["family"],
                "units": about_features["unit"],
            },
        ),
        "select_genes": Call(select_genes, {"counts": counts}),
        "normalize_library_size": Call(normalize, {"counts": counts, "totals": totals}),
        "log2p1": Call(
            lambda x: of_cells(preprocessing.log2p1(x), x, columns=x.columns), {"x": counts}
        ),
        "to_shared_features": Call(to_shared_features, {"data": mouse_cells}),
    }


def calls_of_evaluation():
    X, Y, labels = cells().to_df(), cells().obsm["outputs"], cells().obs
    both = {"X": X, "Y": Y}
    with_donors = {"data": cells(), "groups": labels["donor"]}
    draws_weights = ("X columns", "Y columns", "data columns")
    model = REGRESSORS["published"]
    few_genes = network(n_genes=3, random_state=0).fit(X, Y)
    stability = sbnn.selection_table(halves_record())

    def validate(X, Y):
        record = sbnn.cross_validate(sbnn.LeaveOneOutRidge(), (X, Y), 3, verbose=False)
        return pd.Series(record.test_feature_r2.mean(axis=(0, 1)), record.feature_names)

    def fit(X, Y):
        record = sbnn.fit_full(model, (X, Y))
        return of_cells(record.latent, X)

    def select(data, groups):
        record = sbnn.stability_selection(network(), data, n_pairs=2, groups=groups, verbose=False)
        return pd.Series(record.selected.sum(axis=(0, 1)), record.gene_names)

    def interpret(X, Y, stability):
        values = sbnn.interpret(few_genes, X, Y, stability=stability).values
        effects = pd.DataFrame(values["effects"], values["kept_genes"], values["feature_names"])
        return {"effects": effects, "table": values["table"]}

    def interpret_others(data, groups):
        return interpret_held_out(model, data, halves_record(), groups=groups).table

    def trust(data):
        record = sbnn.map_trust(
            model, data, network_record(), folds_record(), seeds=(network_record().seed,)
        )
        return pd.Series(record.errors, record.cell_names)

    def draw(X, Y):
        return of_cells(tsne_maps((X, Y)).transcriptome, X)

    def choose(data):
        return pd.Series(gene_selection(data, 5).selected, data.var_names)

    def explore(data):
        genes = page_data(network_record(), data=data)["genes"]
        values = np.frombuffer(base64.b64decode(genes["values"]), "<f4").reshape(-1, data.n_obs)
        return pd.DataFrame(values, genes["names"])

    return {
        "cross_validate": Call(validate, both),
        "fit_full": Call(fit, both, drawn=draws_weights),
        "stability_selection": Call(select, with_donors, drawn=("data rows", "data columns")),
        "interpret": Call(interpret, both | {"stability": stability}),
        "interpret_held_out": Call(interpret_others, with_donors, ("data rows", "data columns")),
        "map_trust": Call(trust, {"data": cells()}),
        "tsne_maps": Call(draw, both, drawn=draws_weights),
        "gene_selection": Call(choose, {"data": cells()}),
        "explore": Call(explore, {"data": cells()}),
    }


class LearnsOfSource(LogisticRegression):
    """Learns from the cells of the source alone."""

    def fit(self, X, y, source):
        return super().fit(*source)


def calls_of_types():
    """Positions of folds are those of cells."""
    adata = few_features()
    adata = adata[:, adata.to_df().notna().all()].copy()

    def validate(data, source):
        model = LearnsOfSource(solver="newton-cholesky")
        record = cross_validate_classifier(
            model, data, {0: two_folds(120)}, source=source, verbose=False
        )
        return pd.DataFrame(record.test_probabilities[0][0])

    def measure(data):
        record = family_importance(
            LogisticRegression(solver="newton-cholesky"),
            data,
            two_folds(120),
            n_shuffles=1,
            verbose=False,
        )
        return pd.DataFrame(record.left_out_log_loss, columns=record.family_names)

    tables = {"data": adata, "source": adata}
    return {
        "cross_validate_classifier": Call(validate, tables, drawn=("data rows",)),
        "family_importance": Call(measure, {"data": adata}, drawn=("data rows",)),
    }


def calls_of_screens():
    adata = screened_cells()
    counts, perturbation = adata.to_df().astype(int), adata.obs["perturbation"].astype(str)
    both = {"counts": counts, "perturbation": perturbation}
    model = SparseShiftVAE(n_latent=2, hidden=4, epochs=1, random_state=0)
    fitted = clone(model).fit(counts, perturbation)
    linear = LinearShift(3)
    new = {"counts": counts, "perturbation": "new " + perturbation}
    replicates = pd.DataFrame({"replicate": adata.obs_names.str[-1]}, adata.obs_names)

    def fit(counts, perturbation):
        return of_cells(clone(model).fit(counts, perturbation).transform(counts), counts)

    def fit_new(counts, perturbation):
        graph = fitted.fit_new_perturbations(counts, perturbation).shift_graph_
        return graph.set_index(["latent", "perturbation"])

    def bound(estimate, counts, perturbation):
        torch.manual_seed(0)
        return estimate(counts, perturbation, n_samples=2)

    def recover(adata):
        scores, _ = recovery(linear, adata)
        return without_time(scores)

    def recover_genes(adata):
        return without_time(recovery_of_genes(adata))

    def differ(adata):
        differences, edges = z_score_expression(adata)
        return {"differences": differences, "edges": edges}

    return {
        "SparseShiftVAE.fit": Call(fit, both, drawn=("counts columns",)),
        "SparseShiftVAE.fit_new_perturbations": Call(fit_new, new),
        "SparseShiftVAE.elbo": Call(partial(bound, fitted.elbo), both),
        "SparseShiftVAE.iwelbo": Call(partial(bound, fitted.iwelbo), both),
        "SparseShiftVAE.transform": calls_of_answers(fitted, adata)["transform"],
        "screen": Call(screen, both | {"labels": replicates}),
        "recovery": Call(recover, {"adata": adata}),
        "recovery_of_genes": Call(recover_genes, {"adata": adata}),
        "z_score_expression": Call(differ, {"adata": adata}),
        "edges_of": Call(edges_of, {"graph": fitted.shift_graph_}),
    }


def without_time(scores):
    return {name: score for name, score in scores.items() if name != "seconds"}


def calls_of_dynamics():
    """Values of genes in the order in which weights and random sets are drawn."""
    data = courses()
    train = data[data.obs["split"] == "train"].copy()
    prior = prior_table(data)
    tables = {"trajectories": train, "prior": prior}
    start = train[train.obs["time"] == 0].to_df()
    values = prior.abs().sum(axis=1)
    table = train.to_df().assign(sample=train.obs["sample"], time=train.obs["time"])
    phoenix = PhoenixRegressor(
        3,
        "dash",
        sparsity=0.5,
        schedule=(1, 0.3, 1, 0.5),
        epochs=4,
        n_prior_points=20,
        random_state=0,
    )

    def fit(model, trajectories, prior, **options):
        return clone(model).fit(trajectories, prior, **options).edge_scores_

    def predict(model, x0):
        return of_cells(model.predict(x0, [0.0, 1.0])[:, 1], x0, columns=model.gene_names_)

    def score(data):
        scores = evaluate(PriorAlone(), {0: data}, method="prior", condition="made up").scores
        return scores.drop(columns="seconds")

    def count_genes(values):
        return gene_set_test(values, {"first": values.index[:3]}, 9, random_state=0)["n_genes"]

    calls = {
        "trajectories": Call(trajectories, {"values": table}),
        "evaluate": Call(score, {"data": data}),
        "gene_set_test": Call(count_genes, {"values": values}),
    }
    for model in (phoenix, AutoRegression(), PriorAlone()):
        with_interactions = {"interactions": prior.abs()} if model is phoenix else {}
        drawn = ("trajectories columns",) if model is phoenix else ()
        fitted = clone(model).fit(train, prior)
        methods = {
            "fit": Call(partial(fit, model), tables | with_interactions, drawn),
            "predict": Call(partial(predict, fitted), {"x0": start}),
        }
        calls |= by_class(model, methods)
    return calls


@cache
def calls():
    """By the name of the function, with the class of a method."""
    every = {}
    for model in REGRESSORS.values():
        every |= calls_of_regressor(model)
    for model in CLASSIFIERS.values():
        every |= calls_of_classifier(model)
    every |= calls_of_data() | calls_of_evaluation() | calls_of_types()
    return every | calls_of_screens() | calls_of_dynamics()


@pytest.mark.filterwarnings("ignore:the one-step error")
@pytest.mark.parametrize("name", functions_of_tables())
def test_tables_are_matched_by_name_or_refused(name):
    call = calls()[name]
    usual = call.function(**call.tables)
    for which, tables in call.orders():
        try:
            changed = call.function(**tables)
        except ValueError:
            continue
        try:
            assert_alike(changed, usual)
        except AssertionError as error:
            raise AssertionError(f"{which} in another order: {error}") from None
