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

from sbnn.data.paired import as_paired, paired
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.folds import paper_folds
from sbnn.models.distilled import forward_selection
from sbnn.results import Record

TYPES = ["A1", "B2", "C1", "A2", "B1", "C2"]
COLORS = ["#AA0000", "#11BB11", "#0000AA", "#BB3300", "#00AA00", "#3333CC"]
CLUSTER_CENTRES = [[0, 0], [6, 1], [2, 7]]


def ridge_record():
    """A cross-validation in three folds."""
    values = {
        "test_r2": np.full((3, 1), 0.45),
        "gene_names": np.array([f"g{i}" for i in range(40)]),
    }
    return Record(
        experiment="cross-validation",
        dataset="made up",
        sha256="s",
        params=[{}],
        settings={"estimator": {"class": "sbnn.LeaveOneOutRidge", "params": {}}},
        values=values,
    )


def fit_record(width=2, n=90, n_genes=12, features=("AP width", "Tau", "x", "y"), norms=True):
    """A fit to all cells, of three families with two types each."""
    rng = np.random.default_rng(0)
    centres = np.resize(CLUSTER_CENTRES, (n, 2))
    n_outputs = len(features)
    labels = {"family": np.resize(list("ABC"), n), "type": np.resize(TYPES, n)}
    embedding = centres + rng.normal(size=(n, 2))
    predictions = rng.normal(size=(n, n_outputs))
    outputs = scale(rng.normal(size=(n, n_outputs)))
    values = {
        "latent": np.zeros((n, width)),
        "embedding": embedding.astype("f4"),
        "feature_names": np.array(features),
        "predictions": predictions,
        "outputs": outputs.astype("f4"),
        "train_feature_r2": np.linspace(0.1, 0.9, n_outputs),
        "kept_genes": np.array([f"Gene{i}" for i in range(n_genes)]),
        "expression": rng.normal(size=(n, n_genes)),
        "predicted_expression": np.tile(np.linspace(0.1, 2, n_genes), (n, 1)),
        "selected": np.arange(4 + n_genes) >= 4,
        "labels": pd.DataFrame(labels),
        "colors": dict(zip(TYPES, COLORS, strict=True)),
        "cell_names": np.array([f"cell{i}" for i in range(n)]),
    }
    if norms:
        values["gene_norms"] = np.append(np.full(4, 99.0), np.arange(n_genes))
    params = {"n_components": width}
    estimator = {"class": "sbnn.SparseBottleneckRegressor", "params": params}
    return Record(
        experiment="fit",
        dataset="made up",
        sha256="s",
        params=[params],
        seed=0,
        settings={"estimator": estimator},
        values=values,
    )


def cross_validation_record(fit):
    """A cross-validation of a fit, in the units of its folds, without the last few cells."""
    rng = np.random.default_rng(1)
    n_outputs = len(fit.feature_names)
    folds = paper_folds(len(fit.outputs), 4)
    predicted = []
    for _, test in folds:
        z_scores = rng.normal(size=(len(test), n_outputs))
        predicted.append(z_scores.astype("f4"))
    estimator = {"class": "sbnn.SparseBottleneckRegressor", "params": {}}
    return Record(
        experiment="cross-validation",
        dataset="made up",
        sha256=fit.sha256,
        params=[{"n_components": 1}, {"n_components": 2}],
        seed=0,
        settings={"scaling": "fold", "estimator": estimator},
        folds=folds,
        values={
            "test_predictions": [[None] * 4, predicted],
            "test_r2": rng.uniform(size=(4, 2)),
            "test_feature_r2": rng.uniform(size=(4, 2, n_outputs)),
            "feature_names": fit.feature_names,
        },
    )


def halves_record(selected, gene_names):
    """Genes that are selected (n_halves, n_genes) by fits to halves of the cells."""
    folds = complementary_pairs(40, len(selected) // 2)
    of_points = selected[:, np.newaxis]
    values = {"selected": of_points, "gene_names": gene_names, "n_selected": of_points.sum(axis=2)}
    return replace(ridge_record(), folds=folds, values=values)


def visible_texts(figure):
    """Every text that shows."""
    texts = []
    with mock.patch.object(Text, "draw", lambda text, renderer: texts.append(text)):
        figure.draw_without_rendering()
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def assert_tidy(figure):
    """No two texts overlap, and none leaves the figure."""
    page = figure.bbox.padded(1)
    # without the lines that lead from names to points
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in visible_texts(figure)]
    for text, box in boxes:
        assert page.contains(*box.min), text
        assert page.contains(*box.max), text
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        overlap = Bbox.intersection(box_a, box_b)
        is_apart = overlap is None or min(overlap.size) < 1
        assert is_apart, f"{a!r} and {b!r} overlap"


def figure_text(figure):
    """Every text that shows, one on each line."""
    return "\n".join(text.get_text() for text in visible_texts(figure))


def change_data(data, **fields):
    """The same paired cells with other arrays, names or labels, as `as_paired` gives them."""
    usual = {
        "colors": data.colors,
        "counts": data.counts,
        "library_size": data.library_size,
        "source": data.about["source"],
        "truth": data.truth,
    }
    for name in ("name", "X", "Y", "gene_names", "feature_names", "cell_names", "labels"):
        usual[name] = getattr(data, name)
    return as_paired(paired(**usual | fields))


def expression_frame(data):
    return pd.DataFrame(data.X, data.cell_names, data.gene_names)


def counts_frame(data):
    return pd.DataFrame(data.counts, data.cell_names, data.gene_names)


def outputs_frame(data):
    return pd.DataFrame(data.Y.copy(), data.cell_names, data.feature_names)


class SelectingRidge(Ridge):
    """Ridge regression that reports the `n_genes` columns of greedy forward selection."""

    algorithm_version = 1

    def __init__(self, n_genes=2):
        super().__init__(10.0)
        self.n_genes = n_genes

    def fit(self, X, y):
        products = X.T @ y[:, 0]
        self.gene_norms_ = np.abs(products) + 1
        X_centred = X - X.mean(0)
        y_centred = y - y.mean(0)
        chosen = forward_selection(X_centred, y_centred, self.n_genes, penalty=0.0)
        genes = np.arange(X.shape[1])
        self.kept_ = np.isin(genes, chosen)
        return super().fit(X, y)

    def get_support(self):
        return self.kept_
