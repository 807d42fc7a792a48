"""Every series of every figure is read back from the axes and compared with its records.

Records are made up of random numbers, and name outputs, genes, methods and grid points in an order
of their own: a series that is drawn by position instead of by name differs.
"""

import importlib
import inspect
import pkgutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from drawn import (
    band_colors,
    bands_of,
    bars_of,
    diamonds_of,
    dots_of,
    error_bars,
    heights,
    legend_of,
    levels_of,
    line_colors,
    lines_of,
    nearest_groups,
    slopes_of,
    sort_cells,
    tick_names,
)
from made_up import COLORS, TYPES, fit_record, halves_record, ridge_record
from matplotlib.colors import to_hex
from scipy.stats import gmean, zscore
from sklearn.linear_model import LinearRegression

import sbnn
from sbnn import plotting
from sbnn.data.paired import paired
from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import plotting as ephys_types
from sbnn.plotting.colors import BLUE, BOTTLENECK_COLORS, GREEN, VERMILLION
from sbnn.plotting.maps import panel_coordinates

OUTPUTS = ["Tau", "AHP", "Rebound", *(f"output {letter}" for letter in "abcdefgh")]
GENES = [f"Gene{letter}" for letter in "ABCDEFGHIJKL"]
LINEAR = to_hex("0.35")
NO_FIGURES = {"save_figure", "style"}
#: By name of a figure function: a function that returns, by series, what is drawn and expected.
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def figure_functions():
    """Names of public functions that return a figure; those of a study only choose records."""
    names = set(plotting.__all__) - NO_FIGURES
    for module in pkgutil.walk_packages(sbnn.__path__, "sbnn."):
        if module.name.startswith(("sbnn.plotting", "sbnn.study", "sbnn.__main__")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            is_public = inspect.isfunction(value) and not name.startswith("_")
            if not is_public or value.__module__ != module.name:
                continue
            if "Figure" in str(inspect.signature(value).return_annotation):
                names.add(name)
    return names


def differ(drawn, expected):
    """Whether names, texts or numbers differ; entries of a dict have an order, too."""
    if isinstance(expected, dict):
        if list(drawn) != list(expected):
            return True
        return any(differ(drawn[name], expected[name]) for name in expected)
    drawn, expected = np.asarray(drawn), np.asarray(expected)
    if drawn.shape != expected.shape:
        return True
    if expected.dtype.kind == "U":
        return drawn.tolist() != expected.tolist()
    return not np.allclose(drawn.astype(float), expected, rtol=1e-5, atol=1e-6)


def test_every_figure_is_read_back():
    assert figure_functions() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_drawn_series_are_those_of_records(name):
    series = CASES[name]()
    wrong = {key: pair for key, pair in series.items() if differ(*pair)}
    assert wrong == {}


def one_score_of_two():
    return plotting.latent_panels(random_fit(0), bottom=random_fit(0), scores=scores_of_fits()[:1])


def other_outputs():
    other = folds_record("LeaveOneOutRidge", [{}], seed=0, outputs=["Tau", "AHP"])
    return plotting.output_accuracy({"ridge": models_of_outputs()["ridge"], "other": other})


def three_latents():
    return plotting.bibiplot(random_fit(0, width=3))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (one_score_of_two, "scores: expected 2, one for each fit, got 1"),
        (other_outputs, "'made up' has no test R² of output '"),
        (three_latents, "expected 2 latents, got 3"),
    ],
)
def test_records_that_cannot_be_drawn_are_refused(draw, words):
    with pytest.raises(ValueError, match=words):
        draw()


# --- made-up records


def sample_sd(values):
    return np.std(values, axis=0, ddof=1)


def band_expected(values):
    mean, sd = np.mean(values, axis=0), sample_sd(values)
    return np.array([mean - sd, mean + sd])


def cells_expected(xy, types):
    """As `dots_of`, for cells of these types."""
    palette = dict(zip(TYPES, COLORS, strict=True))
    return sort_cells(xy, [palette[name] for name in types])


