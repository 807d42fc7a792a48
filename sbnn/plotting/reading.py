"""Read the numbers that a figure shows from a record with any parameter grid."""

import numpy as np

from sbnn.plotting.labels import counted, signed
from sbnn.results import require, same_value

SCALED = {"all": ", scaled over all cells", "fold": ", scaled per fold", "none": ", not scaled"}
ABBREVIATIONS = {
    "SparseBottleneckRegressor": "sBNN",
    "DistilledBottleneckRegressor": "sBNN, distilled",
    "SparseReducedRankRegression": "sRRR",
}
PROTOCOLS = {"paper": "paper protocol"}  # display name of a protocol whose own name is unclear
# lower R2 values are drawn here, since a single failed fold would take up the whole scale
WORST = -1.0
NOT_REGRESSION = ("pretraining", "reconstruction")  # stages without a test R2
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def model_title(record):
    """Name of the only model of a record: kind, protocol (if any), width and number of genes."""
    estimator = record.settings.get("estimator", {})
    name = estimator.get("class", "model").split(".")[-1]
    params = estimator.get("params", {})
    parts = [ABBREVIATIONS.get(name, name)]
    if "protocol" in params:
        parts.append(PROTOCOLS.get(params["protocol"], params["protocol"]))

    width = params.get("n_components", params.get("rank"))
    projection = ""
    if "latent" in record.values:
        width = record.latent.shape[1]
        if width > 2:
            projection = " + t-SNE"
    if width is not None:
        kind = "rank" if "rank" in params else "d ="
        parts.append(f"{kind} {width}{projection}")

    n_genes = params.get("n_genes")
    if "kept_genes" in record.values:
        n_genes = len(record.kept_genes)
    if n_genes is not None:
        parts.append(counted(n_genes, "gene"))
    return ", ".join(parts)


def protocol(record, point):
    """How a network was trained, "distilled" or "paper"; former records have a parameter."""
    name = record.settings.get("estimator", {}).get("class", "")
    if name.endswith("DistilledBottleneckRegressor"):
        return "distilled"
    return record.parameter(point, "protocol", "paper")


def network_name(record, point):
    """Name of a network that gives its protocol and its width."""
    own = protocol(record, point)
    width = record.parameter(point, "n_components")
    return f"sBNN, {PROTOCOLS.get(own, own)}, d = {width}"


def levels(record, name):
    """Sorted values of a parameter in the grid; empty if the estimator has no such parameter."""
    values = {record.parameter(point, name) for point in range(len(record.params))}
    return sorted(values - {None})


def nearest(values, wanted):
    """The value that is nearest to `wanted` on a log scale."""
    logs = np.log(np.maximum([wanted, *values], np.finfo(float).tiny))
    return values[np.argmin(np.abs(logs[1:] - logs[0]))]


def mean_sd(values):
    """Mean and sample SD over the folds (first axis); the SD of a single fold is 0."""
    values = np.asarray(values, float)
    mean = values.mean(0)
    if len(values) == 1:
        return mean, np.zeros_like(mean)
    return mean, values.std(0, ddof=1)


def mean_text(mean, spread):
    """Text with a mean and, unless it is zero, its SD."""
    return f"{signed(mean, 3)} ± {spread:.3f}" if spread else signed(mean, 3)


def far_below(values):
    """Note on the number of R2 values below `WORST`, with the lowest; empty if there are none."""
    low = values[values < WORST]
    if not len(low):
        return ""
    return f"{len(low)} R² below {WORST:g} (to {low.min():.3g})".replace("-", "−")


def regression_stages(tables):
    """First epoch (from 1) and name of each regression stage, and the total number of epochs."""
    positions, n_epochs = _aligned(tables)
    found = []
    for own, table in zip(positions, tables, strict=True):
        stages = table["stage"].to_numpy()
        begins = np.flatnonzero(_begins(stages))
        epochs = (own[begins] + 1).tolist()
        found.append(list(zip(epochs, stages[begins], strict=True)))

    def n_stages(starts):
        return len(starts), starts[0][1] != "straight"

    # The fold with the most stages is used, preferably a pretrained one: with few cells, some
    # folds have no pretraining.
    return max(found, key=n_stages), n_epochs


def curve(tables, column):
    """Values of a column, an array of shape (n_tables, n_epochs) that is NaN for missing epochs."""
    positions, n_epochs = _aligned(tables)
    curves = np.full((len(tables), n_epochs), np.nan)
    for row, own, table in zip(curves, positions, tables, strict=True):
        row[own] = table[column]
    return curves


