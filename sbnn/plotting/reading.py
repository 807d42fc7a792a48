"""Numbers and names that a figure shows, read from records and written as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.datasets import DATASETS
from sbnn.results import Record

NAME_LETTERS = 25
SCALING_TEXTS = {"all": "scaled over all cells", "fold": "scaled per fold"}
MODEL_NAMES = {  # name to show and key of the colour, by class
    "SparseBottleneckRegressor": ("sBNN published", "published"),
    "DistilledBottleneckRegressor": ("sBNN distilled", "distilled"),
    "StackedRegressor": ("sBNN distilled + ridge", "stacked"),
    "SparseReducedRankRegression": ("sRRR", "linear"),
}
SPIKE_INS = "ERCC-"  # added RNA
FEATURE_SETS = {"_shared": "shared features", "_relative": "spikes from threshold"}  # of types


def short_name(name: object, most: int = NAME_LETTERS) -> str:
    """Shorten a name in its middle; "$" is no formula."""
    text = str(name).replace(r"\$", "$")  # if it was shortened before
    if len(text) > most:
        n_last = most // 3
        first = text[: most - 1 - n_last].rstrip()
        last = text[-n_last:].lstrip()
        text = f"{first}…{last}"
    return text.replace("$", r"\$")


def dataset_title(name: str) -> str:
    """Name of a data set for readers, such as "M1" for "scala"; own data keep theirs."""
    for ending, features in FEATURE_SETS.items():
        original = name.removesuffix(ending)
        if name != original in DATASETS.index:
            return f"{DATASETS.title[original]}, {features}"
    return DATASETS.title.get(name, short_name(name, most=60))


def number_and_noun(n: int, noun: str) -> str:
    """Such as "1 gene", "25 genes"."""
    ending = "" if n == 1 else "s"
    return f"{n} {noun}{ending}"


def number_text(value: float, digits: int = 2) -> str:
    """A number with a long minus sign."""
    return f"{value:z.{digits}f}".replace("-", "−")


def name_and_color(record: Record) -> tuple[str, str]:
    """Name to show of a model, and the key of its colour."""
    estimator = record.settings.get("estimator", {"class": "model"})
    name = estimator["class"].split(".")[-1]
    color_key = "linear" if "n_selected" in record.values else "all genes"
    return MODEL_NAMES.get(name, (name, color_key))


def model_title(record: Record) -> str:
    """Name of the only model of a record."""
    params = record.settings["estimator"]["params"]
    title, _ = name_and_color(record)
    for param, symbol in {"n_components": "d =", "rank": "rank"}.items():
        if param in params:
            title += f", {symbol} {params[param]}"
            if "embedding" in record.values and params[param] > 2:
                title += " + t-SNE"
    n_genes = params.get("n_genes")
    if "kept_genes" in record.values:
        n_genes = len(record.kept_genes)
    if n_genes is None:
        return title
    return f"{title}, {number_and_noun(n_genes, 'gene')}"


def network_name(record: Record, point: int) -> str:
    """Name and width of a network."""
    name, _ = name_and_color(record)
    width = record.parameter(point, "n_components")
    return name if width is None else f"{name}, d = {width}"


def mean_and_sd(values: Any) -> tuple[Any, Any]:
    """Mean and sample SD over the folds (first axis)."""
    values = np.asarray(values, float)
    ddof = min(len(values) - 1, 1)  # a single fold has an SD of 0
    return values.mean(0), values.std(0, ddof=ddof)


def mean_text(values: Any) -> str:
    """Mean and SD over the folds."""
    mean, sd = mean_and_sd(values)
    text = number_text(mean, digits=3)
    return f"{text} ± {sd:.3f}" if sd else text


def history_curve(tables: Iterable[Any], stages: Iterable[str], column: str) -> np.ndarray:
    """A column of the history in some stages, (n_folds, n_epochs)."""
    rows = []
    for table in tables:
        is_shown = table["stage"].isin(stages)
        rows.append(table[column][is_shown])
    return np.stack(rows)


def median_n_genes(record: Record) -> int:
    """Genes that networks keep, the median over folds and grid points."""
    return int(np.median(record.n_selected))


def choose_model(model: Record | tuple[Record, dict[str, Any]], n_genes: int) -> tuple[Record, int]:
    """Record and grid point; of a path of penalties, with the most genes up to a number."""
    if isinstance(model, tuple):
        record, params = model
    else:
        record, params = model, {}
    points = record.points(**params)
    if len(points) > 1 and "n_selected" in record.values:
        others = [dict(record.params[point]) for point in points]
        penalties = [other.pop("alpha", None) for other in others]
        if None not in penalties and others.count(others[0]) == len(others):
            return record, record.best_with_at_most(n_genes, **params)
    return record, record.find(**params)


def output_r2(record: Record, point: int, names: np.ndarray) -> np.ndarray:
    """Test R2 of outputs, (n_folds, n_names), by name, as another record may have another order."""
    places = pd.Index(record.feature_names).get_indexer(names)
    missing = names[places < 0]
    if len(missing):
        raise ValueError(
            f"cross-validation on {record.dataset!r} has no test R² of output '{missing[0]}'; "
            "take records with the same outputs"
        )
    return record.test_feature_r2[:, point, places]


def published_rows(published: list[dict] | None, **params: Any) -> list[dict]:
    """Published results with these parameters."""
    return [row for row in published or () if row.items() >= params.items()]


def folds_text(*records: Record, score: str = "test_r2") -> str:
    """Number of folds with a score."""
    numbers = list_numbers(len(record.values[score]) for record in records)
    return f"mean ± SD over {numbers} folds"


def list_numbers(numbers: Iterable[int]) -> str:
    """Such as "3 or 10"."""
    return " or ".join(str(number) for number in sorted(set(numbers)))


def scaling_text(*records: Record) -> str:
    """How data were scaled."""
    scalings = {record.settings.get("scaling") for record in records}
    texts = [text for scaling, text in SCALING_TEXTS.items() if scaling in scalings]
    return ", " + " or ".join(texts) if texts else ""