def folds_record(model, params, seed, n_folds=3, n_selected=None, outputs=OUTPUTS, **values):
    """A cross-validation of random R2, with outputs in random order."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(outputs)
    feature_r2 = rng.uniform(0.05, 0.95, size=(n_folds, len(params), len(names)))
    usual = {
        "test_r2": rng.uniform(0.1, 0.9, size=(n_folds, len(params))),
        "test_feature_r2": feature_r2,
        "feature_names": names,
        "gene_names": np.array(GENES),
    }
    if n_selected is not None:
        usual["n_selected"] = np.add.outer(np.arange(n_folds) - (n_folds - 1) // 2, n_selected)
    settings = {"estimator": {"class": f"sbnn.{model}", "params": {}}, "scaling": "fold"}
    return replace(
        ridge_record(),
        dataset="made up",
        params=params,
        settings=settings,
        values=usual | values,
        folds=[([], [])] * n_folds,
    )


def r2_by_output(record, point):
    """Table of folds and outputs."""
    return pd.DataFrame(record.test_feature_r2[:, point], columns=record.feature_names)


def random_fit(seed, width=2):
    """A fit in which predictions rise linearly on the map."""
    rng = np.random.default_rng(seed)
    fit = fit_record(width=width, features=rng.permutation(OUTPUTS), n_genes=len(GENES))
    order = rng.permutation(len(fit.labels))
    centred = fit.embedding[order] - fit.embedding.mean(axis=0)
    fit.values |= {
        "embedding": fit.embedding[order],
        "latent": fit.embedding[order] if width == 2 else np.zeros((len(order), width)),
        "labels": fit.labels.iloc[order].reset_index(drop=True),
        "predictions": centred @ rng.uniform(-0.2, 0.2, size=(2, len(OUTPUTS))),
        "predicted_expression": centred @ rng.uniform(-0.2, 0.2, size=(2, len(GENES))),
        "kept_genes": rng.permutation(GENES),
        "gene_norms": np.append(np.full(4, 99.0), rng.uniform(size=len(GENES))),
        "train_feature_r2": rng.uniform(0.1, 0.9, size=len(OUTPUTS)),
    }
    fit.values["outputs"] = fit.outputs + centred @ rng.uniform(-1, 1, size=(2, len(OUTPUTS)))
    fit.values["expression"] = fit.expression + centred @ rng.uniform(-1, 1, size=(2, len(GENES)))
    return fit


def table_of(fit, name):
    """Values of a fit with their names."""
    is_of_genes = fit.values[name].shape[1] == len(GENES)
    names = fit.kept_genes if is_of_genes else fit.feature_names
    return pd.DataFrame(fit.values[name], columns=names)


def slopes_expected(fit, table):
    """Slopes of each column of a table on the map of a fit."""
    coordinates = panel_coordinates(fit.embedding, proportional=fit.latent.shape[1] > 2)
    return dict(zip(table, LinearRegression().fit(coordinates, table).coef_, strict=True))


def genes_by_norm(fit):
    norms = pd.Series(fit.gene_norms[fit.selected], fit.kept_genes)
    return norms.sort_values(ascending=False).index.tolist()


NETWORK_PARAMS = [
    {"n_components": 64, "group_lasso": 0.1, "pretraining": True},
    {"n_components": 2, "group_lasso": 0.1, "pretraining": False},
    {"n_components": 2, "group_lasso": 0.01, "pretraining": True},
    {"n_components": 64, "group_lasso": 0.001, "pretraining": True},
    {"n_components": 2, "group_lasso": 0.1, "pretraining": True},
]
STAGES = ["pretraining"] * 4 + ["frozen"] * 2 + ["unfrozen"] * 2 + ["fine-tuning"] * 3
N_EPOCHS, N_PRETRAINING = 7, 4
PUBLISHED = [
    {"n_components": 64, "group_lasso": 0.1, "pretraining": True, "n_genes": 5, "test_r2": 0.15},
    {"n_components": 2, "group_lasso": 0.1, "pretraining": True, "n_genes": 5, "test_r2": 0.25},
    {"rank": 16, "n_genes": 7, "test_r2": 0.35},
]


def network_record(seed=0, params=NETWORK_PARAMS):
    """Networks with five genes in the median, and their training."""
    rng = np.random.default_rng(seed)
    history = []
    for _ in params:
        tables = []
        for _ in range(3):
            table = pd.DataFrame(rng.uniform(0.1, 0.9, size=(len(STAGES), 3)))
            table.columns = ["loss", "eval_r2", "eval_loss"]
            tables.append(table.assign(stage=STAGES))
        history.append(tables)
    return folds_record(
        "SparseBottleneckRegressor",
        params,
        seed=seed,
        n_selected=[5, 6, 5, 4, 7][: len(params)],
        history=history,
        gene_norms=rng.uniform(0.1, 9, size=(3, len(params), len(GENES))),
    )


def linear_record():
    """Sparse reduced-rank regression, from many genes to none."""
    params = [{"rank": rank, "alpha": alpha} for alpha in range(5) for rank in (16, 2)]
    n_selected = np.repeat([9, 7, 6, 4, 0], 2)
    record = folds_record("SparseReducedRankRegression", params, seed=3, n_selected=n_selected)
    record.values["n_selected"] = record.n_selected.clip(0)
    return record


def curve(network, point, column="eval_r2"):
    """A column of the training, (n_folds, n_epochs), of the pretraining if it is a loss."""
    in_pretraining = np.array(STAGES) == "pretraining"
    shown = in_pretraining if column.endswith("loss") else ~in_pretraining
    return np.array([table[column][shown] for table in network.history[point]])


def r2_label(record, point):
    r2 = record.test_r2[:, point]
    return f"{r2.mean():.3f} ± {sample_sd(r2):.3f}"


def linear_levels(srrr):
    """R2 of linear models with at most five genes, by label."""
    levels = {}
    for rank in (2, 16):
        r2 = srrr.test_r2[:, srrr.params.index({"rank": rank, "alpha": 3})].mean()
        levels[f"sRRR, rank {rank}, 4 genes: {r2:.3f}"] = r2
    return levels


FAMILIES = {name: name for name in "ABC"}
#: Of the most frequent type, or the first in the alphabet.
FAMILY_COLORS = {"A": "#aa0000", "B": "#00aa00", "C": "#0000aa"}
TRUSTED = ("GeneE", "GeneA")


def map_series(ax, fit, xy):
    """Cells on a map in the colours of their types, and names of families."""
    title = ax.get_title()
    return {
        f"{title}, cells": (dots_of(ax), cells_expected(xy, fit.labels["type"])),
        f"{title}, families": (nearest_groups(ax, xy, fit.labels["family"]), FAMILIES),
    }


def close_slopes(panels, expected):
    """Expected slopes, or those drawn if they are as close as half a layer allows."""
    drawn = [slopes_of(ax) for ax in panels]
    return [
        slopes if np.allclose(slopes, exact, rtol=0.03, atol=0.03) else exact
        for slopes, exact in zip(drawn, expected.values(), strict=True)
    ]


def fit_series(part, fit, score):
    """The small maps of nine genes and nine outputs, and the cells between them."""
    left, middle, right = part.subfigs
    folds, point = find_point(score)
    r2 = r2_by_output(folds, point).mean()
    accuracy = pd.Series(fit.train_feature_r2, fit.feature_names).sort_values(ascending=False)
    published = ["AHP", "Tau", "Rebound"]
    names = [*published, *accuracy.index.drop(published)]
    outputs = {f"{name} {r2[name]:.2f}": name for name in names[:9]}
    of_genes = slopes_expected(fit, table_of(fit, "predicted_expression"))
    of_outputs = slopes_expected(fit, table_of(fit, "predictions"))
    expected_maps = {
        "genes": {name: of_genes[name] for name in genes_by_norm(fit)[:9]},
        "outputs": {title: of_outputs[name] for title, name in outputs.items()},
    }
    width = fit.latent.shape[1]
    title = part.get_suptitle()
    series = {}
    for name, side in {"genes": left, "outputs": right}.items():
        panels, expected = side.axes[:9], expected_maps[name]
        series |= {
            f"{width}, titles of {name}": ([ax.get_title() for ax in panels], [*expected]),
            f"{width}, {name}": (
                [slopes_of(ax) for ax in panels],
                close_slopes(panels, expected),
            ),
        }
    [cells] = middle.axes
    xy = panel_coordinates(fit.embedding, proportional=width > 2)
    mean_r2 = f"test R² {folds.test_r2[:, point].mean():.2f}"
    return {
        f"{width}, title": (title.split(": ")[1], mean_r2),
        **series,
        **{f"{width}{key}": pair for key, pair in map_series(cells, fit, xy).items()},
    }


def scores_of_fits():
    """Cross-validations of two networks, with outputs in orders of their own."""
    params = [{"n_components": width} for width in (64, 1, 2)]
    records = [folds_record("SparseBottleneckRegressor", params, seed=seed) for seed in (5, 6)]
    return [(records[0], {"n_components": 2}), (records[1], {"n_components": 64})]


def find_point(score):
    record, params = score
    return record, record.params.index(params)


def halves_of_genes(seed):
    """Fits to 20 halves that always keep two of 60 genes, and some as often as their places."""
    rng = np.random.default_rng(seed)
    often = rng.permutation([name for name in GENES if name not in TRUSTED])[:8]
    counts = dict(zip(often, rng.permutation(np.arange(1, 9)), strict=True))
    counts |= {name: 20 for name in TRUSTED}
    names = rng.permutation([*GENES, *(f"other{i}" for i in range(48))])
    kept = np.array([counts.get(name, 0) for name in names])
    record = halves_record(np.arange(20)[:, np.newaxis] < kept, names)
    record.values["cells_behind"] = np.full(len(names), 100.0)
    table = pd.Series(kept / 20, names)
    return record, table[table > 0].sort_values(ascending=False, kind="stable")


def networks_by_width():
    """Two networks of different widths, stored in other orders."""
    return {
        "distilled": (
            folds_record(
                "DistilledBottleneckRegressor",
                [{"n_components": width} for width in (4, 1, 2)],
                seed=7,
                n_selected=[8, 8, 8],
            ),
            {},
        ),
        "published": (
            folds_record(
                "SparseBottleneckRegressor",
                [
                    {"n_components": width, "pretraining": pretraining}
                    for width in (64, 2)
                    for pretraining in (False, True)
                ],
                seed=8,
                n_folds=4,
                n_selected=[9, 9, 9, 9],
            ),
            {"pretraining": True},
        ),
    }


def width_series(ax, networks):
    """Mean and SD by width, of which the second network is drawn 3 % to the right."""
    points = {"distilled": {1: 1, 2: 2, 4: 0}, "published": {2: 3, 64: 1}}
    drawn, expected = {}, {}
    for place, container in enumerate(ax.containers):
        name = container.get_label()
        record, _ = networks[name]
        drawn[name] = error_bars(container)
        rows = []
        for width, point in points[name].items():
            r2 = record.test_r2[:, point]
            rows.append([width * 1.03**place, r2.mean(), 0, sample_sd(r2)])
        expected[name] = rows
    colors = [to_hex(container.lines[0].get_color()) for container in ax.containers]
    genes_and_folds = "8 or 10 genes, mean ± SD over 3 or 4 folds, scaled per fold"
    return {
        "widths": (drawn, expected),
        "names of widths": ([*drawn], [*networks]),
        "colours of widths": (colors, [to_hex(GREEN), to_hex(VERMILLION)]),
        "ticks of widths": (tick_names(ax.xaxis), ["1", "2", "4", "64"]),
        "genes and folds": (
            ax.get_xlabel(),
            f"units of the bottleneck, d ({genes_and_folds})",
        ),
    }


def models_of_outputs():
    linear = linear_record()
    ridge = folds_record("LeaveOneOutRidge", [{}], seed=4, n_folds=4)
    return {"linear": (linear, {"rank": 2}), "ridge": ridge}


def output_series(ax, models):
    """R2 of outputs, which the first model sorts."""
    linear, ridge = models["linear"][0], models["ridge"]
    # the most genes of at most 25
    point = linear.params.index({"rank": 2, "alpha": 0})
    tables = {"linear": r2_by_output(linear, point), "ridge": r2_by_output(ridge, 0)}
    names = tables["linear"].mean().sort_values(ascending=False).index
    rows = np.arange(len(names))
    expected = {}
    for shift, (name, table) in zip((-0.07, 0.07), tables.items(), strict=True):
        table = table[names]
        expected[name] = np.column_stack(
            [table.mean(), rows + shift, sample_sd(table), np.zeros(len(rows))]
        )
    colors = [to_hex(container.lines[0].get_color()) for container in ax.containers]
    return {
        "outputs": (tick_names(ax.yaxis), names.tolist()),
        "R2 of outputs": (
            {container.get_label(): error_bars(container) for container in ax.containers},
            expected,
        ),
        "colours of outputs": (colors, [LINEAR, to_hex(BLUE)]),
    }


# --- cases, in the order of the modules


@case
def training_curves():
    network, srrr = network_record(), linear_record()
    figure = plotting.training_curves(network, srrr=srrr, published=PUBLISHED)
    points = {2: {0.01: 2, 0.1: 4}, 64: {0.001: 3, 0.1: 0}}
    series = {}
    for row, (width, point_by_strength) in enumerate(points.items()):
        left, right = figure.axes[2 * row], figure.axes[2 * row + 1]
        labels = {}
        for strength, point in point_by_strength.items():
            label = f"λ = {strength:g}: {r2_label(network, point)}"
            if strength == 0.1:
                published = {2: "0.250", 64: "0.150"}[width]
                label += f" (◇ published {published})"
            labels[label] = point
        curves = {label: curve(network, point) for label, point in labels.items()}
        lines = lines_of(left, N_EPOCHS)
        *_, last_color = line_colors(lines).values()
        shades = [sum(bytes.fromhex(shade[1:])) for shade in line_colors(lines).values()]
        series |= {
            f"{width}, epochs": (lines[label].get_xdata(), range(1, N_EPOCHS + 1)),
            f"{width}, R2": (
                heights(lines),
                {label: values.mean(axis=0) for label, values in curves.items()},
            ),
            f"{width}, bands": (
                bands_of(left),
                [band_expected(values) for values in curves.values()],
            ),
            f"{width}, colours of bands": (
                band_colors(left),
                [*line_colors(lines).values()],
            ),
            f"{width}, from dark to pale": (shades, sorted(shades)),
            f"{width}, published": (
                diamonds_of(left),
                {last_color: (N_EPOCHS, {2: 0.25, 64: 0.15}[width])},
            ),
            f"{width}, linear": (levels_of(left, "sRRR"), linear_levels(srrr)),
            f"{width}, stages": (
                {text.get_text(): text.get_position()[0] for text in left.texts[:2]},
                {"unfreezing": 2.5, "pruning": 4.5},
            ),
            f"{width}, norms": (
                [line.get_ydata() for line in right.lines[:2]],
                [
                    gmean(np.sort(network.gene_norms[:, point])[:, ::-1])
                    for point in labels.values()
                ],
            ),
            f"{width}, colours of norms": (
                [to_hex(line.get_color()) for line in right.lines[:2]],
                [*line_colors(lines).values()],
            ),
            f"{width}, number of genes": (right.lines[2].get_xdata(), [5, 5]),
        }
    return series


@case
def bottleneck_comparison():
    network, srrr = network_record(), linear_record()
    ridge = folds_record("LeaveOneOutRidge", [{}], seed=4)
    at_once = network_record(seed=5, params=[{"frozen_layers": 0}])
    figure = plotting.bottleneck_comparison(
        network, srrr=srrr, ridge=ridge, published=PUBLISHED, n_components=(64, 2), at_once=at_once
    )
    by_genes, pretraining, regression = figure.axes
    first, second = BOTTLENECK_COLORS[:2]
    points = {64: 0, 2: 4}
    ridge_r2 = ridge.test_r2.mean()
    drawn, expected = {}, {}
    for place, ((width, point), container) in enumerate(
        zip(points.items(), by_genes.containers, strict=True)
    ):
        drawn[container.get_label()] = error_bars(container)
        published = {2: 0.25, 64: 0.15}[width]
        label = f"sBNN, d = {width}, λ = 0.1: {r2_label(network, point)}"
        r2 = network.test_r2[:, point]
        n_genes = network.n_selected[:, point].mean()
        expected[f"{label} (◇ published {published:.3f})"] = [
            [n_genes * 1.06**place, r2.mean(), 0, sample_sd(r2)]
        ]
    paths = [line for line in by_genes.lines if line.get_label().startswith("sRRR")]
    path_values = {}
    for label, rank in zip(linear_levels(srrr), (2, 16), strict=True):
        # from few genes to many, without the model of none
        of_rank = [srrr.params.index({"rank": rank, "alpha": alpha}) for alpha in (3, 2, 1, 0)]
        path_values[label] = srrr.test_r2[:, of_rank]
    losses = lines_of(pretraining, N_PRETRAINING)
    curves = lines_of(regression, N_EPOCHS)
    loss_values, curve_values = {}, {}
    for width, point in points.items():
        loss_values[f"d = {width}, validation"] = curve(network, point, "eval_loss")
        loss_values[f"d = {width}, training"] = curve(network, point, "loss")
        curve_values[f"d = {width}"] = curve(network, point)
    curve_values["d = 2, no pretraining"] = curve(network, 1)
    curve_values["d = 2, none frozen"] = curve(at_once, 0)
    return {
        "networks": (drawn, expected),
        "colours of networks": (
            [to_hex(container.lines[0].get_color()) for container in by_genes.containers],
            [to_hex(first), to_hex(second)],
        ),
        "published": (
            diamonds_of(by_genes),
            {
                to_hex(first): (5 / 1.06, 0.15),
                to_hex(second): (7 / 1.06**2, 0.25),
                LINEAR: (7, 0.35),
            },
        ),
        "ridge": (
            levels_of(by_genes, "ridge"),
            {f"ridge, 12 genes: {ridge_r2:.3f}": ridge_r2},
        ),
        "paths": (
            {line.get_label(): line.get_xydata() for line in paths},
            {
                label: np.column_stack([[4, 6, 7, 9], values.mean(axis=0)])
                for label, values in path_values.items()
            },
        ),
        "bands of paths": (
            bands_of(by_genes),
            [band_expected(values) for values in path_values.values()],
        ),
        "losses": (
            heights(losses),
            {label: values.mean(axis=0) for label, values in loss_values.items()},
        ),
        "bands of losses": (
            bands_of(pretraining),
            [band_expected(loss_values[f"d = {width}, validation"]) for width in points],
        ),
        "colours of losses": (
            [*line_colors(losses).values()],
            [to_hex(color) for color in (first, first, second, second)],
        ),
        "R2 in training": (
            heights(curves),
            {label: values.mean(axis=0) for label, values in curve_values.items()},
        ),
        "bands of R2": (
            bands_of(regression),
            [band_expected(curve_values[f"d = {width}"]) for width in points],
        ),
        "colours of R2": (
            line_colors(curves),
            {
                "d = 64": to_hex(first),
                "d = 2": to_hex(second),
                "d = 2, no pretraining": to_hex(second),
                "d = 2, none frozen": to_hex("black"),
            },
        ),
        "linear": (levels_of(regression, "sRRR"), linear_levels(srrr)),
    }


@case
def bibiplot():
    fit = random_fit(0)
    figure = plotting.bibiplot(fit)
    groups = {f"{name} (30)": color for name, color in FAMILY_COLORS.items()}
    series = {"legend": (legend_of(figure), groups)}
    outputs = table_of(fit, "outputs")
    from_outputs = LinearRegression().fit(outputs, fit.latent).predict(outputs)
    sources = [(fit.latent, table_of(fit, "expression")), (from_outputs, outputs)]
    for ax, (latents, table) in zip(figure.axes, sources, strict=True):
        title = ax.get_title()
        correlations = np.corrcoef(table.T, latents.T)[: table.shape[1], -2:]
        tips = pd.DataFrame(2.5 * correlations, table.columns)
        lengths = np.hypot(tips[0], tips[1]).sort_values(ascending=False)
        tips = tips.loc[lengths.index[lengths > 2.5 * 0.3]]
        lines = [line for line in ax.lines if line.get_lw() == 0.7]
        names = [text.get_text() for text in ax.texts[1:]]
        series |= {
            f"{title}, cells": (dots_of(ax), cells_expected(zscore(latents), fit.labels["type"])),
            f"{title}, names": (names, tips.index.tolist()),
            f"{title}, lines": ([line.get_xydata()[1] for line in lines], tips.to_numpy()),
        }
    return series


@case
def cell_maps():
    fit = random_fit(0)
    rng = np.random.default_rng(1)
    maps = {"second": fit.embedding, "first": fit.embedding[:, ::-1] ** 3}
    numbers = pd.DataFrame(rng.normal(size=(90, 4)), fit.cell_names, list("abcd"))
    cells = paired(
        X=numbers[["a", "b"]],
        Y=numbers[["c", "d"]],
        labels=fit.labels.set_index(fit.cell_names),
        colors=fit.colors,
    )
    figure = plotting.cell_maps(maps, cells)
    series = {}
    for ax, (title, places) in zip(figure.axes, maps.items(), strict=True):
        series[title] = (ax.get_title(), title)
        series |= map_series(ax, fit, panel_coordinates(places, proportional=False))
    return series


@case
def map_trust_panels():
    fit = random_fit(0)
    rng = np.random.default_rng(1)
    record = ridge_record()
    values = {"errors": rng.uniform(size=90), "spread": rng.uniform(size=90)}
    values["errors"][7] = np.nan
    record.values = values | {"latent": fit.embedding, "agreement": np.array([0.9, 0.7])}
    figure = plotting.map_trust_panels(record, fit)
    xy = panel_coordinates(fit.embedding, proportional=False)
    labels = ["mean squared error of a cell (z-scores)", "distance moved / map size"]
    series = {"colour bars": ([ax.get_ylabel() for ax in figure.axes[2:]], labels)}
    for ax, name in zip(figure.axes, values, strict=False):
        [dots] = ax.collections
        order = np.argsort(values[name])[: np.isfinite(values[name]).sum()]
        series |= {
            f"{name}": (dots.get_array(), values[name][order]),
            f"{name}, places": (dots.get_offsets(), xy[order]),
            f"{name}, families": (nearest_groups(ax, xy, fit.labels["family"]), FAMILIES),
        }
    return series


@case
def tsne_pair():
    fit = random_fit(0)
    places = {"outputs": fit.embedding[:, ::-1] ** 3, "transcriptome": fit.embedding}
    record = replace(fit, values=fit.values | places | {"n_outputs": 2, "n_transcriptome": 3})
    genes, outputs = plotting.tsne_pair(record, titles=("genes", "traits")).axes
    return {
        "titles": (
            [genes.get_title(), outputs.get_title()],
            ["genes, t-SNE of 3 principal components", "traits, 2 outputs"],
        ),
        **map_series(genes, fit, panel_coordinates(places["transcriptome"], proportional=True)),
        **map_series(outputs, fit, panel_coordinates(places["outputs"], proportional=False)),
    }


@case
def effect_map():
    """Genes and outputs are similar to the next in the alphabet, and stored in other orders."""
    rng = np.random.default_rng(0)
    genes, outputs = rng.permutation(GENES), rng.permutation(OUTPUTS)
    from_a, from_tau = pd.Series(GENES).index + 1, pd.Series(OUTPUTS).index - 4.5
    table = pd.DataFrame(np.outer(from_a, from_tau), GENES, OUTPUTS).loc[genes, outputs]
    record = ridge_record()
    record.values = {"effects": table.to_numpy(), "kept_genes": genes, "feature_names": outputs}
    ax, _ = plotting.effect_map(record).axes
    rows, columns = tick_names(ax.yaxis), tick_names(ax.xaxis)
    [image] = ax.images
    from_first = sorted([rows, rows[::-1]], key=lambda names: OUTPUTS.index(names[0]))[0]
    return {
        "outputs": (from_first, OUTPUTS),
        "genes": (min(columns, columns[::-1]), GENES),
        "effects": (image.get_array(), table.T.loc[rows, columns]),
        "colours": (image.get_clim(), np.multiply([-1, 1], table.abs().to_numpy().max())),
    }


@case
def gene_selection_curve():
    rng = np.random.default_rng(0)
    mean, frequency = rng.uniform(0, 9, 40), rng.uniform(size=40)
    mean[3] = -np.inf  # without counts
    selected = rng.random(40) < 0.4
    record = ridge_record()
    record.values = {
        "mean_log2": mean,
        "near_zero_frequency": frequency,
        "selected": selected,
        "slope": 1.5,
        "b": 2.5,
        "offset": 0.02,
        "threshold": 32,
    }
    others, chosen, rule = plotting.gene_selection_curve(record).axes[0].lines
    drawn = np.isfinite(mean)
    places = np.column_stack([mean, frequency])
    return {
        "others": (others.get_xydata(), places[drawn & ~selected]),
        "selected": (chosen.get_xydata(), places[drawn & selected]),
        "colours": ([others.get_color(), chosen.get_color()], ["0.6", "0.15"]),
        "rule": (rule.get_ydata(), np.exp(-1.5 * (rule.get_xdata() - 2.5)) + 0.02),
        "labels": (
            [others.get_label(), chosen.get_label(), rule.get_label()],
            [
                "others",
                f"{(drawn & selected).sum()} selected genes",
                "exp(−1.5 (x − 2.50)) + 0.02",
            ],
        ),
    }


@case
def genes_curve():
    """20 genes are as good as 40, and 10 are not."""
    params = [{"n_genes": n_genes} for n_genes in (10, 20, 40)]
    record = folds_record("DistilledBottleneckRegressor", params, seed=0, n_selected=[10, 20, 40])
    noise = np.array([[0.001, 0.002, 0.003], [0.003, 0.003, 0.002], [0.002, 0.002, 0.003]])
    record.values["test_r2"] = noise + np.array([0.1, 0.5, 0.5])
    record.folds = [(range(20), range(10))] * 3
    [ax] = plotting.genes_curve(record).axes
    *folds, mean, enough = ax.lines
    return {
        "folds": ([line.get_ydata() for line in folds], record.test_r2),
        "numbers of genes": ([line.get_xdata() for line in folds], [[10, 20, 40]] * 3),
        "means": (mean.get_xydata(), np.column_stack([[10, 20, 40], record.test_r2.mean(axis=0)])),
        "band": (bands_of(ax), [band_expected(record.test_r2)]),
        "colour": ([to_hex(mean.get_color()), *band_colors(ax)], [to_hex(GREEN)] * 2),
        "enough": (enough.get_xdata(), [20, 20]),
        "text": ([text.get_text() for text in ax.texts], ["20 suffice"]),
    }


@case
def selection_frequencies():
    record, table = halves_of_genes(0)
    [ax] = plotting.selection_frequencies(record).axes
    colors = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    grey = to_hex("0.65")
    return {
        "frequencies": (bars_of(ax, ax.xaxis), table.to_dict()),
        "threshold": (ax.lines[0].get_ydata(), [0.5, 0.5]),
        "trusted": (colors, [to_hex(GREEN) if name in TRUSTED else grey for name in table.index]),
    }


@case
def latent_panels():
    top, bottom, scores = random_fit(0), random_fit(1, width=64), scores_of_fits()
    figure = plotting.latent_panels(top, bottom=bottom, scores=scores)
    groups = {f"{name} (30)": color for name, color in FAMILY_COLORS.items()}
    return {
        "legend": (legend_of(figure), groups),
        **fit_series(figure.subfigs[0], top, score=scores[0]),
        **fit_series(figure.subfigs[1], bottom, score=scores[1]),
    }


@case
def family_zoom():
    """Family A has no gene with its name; "Tau" and "Rebound" have a panel each."""
    top, bottom, scores = random_fit(1, width=64), random_fit(0), scores_of_fits()[::-1]
    figure = plotting.family_zoom(top, bottom=bottom, family="A", scores=scores)
    below = figure.subfigs[2]
    cells, *panels = below.axes[:4]
    is_shown = bottom.labels["family"].eq("A").to_numpy()
    xy = panel_coordinates(bottom.embedding, proportional=False)[is_shown]
    expression = table_of(bottom, "predicted_expression")
    predictions = table_of(bottom, "predictions")
    r2 = r2_by_output(*find_point(scores[1])).mean()
    gene = expression[is_shown].mean().idxmax()
    maps = {gene: slopes_expected(bottom, expression)[gene]}
    for name in ("Tau", "Rebound"):
        maps[f"{name}, test R² {r2[name]:.2f}"] = slopes_expected(bottom, predictions)[name]
    types = bottom.labels["type"][is_shown]
    return {
        "legend": (legend_of(below), {"A1 (15)": "#aa0000", "A2 (15)": "#bb3300"}),
        "cells": (dots_of(cells), cells_expected(xy, types)),
        "types": ([text.get_text() for text in cells.texts], ["A1", "A2"]),
        "titles": ([ax.get_title() for ax in panels], [*maps]),
        "maps": ([slopes_of(ax) for ax in panels], close_slopes(panels, maps)),
        **fit_series(figure.subfigs[0], top, score=scores[0]),
        **fit_series(figure.subfigs[1], bottom, score=scores[1]),
    }


@case
def model_overview():
    fit = random_fit(0)
    halves, _ = halves_of_genes(1)
    folds, params = scores_of_fits()[0]
    figure = plotting.model_overview(fit, halves=halves, folds=folds, true_genes=["GeneC"])
    genes, _, cells, _, outputs = figure.axes
    names = genes_by_norm(fit)
    r2 = r2_by_output(folds, folds.find(**params)).mean().sort_values(ascending=False)
    return {
        "genes": (
            {text.get_text(): text.get_fontweight() for text in genes.texts},
            {
                name + " ✓" * (name == "GeneC"): "bold" if name in TRUSTED else "normal"
                for name in names
            },
        ),
        "outputs": (bars_of(outputs, outputs.yaxis), r2.to_dict()),
        "texts": ([text.get_text() for text in outputs.texts], [f"{value:.2f}" for value in r2]),
        **map_series(cells, fit, panel_coordinates(fit.embedding, proportional=False)),
    }


@case
def accuracy_comparison():
    linear = linear_record()
    ridge = folds_record("LeaveOneOutRidge", [{}], seed=4, n_folds=4)
    models = {"ridge": ridge, "linear": (linear, {"rank": 16})}
    [ax] = plotting.accuracy_comparison(models, n_genes=6).axes
    point = linear.params.index({"rank": 16, "alpha": 2})
    rows = {
        "ridge, 12 genes, scaled per fold": (ridge, 0, to_hex(BLUE)),
        "linear, 6 genes, scaled per fold": (linear, point, LINEAR),
    }
    folds = [line for line in ax.lines if line.get_ms() == 2.5]
    values = [record.test_r2[:, point] for record, point, _ in rows.values()]
    texts = {text.get_text(): to_hex(text.get_color()) for text in ax.texts}
    return {
        "rows": (tick_names(ax.yaxis), [*rows]),
        "folds": (
            {f"{y}": line.get_xdata() for y, line in enumerate(folds)},
            {f"{y}": r2 for y, r2 in enumerate(values)},
        ),
        "places of folds": (
            {f"{y}": line.get_ydata() for y, line in enumerate(folds)},
            {f"{y}": np.linspace(y - 0.28, y + 0.28, len(r2)) for y, r2 in enumerate(values)},
        ),
        "means": (
            [error_bars(container).iloc[0] for container in ax.containers],
            [[r2.mean(), y, sample_sd(r2), 0] for y, r2 in enumerate(values)],
        ),
        "texts": (
            texts,
            {r2_label(record, point): color for record, point, color in rows.values()},
        ),
        "colours": (
            [to_hex(container.lines[0].get_color()) for container in ax.containers],
            [color for _, _, color in rows.values()],
        ),
    }


@case
def bottleneck_widths():
    networks = networks_by_width()
    [ax] = plotting.bottleneck_widths(networks).axes
    return width_series(ax, networks)


@case
def output_accuracy():
    models = models_of_outputs()
    [ax] = plotting.output_accuracy(models).axes
    return output_series(ax, models)


@case
def width_and_stability():
    """The second and third fits keep genes in other orders; one lacks a gene of the first."""
    networks, models = networks_by_width(), models_of_outputs()
    (first, table), (second, other), (third, last) = [halves_of_genes(seed) for seed in range(3)]
    second.settings = {"estimator": {"class": "sbnn.SparseBottleneckRegressor", "params": {}}}
    third.settings = {"estimator": {"class": "sbnn.DistilledBottleneckRegressor", "params": {}}}
    selections = {"halves": first, "published": second, "distilled": third}
    above, below, beside = plotting.width_and_stability(networks, selections, models).axes
    other_fits = {"published": other, "distilled": last}
    markers = {line.get_label().split(":")[0]: line for line in below.lines}
    genes = np.arange(len(table))
    return {
        "frequencies": (bars_of(below, below.xaxis), table.to_dict()),
        "other fits": (
            {name: np.nan_to_num(line.get_ydata(), nan=0) for name, line in markers.items()},
            {
                name: frequency.reindex(table.index, fill_value=0).to_numpy()
                for name, frequency in other_fits.items()
            },
        ),
        "places of markers": (
            [line.get_xdata() for line in below.lines],
            [genes - 0.2, genes + 0.2],
        ),
        "labels": (
            [text.get_text() for text in below.get_legend().get_texts()],
            [
                f"{name}: {(frequency == 1).sum()} genes in all fits, {len(frequency)} in any"
                for name, frequency in {**other_fits, "halves": table}.items()
            ],
        ),
        "colours": (
            line_colors(markers),
            {"published": to_hex(VERMILLION), "distilled": to_hex(GREEN)},
        ),
        **width_series(above, networks),
        **output_series(beside, models),
    }


@case
def model_scores():
    """Two sets of three folds each, in which repeat 7 comes before 3."""
    records = {}
    for seed, name in enumerate(["majority", "lightgbm", "bilstm"]):
        scores = np.random.default_rng(seed).uniform(size=(2, 6, 1))
        values = dict(zip(["macro_f1", "accuracy"], scores, strict=True))
        values["repeats"] = [7, 7, 3, 3, 7, 3]
        records[name] = replace(ridge_record(), dataset="lee_human", values=values)
    figure = ephys_types.model_scores(records)
    shown = {
        "LightGBM": (records["lightgbm"], ephys_types.classifier_color("lightgbm"), {}),
        "BiLSTM + attention": (
            records["bilstm"],
            ephys_types.classifier_color("bilstm"),
            {"macro_f1": 0.669, "accuracy": 0.78},
        ),
    }
    series = {"models": (tick_names(figure.axes[0].yaxis), [*shown])}
    for ax, metric in zip(figure.axes, ["macro_f1", "accuracy"], strict=True):
        dots, means, texts, diamonds = [], [], {}, {}
        for y, (record, color, published) in enumerate(shown.values()):
            scores = record.values[metric][:, 0]
            of_sets = [scores[[0, 1, 4]].mean(), scores[[2, 3, 5]].mean()]
            dots.append(np.column_stack([of_sets, [y, y]]))
            means.append([np.mean(of_sets), y])
            text = f"{np.mean(of_sets):.3f}"
            if published:
                text += f" ({published[metric]:.3f})"
                diamonds[to_hex(color)] = (published[metric], y)
            texts[text] = to_hex(color)
        drawn = {text.get_text(): to_hex(text.get_color()) for text in ax.texts[:2]}
        series |= {
            f"{metric}, title": (ax.get_title(), {"macro_f1": "macro-F1"}.get(metric, metric)),
            f"{metric}, sets of folds": (
                [line.get_xydata() for line in ax.lines if line.get_marker() == "o"],
                dots,
            ),
            f"{metric}, means": (
                [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "|"],
                means,
            ),
            f"{metric}, published": (diamonds_of(ax), diamonds),
            f"{metric}, texts": (drawn, texts),
            f"{metric}, colours": (
                [to_hex(line.get_color()) for line in ax.lines if line.get_marker() == "o"],
                [*texts.values()],
            ),
        }
    return series


@case
def importance_of_families():
    rng = np.random.default_rng(0)
    families, classes = rng.permutation(list("fghij")), ["b", "a", "c"]
    shuffled, left_out = rng.uniform(size=(2, 4, 5))
    attention = pd.DataFrame(rng.uniform(size=(3, 5)), classes, families)
    record = ridge_record()
    record.values = {
        "family_names": families,
        "classes": classes,
        "attention": attention.to_numpy(),
        "shuffled_log_loss": shuffled,
        "left_out_log_loss": left_out,
    }
    image, *panels = ephys_types.importance_of_families(record).axes[:3]
    rises = [pd.DataFrame(values, columns=families) for values in (shuffled, left_out)]
    names = rises[0].mean().sort_values(ascending=False).index
    series = {
        "families": (tick_names(image.yaxis), names.tolist()),
        "classes": (tick_names(image.xaxis), classes),
        "attention": (image.images[0].get_array(), attention.T.loc[names, classes]),
    }
    for ax, name, table in zip(panels, ["shuffled", "left out"], rises, strict=True):
        dots = [line for line in ax.lines if line.get_marker() == "."]
        series |= {
            f"{name}, title": (ax.get_title(), f"{name} (bars: means, dots: folds)"),
            f"{name}, means": ([bar.get_width() for bar in ax.patches], table[names].mean()),
            f"{name}, folds": ([line.get_xdata() for line in dots], table[names]),
            f"{name}, rows of folds": ([line.get_ydata() for line in dots], [range(5)] * 4),
        }
    return series


@case
def accuracy_by_sparsity():
    """Records in the reverse of the usual order."""
    rng = np.random.default_rng(0)
    tables = {}
    for name in ["prior", *dynamics.PUBLISHED_ACCURACY]:
        columns = ["sparsity", "balanced_accuracy", "mse_ahead"]
        centre = [0.1 * len(tables), rng.uniform(0.55, 0.95), 0.5]
        table = pd.DataFrame(centre + rng.uniform(-0.04, 0.04, size=(3, 3)), columns=columns)
        tables[name] = table.assign(seed=[0, 1, 2])
    records = {
        f"noise_5_{name}": SimpleNamespace(scores=table, dataset="grn_350")
        for name, table in reversed(tables.items())
    }
    [ax] = dynamics.accuracy_by_sparsity(records).axes
    networks = [name for name in dynamics.METHOD_LABELS if name in dynamics.PUBLISHED_ACCURACY]
    colors = {name: to_hex(dynamics.DYNAMICS_COLORS[name]) for name in networks}
    scores = {name: tables[name][["sparsity", "balanced_accuracy"]] for name in networks}
    squares = {to_hex(line.get_color()): line for line in ax.lines if line.get_marker() == "s"}
    places = [scores[name].mean().to_numpy() for name in networks]
    nearest = nearest_groups(ax, places, networks)
    return {
        "prior": (ax.lines[0].get_ydata(), [tables["prior"]["balanced_accuracy"].mean()] * 2),
        "networks": (
            {
                to_hex(container.lines[0].get_color()): error_bars(container).iloc[0]
                for container in ax.containers
            },
            {colors[name]: [*table.mean(), *sample_sd(table)] for name, table in scores.items()},
        ),
        "published": (
            {color: line.get_xydata() for color, line in squares.items()},
            {
                colors[name]: [scores[name].mean(), place]
                for name, place in dynamics.PUBLISHED_ACCURACY.items()
            },
        ),
        "names": (nearest, {dynamics.METHOD_LABELS[name]: name for name in networks}),
    }