def regression_epochs(record, point):
    """History of the regression at a grid point: one table for each fold."""
    return [table[~table["stage"].isin(NOT_REGRESSION)] for table in record.history[point]]


def pretraining_epochs(record, point):
    """History of the pretraining at a grid point: one table for each pretrained fold."""
    tables = [table[table["stage"] == "pretraining"] for table in record.history[point]]
    return [table for table in tables if len(table)]


def _begins(stages):
    return np.r_[True, stages[1:] != stages[:-1]]


def _aligned(tables):
    """Positions of table rows on a common axis, aligned at the start of all shared stages."""
    # A fold without pretraining has no frozen stage; its unfrozen stage is as long as both stages
    # of other folds.
    stages = [table["stage"].replace("frozen", "unfrozen").to_numpy() for table in tables]
    shared = set(stages[0]).intersection(*stages[1:])
    # Each part but the first starts with a shared stage and ends before the next shared stage. The
    # first part contains the stages before all shared stages, and may be empty.
    n_parts = len(shared) + 1
    parts = [np.cumsum(np.isin(own, list(shared)) & _begins(own)) for own in stages]
    sizes = [np.bincount(part, minlength=n_parts) for part in parts]
    lengths = np.max(sizes, axis=0)
    starts = np.cumsum(lengths) - lengths
    positions = []
    for part in parts:
        since_start = np.arange(len(part)) - np.searchsorted(part, part)
        positions.append(starts[part] + since_start)
    return positions, int(lengths.sum())


def gene_target(record):
    """Number of genes that the networks of a record keep."""
    return int(np.median(record.n_selected))


def choose_models(models, n_genes):
    """Record and grid point of every model, by name; all records must be of the same data."""
    if not models or not isinstance(models, dict):
        wanted = "a dict of name to record, or to (record, parameters)"
        raise ValueError(f"models: expected {wanted}, got {models!r}")
    chosen = {}
    first = None
    for name, model in models.items():
        chosen[name] = choose_model(model, n_genes, first, f"models[{name!r}]")
        first = first or chosen[name][0]
    return chosen


def choose_model(model, n_genes, same_as, argument):
    """Record and grid point of one model, given as a record or as (record, parameters)."""
    record, params = model if isinstance(model, tuple) else (model, {})
    require(record, argument, ["test_r2"], same_as)
    points = record.points(**params)
    if len(points) > 1 and "n_selected" in record.values:
        best = record.best_with_at_most(n_genes, **params)
        points = [best, *(point for point in points if _rivals(record, point, best))]
    if len(points) != 1:
        found = [record.params[point] for point in points] or record.params
        text = f"{params} match {len(points)} of {found}"
        raise ValueError(f"{argument}: expected the parameters of one grid point, {text}")
    return record, points[0]


def _rivals(record, point, best):
    """Whether two models with the same number of genes differ in more than their penalty."""
    n_genes = record.n_selected.mean(0)
    # On one path of penalties the first is taken, as in the tables.
    other_path = record.params[point] | {"alpha": None} != record.params[best] | {"alpha": None}
    return n_genes[point] == n_genes[best] and other_path


def published_rows(published, name, value, **others):
    """Published results that agree with the given parameters; they are pretrained by default."""
    agreeing = []
    for row in published or []:
        if not isinstance(row, dict):
            raise TypeError(f"published: expected a list of dicts, got {row!r}")
        own = others | {"pretraining": True} | row
        same = [same_value(own[key], wanted) for key, wanted in others.items()]
        if same_value(row.get(name), value) and all(same):
            agreeing.append(row)
    return agreeing


def number(value):
    """A penalty strength as text: 0.1, 1, 10⁻⁴."""
    exponent = np.log10(value) if value > 0 else 0
    if abs(exponent) >= 1.5 and np.isclose(exponent, np.round(exponent)):
        return "10" + f"{exponent:.0f}".translate(SUPERSCRIPTS)
    return f"{value:g}"


def folds_text(*records):
    """Note on the number of folds behind the mean and the band."""
    counts = sorted({len(record.test_r2) for record in records})
    if counts == [1]:
        return "one fold"
    return f"mean ± SD over {' or '.join(map(str, counts))} folds"


def scaling_text(record):
    """How the data of a cross-validation were scaled."""
    return SCALED.get(record.settings.get("scaling"), "")
