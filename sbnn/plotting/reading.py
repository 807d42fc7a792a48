"""Read the numbers that a figure shows from a record."""

import numpy as np

from sbnn.plotting.labels import counted, signed

SCALED = {"all": ", scaled over all cells", "fold": ", scaled per fold"}
MODELS = {  # name to show and key of the colour, by class
    "SparseBottleneckRegressor": ("sBNN, paper protocol", "paper"),
    "DistilledBottleneckRegressor": ("sBNN, distilled", "distilled"),
    "SparseReducedRankRegression": ("sRRR", "linear"),
}
SPIKE_INS = "ERCC-"  # added RNA


def name_and_color(record):
    """Name to show of a model, and the key of its colour."""
    name = record.settings.get("estimator", {"class": "model"})["class"].split(".")[-1]
    usual = "linear" if "n_selected" in record.values else "all genes"
    return MODELS.get(name, (name, usual))


def model_title(record):
    """Name of the only model of a record."""
    params = record.settings["estimator"]["params"]
    title, _ = name_and_color(record)
    for param, kind in {"n_components": "d =", "rank": "rank"}.items():
        if param in params:
            title += f", {kind} {params[param]}"
            if "embedding" in record.values and params[param] > 2:
                title += " + t-SNE"
    n_genes = params.get("n_genes")
    if "kept_genes" in record.values:
        n_genes = len(record.kept_genes)
    return title if n_genes is None else f"{title}, {counted(n_genes, 'gene')}"


def network_name(record, point):
    """Protocol and width."""
    name, _ = name_and_color(record)
    width = record.parameter(point, "n_components")
    return name if width is None else f"{name}, d = {width}"


def mean_sd(values):
    """Mean and sample SD over the folds (first axis)."""
    values = np.asarray(values, float)
    return values.mean(0), values.std(0, ddof=min(len(values) - 1, 1))


def mean_text(values):
    """Mean and SD over the folds."""
    mean, spread = mean_sd(values)
    return f"{signed(mean, 3)} ± {spread:.3f}" if spread else signed(mean, 3)


def curve(tables, stages, column):
    """A column of the history in some stages, (n_folds, n_epochs)."""
    return np.stack([table[column][table["stage"].isin(stages)] for table in tables])


def gene_target(record):
    """Genes that networks keep."""
    return int(np.median(record.n_selected))


def choose_model(model, n_genes):
    """Record and grid point; of a path of penalties, with the most genes up to a number."""
    record, params = model if isinstance(model, tuple) else (model, {})
    points = record.points(**params)
    if len(points) > 1 and "alpha" in record.params[points[0]]:
        return record, record.best_with_at_most(n_genes, **params)
    return record, record.find(**params)


def published_rows(published, **params):
    """Published results with these parameters."""
    return [row for row in published or () if row.items() >= params.items()]


def folds_text(*records):
    """Number of folds."""
    counts = sorted({len(record.test_r2) for record in records})
    return f"mean ± SD over {' or '.join(map(str, counts))} folds"


def scaling_text(record):
    """How data were scaled."""
    return SCALED.get(record.settings.get("scaling"), "")
