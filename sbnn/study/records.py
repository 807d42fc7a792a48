"""What figures and tables of the study take from its records."""

from collections.abc import Mapping

import numpy as np

from sbnn.data.simulate import simulate_patchseq
from sbnn.results import Record
from sbnn.study import report

COMPARED_WIDTHS = (2, 64)  # of the bottleneck


def measurement_names(dataset: str) -> tuple[str, str]:
    """Names of the two measurements of a data set."""
    if dataset.startswith(("scala", "gouwens")):
        return "transcriptome", "electrophysiology"
    if dataset.startswith(("citefuse", "citeseq", "pbmc", "tcga")):
        return "transcriptome", "proteins"
    return "transcriptome", "outputs"


def as_published(records: Mapping[str, Record], name: str) -> Record:
    """Cross-validation scaled over all cells, as published, if there is one."""
    scaled_per_fold = records[f"cv_{name}"]
    return records.get(f"cv_{name}_scaled_over_all_cells", scaled_per_fold)


def find_cross_validation(
    records: Mapping[str, Record], fit: str
) -> tuple[Record, dict[str, object]] | None:
    """Cross-validation and parameters of the model of a fit, or None."""
    _, model, _ = fit.split("_")
    record = records.get(f"cv_{model}")
    if record is None:
        return None
    fit_params = records[fit].params[0]
    point = {name: fit_params[name] for name in record.params[0]}
    return (record, point) if record.points(**point) else None


def compared_models(
    records: Mapping[str, Record], widths: tuple[int, ...] = (2,)
) -> dict[str, tuple[Record, dict]]:
    """Record and parameters of the main models, by title; the published network of some widths."""
    models: dict[str, tuple[str, dict]] = {
        "sBNN distilled, d = 2": ("cv_distilled", {"n_components": 2})
    }
    for width in widths:
        params = {"n_components": width, **report.STANDARD}
        models[f"sBNN published, d = {width}"] = "cv_published", params
    if "cv_srrr" in records:
        ranks = {params["rank"] for params in records["cv_srrr"].params}
        for rank in sorted(ranks):
            models[f"sRRR, rank {rank}"] = "cv_srrr", {"rank": rank}
    models["ridge"] = "cv_ridge", {}
    models["sBNN distilled + ridge"] = "cv_stacked", {}
    compared = {}
    for title, (name, params) in models.items():
        if name in records:
            compared[title] = records[name], params
    return compared


def repeated_fits(records: Mapping[str, Record]) -> dict[str, Record]:
    """Fits of both networks to halves of the cells, by title."""
    names = {
        "sBNN distilled, d = 2": "halves_distilled",
        "sBNN published, d = 2": "halves_published",
    }
    return {title: records[name] for title, name in names.items() if name in records}


def true_genes(fit: Record) -> np.ndarray | None:
    """Genes that drive the outputs of simulated data; None for other data."""
    if fit.dataset != "simulated":
        return None
    truth = simulate_patchseq().uns["sbnn"]["truth"]
    return truth["genes"]
