"""Small made-up records for tests of figures, checks of their texts, tables, and a model."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import FigureBase
from matplotlib.transforms import Bbox
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from sbnn.data.paired import as_paired, paired
from sbnn.models.bottleneck.distilled import forward_selection
from sbnn.results import Record


def history(rng, epochs, pretraining, level):
    """Table as `SparseBottleneckRegressor.history_`."""
    if not pretraining:
        epochs = 0, 0, epochs[1] + epochs[2], epochs[3]
    stages = np.repeat(["pretraining", "frozen", "unfrozen", "fine-tuning"], epochs)
    n = len(stages)
    epoch = np.arange(1, n + 1)
    rise = 1 - np.exp(-epoch / 3)
    r2 = level * rise + 0.01 * rng.normal(size=n)
    table = pd.DataFrame({"stage": stages.astype(object), "epoch": epoch})
    table["loss"] = 2 * np.exp(-np.arange(n) / 9)
    table["eval_loss"] = 2.1 * np.exp(-np.arange(n) / 20)
    table["eval_r2"] = np.where(stages == "pretraining", np.nan, r2)
    return table


def network_record(
    widths=(2, 64),
    lassos=(1e-4, 1e-2, 0.1, 1.0),
    variants=(True, False),
    n_folds=3,
    epochs=(5,) * 4,
):
    rng = np.random.default_rng(0)
    points, level, tables = [], [], []
    for width, lasso, pretraining in itertools.product(widths, lassos, variants):
        top = 0.3 + 0.03 * (width > 2) + 0.02 * lassos.index(lasso)
        points.append({"n_components": width, "group_lasso": lasso, "pretraining": pretraining})
        level.append(top)
        tables.append([history(rng, epochs, pretraining, top) for _ in range(n_folds)])
    shape = n_folds, len(points)
    values = {"history": tables, "n_selected": np.full(shape, 5)}
    values["test_r2"] = np.array(level) + 0.01 * rng.normal(size=shape)
    values["gene_norms"] = rng.exponential(size=(*shape, 40)).astype("f4")
    settings = {"estimator": {"class": "sbnn.SparseBottleneckRegressor", "params": {}}}
    return Record("cross-validation", "made up", "s", points, 0, settings, [], values)


def linear_record(ranks=(2, 16), n_folds=3):
    alphas = np.linspace(0.1, 1, 7)
    points = [{"rank": rank, "alpha": alpha} for rank in ranks for alpha in alphas]
    genes = np.tile([38, 25, 14, 9, 6, 3, 0], (n_folds, len(ranks)))
    noise = 0.01 * np.random.default_rng(1).normal(size=genes.shape)
    r2 = 0.2 + 0.004 * genes + 0.05 * np.repeat(np.array(ranks) > 2, 7) + noise
    values = {"test_r2": r2, "n_selected": genes}
    return Record("cross-validation", "made up", "s", points, values=values)


def ridge_record():
    values = {
        "test_r2": np.full((3, 1), 0.45),
        "gene_names": np.array([f"g{i}" for i in range(40)]),
    }
    settings = {"estimator": {"class": "sbnn.LeaveOneOutRidge", "params": {}}}
    return Record("cross-validation", "made up", "s", [{}], settings=settings, values=values)


def fit_record(
    width=2, n=90, n_genes=12, features=("AP width", "Tau", "x", "y"), norms=True, seed=0
):
    rng = np.random.default_rng(seed)
    family = np.resize(list("ABC"), n)
    kind = np.resize(["A1", "B2", "C1", "A2", "B1", "C2"], n)
    centres = [[0, 0], [6, 1], [2, 7]]
    embedding = np.resize(centres, (n, 2)) + rng.normal(size=(n, 2))
    if width == 1:
        embedding[:, 1] = 0
    colors = ["#AA0000", "#BB3300", "#00AA00", "#11BB11", "#0000AA", "#3333CC"]
    n_outputs = len(features)
    values = {"latent": np.zeros((n, width)), "embedding": embedding.astype("f4")}
    values["feature_names"] = np.array(features)
    values["predictions"] = rng.normal(size=(n, n_outputs))
    values["train_feature_r2"] = np.linspace(0.1, 0.9, n_outputs)
    values["outputs"] = np.random.default_rng(seed + 1).normal(size=(n, n_outputs))
    values["kept_genes"] = np.array([f"Gene{i}" for i in range(n_genes)])
    values["expression"] = np.zeros((n, n_genes))
    values["selected"] = np.arange(4 + n_genes) >= 4
    values["predicted_expression"] = np.tile(np.linspace(0.1, 2, n_genes), (n, 1))
    values["colors"] = dict(zip(["A1", "A2", "B1", "B2", "C1", "C2"], colors, strict=True))
    values["labels"] = pd.DataFrame({"family": family, "type": kind})
    if norms:
        values["gene_norms"] = np.r_[np.full(4, 99.0), np.arange(n_genes, dtype=float)]
    network = "sbnn.SparseBottleneckRegressor"
    settings = {"estimator": {"class": network, "params": {"n_components": width}}}
    return Record("fit", "made up", "s", [{}], 0, settings, [], values)


def selection_record(n=400, markers=("Pvalb", "Sst", "Vip", "Gad1", "Lamp5")):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 8, n)
    y = rng.uniform(0, 1, n)
    x[:5], y[:5] = 6 + 0.02 * np.arange(5), 0.5  # five markers on top of each other
    x[-1] = np.nan
    names = np.array([*markers, *(f"g{i}" for i in range(n - len(markers)))])
    values = {"gene_names": names, "mean_log2": x, "near_zero_frequency": y}
    values["selected"] = y > np.exp(-1.5 * (x - 2.5)) + 0.02
    values |= {"slope": 1.5, "b": 2.5, "offset": 0.02, "threshold": 30}
    return Record("gene-selection", "m", "c", [{}], values=values)


def drawn_texts(figure):
    """Every text that shows, tick labels outside the limits left out."""
    parts = figure.findobj(FigureBase)
    texts = [text for part in parts for text in part.texts]
    legends = [legend for part in parts for legend in part.legends]
    for ax in figure.axes:
        texts += [*ax.texts, ax.title, ax._left_title, ax._right_title]
        legends += [ax.get_legend()] if ax.get_legend() else []
        if not ax.axison:
            continue
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            inside = [low <= place <= high for place in axis.get_majorticklocs()]
            texts += [axis.label, *itertools.compress(axis.get_majorticklabels(), inside)]
    for legend in legends:
        texts += [*legend.get_texts(), legend.get_title()]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def assert_tidy(figure):
    """No two texts overlap, and none leaves the figure."""
    figure.draw_without_rendering()
    texts = drawn_texts(figure)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    page = figure.bbox.padded(1)
    for text, box in boxes:
        assert page.contains(box.x0, box.y0), text
        assert page.contains(box.x1, box.y1), text
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        both = Bbox.intersection(box_a, box_b)
        assert both is None or min(both.size) < 1, f"{a!r} and {b!r} overlap"


def words(figure):
    return "\n".join(text.get_text() for text in drawn_texts(figure))


def changed(data, **fields):
    """The same paired cells with other arrays, names or labels, as `as_paired` gives them."""
    now = {name: data.about[name] for name in ("source", "truth") if name in data.about}
    for name in ("name", "X", "Y", "gene_names", "feature_names", "cell_names", "labels"):
        now[name] = getattr(data, name)
    return as_paired(paired(**now | {"colors": data.colors, "counts": data.counts} | fields))


def table_of(data):
    return pd.DataFrame(data.X, data.cell_names, data.gene_names)


def counts_of(data):
    return pd.DataFrame(data.counts, data.cell_names, data.gene_names)


def outputs_of(data):
    return pd.DataFrame(data.Y.copy(), data.cell_names, data.feature_names)


class Weigher(RegressorMixin, BaseEstimator):
    """Ridge regression that reports the `n_genes` columns of greedy forward selection."""

    def __init__(self, n_genes=2):
        self.n_genes = n_genes

    def fit(self, X, y):
        self.gene_norms_ = np.abs(X.T @ y[:, 0]) + 1
        chosen = forward_selection(X - X.mean(0), y - y.mean(0), self.n_genes)
        self.kept_ = np.isin(np.arange(X.shape[1]), chosen)
        self.ridge_ = Ridge(10.0).fit(X, y)
        return self

    def predict(self, X):
        return self.ridge_.predict(X)

    def get_support(self):
        return self.kept_
