"""Read the numbers that a figure shows from a record with any parameter grid."""

import numpy as np

from sbnn.errors import attempt
from sbnn.plotting.colors import protocol_of
from sbnn.plotting.labels import counted
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
    """Name of the only model of a record, as in figures: kind, protocol (if it has one), width and number of genes."""
    estimator = {"class": "model", "params": {}} | record.settings.get("estimator", {})
    name, params = estimator["class"].split(".")[-1], estimator["params"]
    parts = [ABBREVIATIONS.get(name, name)]
    if "protocol" in params:
        parts.append(PROTOCOLS.get(params["protocol"], params["protocol"]))
    width = (
        record.latent.shape[1]
        if "latent" in record.values
        else params.get("n_components", params.get("rank"))
    )
    if width is not None:
        tsne = " + t-SNE" if "latent" in record.values and width > 2 else ""
        parts.append(f"{'rank' if 'rank' in params else 'd ='} {width}{tsne}")
    n_genes = len(record.kept_genes) if "kept_genes" in record.values else params.get("n_genes")
    return ", ".join([*parts, *([counted(n_genes, "gene")] if n_genes is not None else [])])


def network_name(record, point):
    """Name of a network that gives its protocol and its width."""
    protocol = protocol_of(record, point)
    return (
        f"sBNN, {PROTOCOLS.get(protocol, protocol)}, d = {record.parameter(point, 'n_components')}"
    )


def levels(record, name, points=None):
    """Sorted values of a parameter in the grid; empty if the estimator has no such parameter."""
    points = range(len(record.params)) if points is None else points
    return sorted({record.parameter(point, name) for point in points} - {None})


def nearest(values, wanted):
    """The value that is nearest to `wanted` on a log scale."""
    logs = np.log(np.maximum([wanted, *values], np.finfo(float).tiny))
    return values[np.argmin(np.abs(logs[1:] - logs[0]))]


def mean_sd(values):
    """Mean and sample SD over the folds (first axis); the SD of a single fold is 0."""
    values = np.asarray(values, float)
    spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])
    return values.mean(0), spread


def mean_text(mean, spread):
    """Text with a mean and, unless it is zero, its SD."""
    return f"{mean:.3f}".replace("-", "−") + (f" ± {spread:.3f}" if spread else "")


def far_below(*values):
    """Note on the number of R2 values below `WORST`, with the lowest value; empty if no value is below `WORST`."""
    values = np.concatenate([np.ravel(part) for part in values])
    low = values[values < WORST]
    return (
        f"{len(low)} R² below {WORST:g} (to {low.min():.3g})".replace("-", "−") if len(low) else ""
    )


def regression_stages(tables):
    """First epoch (counted from 1) and name of each stage of the regression, and the total number of epochs."""
    places, n_epochs = _aligned(tables)
    names = [table["stage"].to_numpy() for table in tables]
    changes = [np.flatnonzero(_begins(stages)) for stages in names]
    # The fold with the most stages is used, preferably a pretrained one: with few cells, some folds
    # have no pretraining.
    most = max(
        range(len(tables)), key=lambda fold: (len(changes[fold]), "straight" not in names[fold])
    )
    return [(int(places[most][start]) + 1, names[most][start]) for start in changes[most]], n_epochs


def curve(tables, column):
    """Values of a column over the epochs, an array of shape (n_tables, n_epochs) that is NaN for missing epochs."""
    places, n_epochs = _aligned(tables)
    curves = np.full((len(tables), n_epochs), np.nan)
    for row, own, table in zip(curves, places, tables, strict=True):
        row[own] = table[column]
    return curves


def epochs(record, point, stage=None):
    """History of a stage (by default, of the regression) at a grid point: one table for each fold with this stage."""
    tables = record.history[point]
    tables = [
        t[~t["stage"].isin(NOT_REGRESSION) if stage is None else t["stage"] == stage]
        for t in tables
    ]
    return [table for table in tables if len(table)]


def _begins(stages):
    return np.r_[True, stages[1:] != stages[:-1]]


def _aligned(tables):
    """Positions of table rows on a common axis, aligned at the start of every stage that all tables share."""
    # A fold without pretraining has no frozen stage; its unfrozen stage is as long as both stages
    # of other folds.
    names = [table["stage"].replace("frozen", "unfrozen").to_numpy() for table in tables]
    shared = [stage for stage in dict.fromkeys(names[0]) if all(stage in other for other in names)]
    # Each part but the first starts with a shared stage and ends before the next shared stage. The
    # first part contains the stages before all shared stages, and may be empty.
    parts = [np.cumsum(np.isin(stages, shared) & _begins(stages)) for stages in names]
    lengths = np.max([np.bincount(part, minlength=len(shared) + 1) for part in parts], axis=0)
    starts = np.cumsum(lengths) - lengths
    places = [starts[part] + np.arange(len(part)) - np.searchsorted(part, part) for part in parts]
    return places, int(lengths.sum())


def gene_target(record):
    """Number of genes that the networks of a record keep."""
    return int(np.median(record.n_selected))


def choose_models(models, n_genes, same_as=None, argument="models"):
    """Find the record and grid point of every model, and check that all records are of the same data."""
    chosen = {}
    if not models or not isinstance(models, dict):
        raise ValueError(
            f"{argument}: expected a dict of name to record, or to (record, parameters), got {models!r}"
        )
    for name, entry in models.items():
        record, params = entry if isinstance(entry, tuple) else (entry, {})
        require(record, f"{argument}[{name!r}]", ["test_r2"], same_as)
        params = attempt(f"{argument}[{name!r}]: expected (record, parameters)", dict, params)
        points, same_as = record.points(**params), same_as or record
        if len(points) > 1 and "n_selected" in record.values:
            genes = record.n_selected.mean(0)
            best = record.best_with_at_most(n_genes, **params)
            # If penalties of the same path keep the same number of genes, the first penalty is
            # taken, as in the tables.
            path = record.params[best] | {"alpha": None}
            others = (
                g
                for g in points
                if genes[g] == genes[best] and record.params[g] | {"alpha": None} != path
            )
            points = [best, *others]
        if len(points) != 1:
            left = f"{params} match {len(points)} of {[record.params[g] for g in points] or record.params}"
            raise ValueError(
                f"{argument}[{name!r}]: expected the parameters of one grid point, {left}"
            )
        chosen[name] = record, points[0]
    return chosen


def published_rows(published, name, value, **others):
    """Published results that agree with the given parameters."""

    def agrees(row):
        return all(
            same_value(row.get(k, True if k == "pretraining" else v), v) for k, v in others.items()
        )

    return [row for row in published or [] if same_value(row.get(name), value) and agrees(row)]


def number(value):
    """A penalty strength as text: 0.1, 1, 10⁻⁴."""
    exponent = np.log10(value) if value > 0 else 0
    if abs(exponent) >= 1.5 and np.isclose(exponent, np.round(exponent)):
        return "10" + f"{exponent:.0f}".translate(SUPERSCRIPTS)
    return f"{value:g}"


def folds_text(*records):
    """Note on the number of folds behind the mean and the band."""
    counts = sorted({len(record.test_r2) for record in records})
    return "one fold" if counts == [1] else f"mean ± SD over {' or '.join(map(str, counts))} folds"


def scaling_texts(records):
    """Texts that describe the scaling of the data: one for all cross-validations, or one for each if they differ."""
    texts = {
        name: SCALED.get(record.settings.get("scaling"), "") for name, record in records.items()
    }
    return (
        ("", texts)
        if len(set(texts.values())) > 1
        else (next(iter(texts.values())), dict.fromkeys(texts, ""))
    )
