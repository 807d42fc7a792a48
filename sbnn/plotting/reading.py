"""Read the numbers that a figure shows from a record."""

import numpy as np

from sbnn.plotting.labels import counted, signed
from sbnn.results import same_value

SCALED = {"all": ", scaled over all cells", "fold": ", scaled per fold", "none": ", not scaled"}
MODELS = {  # names to show, by class
    "SparseBottleneckRegressor": "sBNN, paper protocol",
    "DistilledBottleneckRegressor": "sBNN, distilled",
    "SparseReducedRankRegression": "sRRR",
}
SPIKE_INS = "ERCC-"  # added RNA
NOT_REGRESSION = ("pretraining", "reconstruction")  # stages without a test R2
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def class_of(record):
    """Name of the class of a model."""
    return record.settings.get("estimator", {"class": "model"})["class"].split(".")[-1]


def model_title(record):
    """Name of the only model of a record."""
    params = record.settings["estimator"]["params"]
    parts = [_kind(record)]
    for param, kind in {"n_components": "d =", "rank": "rank"}.items():
        if param in params:
            is_drawn = "embedding" in record.values and params[param] > 2
            parts.append(f"{kind} {params[param]}" + is_drawn * " + t-SNE")
    n_genes = params.get("n_genes")
    if "kept_genes" in record.values:
        n_genes = len(record.kept_genes)
    if n_genes is not None:
        parts.append(counted(n_genes, "gene"))
    return ", ".join(parts)


def network_name(record, point):
    """Protocol and width."""
    width = record.parameter(point, "n_components")
    return _kind(record) if width is None else f"{_kind(record)}, d = {width}"


def _kind(record):
    name = class_of(record)
    return MODELS.get(name, name)


def levels_of(record, name):
    """Sorted values of a parameter in the grid."""
    values = {record.parameter(point, name) for point in range(len(record.params))}
    return sorted(values - {None})


def nearest(values, wanted):
    """The value nearest to `wanted` on a log scale."""
    wanted, *logs = np.log(np.maximum([wanted, *values], 1e-300))
    return values[np.argmin(np.abs(logs - wanted))]


def mean_sd(values):
    """Mean and sample SD over the folds (first axis)."""
    values = np.asarray(values, float)
    return values.mean(0), values.std(0, ddof=min(len(values) - 1, 1))


def mean_text(values):
    """Mean and SD over the folds."""
    mean, spread = mean_sd(values)
    return f"{signed(mean, 3)} ± {spread:.3f}" if spread else signed(mean, 3)


def regression_epochs(record, point):
    """History of the regression, by fold; all folds have as many epochs."""
    return [table[~table["stage"].isin(NOT_REGRESSION)] for table in record.history[point]]


def pretraining_epochs(record, point):
    """History of the pretraining, by pretrained fold."""
    tables = [table[table["stage"] == "pretraining"] for table in record.history[point]]
    return [table for table in tables if len(table)]


def curve(tables, column):
    """Values of a column, (n_tables, n_epochs)."""
    return np.stack([table[column] for table in tables])


def gene_target(record):
    """Genes that networks keep."""
    return int(np.median(record.n_selected))


def choose_models(models, n_genes):
    """Record and grid point of every model."""
    return {
        name: choose_model(model, n_genes, f"models[{name!r}]") for name, model in models.items()
    }


def choose_model(model, n_genes, argument):
    """Record and grid point; of a path of penalties, that with the most genes up to a number."""
    record, params = model if isinstance(model, tuple) else (model, {})
    points = record.points(**params)
    if len(points) > 1 and "alpha" in record.params[points[0]]:
        return record, record.best_with_at_most(n_genes, **params)
    if len(points) != 1:
        found = [record.params[point] for point in points] or record.params
        text = f"{params} match {len(points)} of {found}"
        raise ValueError(f"{argument}: expected the parameters of one grid point, {text}")
    return record, points[0]


def published_rows(published, **params):
    """Published results with these parameters."""
    first = next(iter(params))
    agreeing = []
    for row in published or []:
        own = params | {"pretraining": True} | row
        if first in row and all(same_value(own[name], value) for name, value in params.items()):
            agreeing.append(row)
    return agreeing


def number(value):
    """A penalty strength as text: 0.1, 1, 10⁻⁴."""
    exponent = np.log10(value) if value > 0 else 0
    if abs(exponent) >= 1.5 and np.isclose(exponent, np.round(exponent)):
        return "10" + f"{exponent:.0f}".translate(SUPERSCRIPTS)
    return f"{value:g}"


def folds_text(*records):
    """Number of folds."""
    counts = {len(record.test_r2) for record in records}
    if counts == {1}:
        return "one fold"
    return f"mean ± SD over {' or '.join(map(str, sorted(counts)))} folds"


def scaling_text(record):
    """How data were scaled."""
    return SCALED.get(record.settings.get("scaling"), "")


def standardised(values):
    """Columns with mean 0 and variance 1, or 0 if constant."""
    centred = np.asarray(values, float) - np.mean(values, axis=0, dtype=float)
    sd = centred.std(axis=0)
    return centred / np.where(sd > 0, sd, 1)
