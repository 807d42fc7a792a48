"""Small made-up records for tests of figures, checks of their texts, tables, and a model."""

import itertools
from dataclasses import replace
from unittest import mock

import numpy as np
import pandas as pd
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from sklearn.linear_model import Ridge
from sklearn.preprocessing import scale

from sbnn.data.paired import as_paired, paired_cells
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.folds import paper_folds
from sbnn.models.distilled import forward_selection
from sbnn.results import Record


def ridge_record():
    values = {
        "test_r2": np.full((3, 1), 0.45),
        "gene_names": np.array([f"g{i}" for i in range(40)]),
    }
    settings = {"estimator": {"class": "sbnn.LeaveOneOutRidge", "params": {}}}
    return Record("cross-validation", "made up", "s", [{}], settings=settings, values=values)


def fit_record(width=2, n=90, n_genes=12, features=("AP width", "Tau", "x", "y"), norms=True):
    rng = np.random.default_rng(0)
    kinds = ["A1", "B2", "C1", "A2", "B1", "C2"]
    colors = ["#AA0000", "#11BB11", "#0000AA", "#BB3300", "#00AA00", "#3333CC"]
    centres = [[0, 0], [6, 1], [2, 7]]
    n_outputs = len(features)
    values = {
        "latent": np.zeros((n, width)),
        "embedding": (np.resize(centres, (n, 2)) + rng.normal(size=(n, 2))).astype("f4"),
        "feature_names": np.array(features),
        "predictions": rng.normal(size=(n, n_outputs)),
        "outputs": scale(rng.normal(size=(n, n_outputs))).astype("f4"),
        "train_feature_r2": np.linspace(0.1, 0.9, n_outputs),
        "kept_genes": np.array([f"Gene{i}" for i in range(n_genes)]),
        "expression": rng.normal(size=(n, n_genes)),
        "predicted_expression": np.tile(np.linspace(0.1, 2, n_genes), (n, 1)),
        "selected": np.arange(4 + n_genes) >= 4,
        "labels": pd.DataFrame({"family": np.resize(list("ABC"), n), "type": np.resize(kinds, n)}),
        "colors": dict(zip(kinds, colors, strict=True)),
        "cell_names": np.array([f"cell{i}" for i in range(n)]),
    }
    if norms:
        values["gene_norms"] = np.r_[np.full(4, 99.0), np.arange(n_genes, dtype=float)]
    params = {"n_components": width}
    settings = {"estimator": {"class": "sbnn.SparseBottleneckRegressor", "params": params}}
    return Record("fit", "made up", "s", [params], 0, settings, [], values)


def folds_of_fit(fit):
    """A cross-validation in the units of its folds, that held out all cells but the last few."""
    rng = np.random.default_rng(1)
    n_outputs = len(fit.feature_names)
    folds = paper_folds(len(fit.outputs), 4)
    predicted = [rng.normal(size=(len(test), n_outputs)).astype("f4") for _, test in folds]
    values = {
        "test_predictions": [[None] * 4, predicted],
        "test_r2": rng.uniform(size=(4, 2)),
        "test_feature_r2": rng.uniform(size=(4, 2, n_outputs)),
    }
    params = [{"n_components": 1}, {"n_components": 2}]
    estimator = {"class": "sbnn.SparseBottleneckRegressor", "params": {}}
    settings = {"scaling": "fold", "estimator": estimator}
    return Record("cross-validation", "made up", fit.sha256, params, 0, settings, folds, values)


def halves_record(selected, gene_names):
    """Genes that are selected (n_halves, n_genes) by fits to halves of the cells."""
    folds = complementary_pairs(40, len(selected) // 2)
    values = {"selected": selected[:, np.newaxis], "gene_names": gene_names}
    values["n_selected"] = values["selected"].sum(axis=2)
    return replace(ridge_record(), folds=folds, values=values)


def drawn_texts(figure):
    """Every text that shows."""
    drawn = []
    with mock.patch.object(Text, "draw", lambda text, renderer: drawn.append(text)):
        figure.draw_without_rendering()
    return [text for text in drawn if text.get_visible() and text.get_text().strip()]


def assert_tidy(figure):
    """No two texts overlap, and none leaves the figure."""
    page = figure.bbox.padded(1)
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(figure)]
    for text, box in boxes:
        assert page.contains(*box.min), text
        assert page.contains(*box.max), text
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        both = Bbox.intersection(box_a, box_b)
        assert both is None or min(both.size) < 1, f"{a!r} and {b!r} overlap"


def words(figure):
    return "\n".join(text.get_text() for text in drawn_texts(figure))


def changed(data, **fields):
    """The same paired cells with other arrays, names or labels, as `as_paired` gives them."""
    now = {"source": data.about["source"], "truth": data.truth, "library_size": data.library_size}
    for name in ("name", "X", "Y", "gene_names", "feature_names", "cell_names", "labels"):
        now[name] = getattr(data, name)
    return as_paired(paired_cells(**now | {"colors": data.colors, "counts": data.counts} | fields))


def table_of(data):
    return pd.DataFrame(data.X, data.cell_names, data.gene_names)


def counts_of(data):
    return pd.DataFrame(data.counts, data.cell_names, data.gene_names)


def outputs_of(data):
    return pd.DataFrame(data.Y.copy(), data.cell_names, data.feature_names)


class Weigher(Ridge):
    """Ridge regression that reports the `n_genes` columns of greedy forward selection."""

    def __init__(self, n_genes=2):
        super().__init__(10.0)
        self.n_genes = n_genes

    def fit(self, X, y):
        self.gene_norms_ = np.abs(X.T @ y[:, 0]) + 1
        chosen = forward_selection(X - X.mean(0), y - y.mean(0), self.n_genes, penalty=0.0)
        self.kept_ = np.isin(np.arange(X.shape[1]), chosen)
        return super().fit(X, y)

    def get_support(self):
        return self.kept_
