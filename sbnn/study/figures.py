"""Every figure of the sBNN study, drawn from saved records alone.

Those of the paper (arXiv 2006.10411) have its numbers.
"""

from sbnn import plotting
from sbnn.data.simulate import simulate_patchseq
from sbnn.results import results_folder
from sbnn.study import report

WIDTHS = (2, 64)


def titles(dataset):
    """Names of the two measurements of a data set."""
    if dataset.startswith(("scala", "gouwens")):
        return "transcriptome", "electrophysiology"
    if dataset.startswith(("citeseq", "pbmc")):
        return "transcriptome", "proteins"
    return "transcriptome", "outputs"


def draw(dataset, saved_models="saved_models", figures="figures", fast=False):
    """Draw and save all figures whose records exist; a dict of name to Figure.

    Parameters
    ----------
    dataset : str
        Name of a data set and of its folder of records.
    saved_models, figures : str or path-like
    fast : bool
        Whether to use a quick run, with figures kept apart.
    """
    records = report.read(results_folder(saved_models, dataset, fast))
    folder = results_folder(figures, dataset, fast)
    drawn = {}
    for name, (needed, function) in FIGURES.items():
        if records.keys() >= set(needed):
            figure = function(records)
            if figure is not None:
                plotting.save_figure(figure, folder / name)
                drawn[name] = figure
    return drawn


def as_published(records, name):
    """Cross-validation scaled over all cells, as published, if there is one."""
    return records.get(f"cv_{name}_{report.LEAK}", records[f"cv_{name}"])


def tested(records, fit):
    """Cross-validation and parameters of the model of a fit, or None."""
    _, model, _ = fit.split("_")
    record = records.get(f"cv_{model}")
    if record is None:
        return None
    params = records[fit].params[0]
    point = {name: params[name] for name in record.params[0]}
    return (record, point) if record.points(**point) else None


def compared_models(records, widths=(2,)):
    """Record and parameters of the main models, by title; the published network of some widths."""
    wanted = {"sBNN distilled, d = 2": ("cv_distilled", {"n_components": 2})}
    for width in widths:
        params = {"n_components": width, **report.STANDARD}
        wanted[f"sBNN paper, d = {width}"] = "cv_published", params
    if "cv_srrr" in records:
        for rank in sorted({point["rank"] for point in records["cv_srrr"].params}):
            wanted[f"sRRR, rank {rank}"] = "cv_srrr", {"rank": rank}
    wanted["ridge"] = "cv_ridge", {}
    return {title: (records[name], at) for title, (name, at) in wanted.items() if name in records}


def repeated_fits(records):
    """Fits with other seeds and on halves of the cells, by title."""
    found = {
        "paper, d = 2, other seeds": "repeats_published",
        "paper, d = 64, other seeds": "repeats_published_64d",
        "distilled, d = 2, halves of the cells": "halves_distilled",
    }
    return {title: records[name] for title, name in found.items() if name in records}


def true_genes(fit):
    """Genes that drive the outputs of simulated data; None for other data."""
    if fit.dataset != "simulated":
        return None
    return simulate_patchseq().uns["sbnn"]["truth"]["genes"]


def _training_curves(records):
    network = as_published(records, "published")
    srrr = as_published(records, "srrr")
    known = report.comparable(network)
    return plotting.training_curves(network, srrr, n_components=WIDTHS, published=known)


def _r2_vs_genes(records):
    compared = [as_published(records, name) for name in ("published", "srrr", "ridge")]
    known = report.comparable(compared[0])
    shown = {"group_lasso": report.LASSO, "n_components": WIDTHS}
    shown["at_once"] = records.get("cv_published_at_once")
    return plotting.bottleneck_comparison(*compared, known, **shown)


def _latent(records, *fits):
    fits = [fit for fit in fits if fit in records]
    scores = [tested(records, fit) for fit in fits]
    maps = [records[fit] for fit in fits]
    return plotting.latent_panels(*maps, scores=scores)


def _latent_srrr(records):
    ranks = sorted((name for name in records if name.startswith("fit_srrr")), key=len)
    return _latent(records, *ranks)


def _family_zoom(records):
    labels = records["fit_published_2d"].labels.query("family not in ('', 'unknown')")
    if not (labels.groupby("family")["type"].nunique() > 1).any():
        return None
    fits = "fit_published_64d", "fit_published_2d"
    scores = [tested(records, fit) for fit in fits]
    return plotting.family_zoom(*(records[fit] for fit in fits), scores=scores)


def _width_and_stability(records):
    networks = {
        "distilled": (records["cv_distilled"], {}),
        "paper": (records["cv_published"], report.STANDARD),
    }
    models = compared_models(records, WIDTHS)
    return plotting.width_and_stability(networks, repeated_fits(records), models)


def _overview(records):
    fit = records["fit_distilled_2d"]
    beside = records.get("halves_distilled"), records.get("cv_distilled")
    return plotting.model_overview(fit, *beside, true_genes=true_genes(fit))


def _gene_selection(records):
    selection = records["gene_selection"]
    if selection.dataset != records["fit_distilled_2d"].dataset:
        return None  # the counts of other cells
    return plotting.gene_selection_curve(selection)


def _tsne(records):
    tsne = records["tsne"]
    return plotting.tsne_pair(tsne, titles(tsne.dataset))


def _of(function, *names):
    """Names of records and a function that draws them."""
    return names, lambda records: function(*(records[name] for name in names))


#: Name of a figure -> the records that it needs, and the function that draws it.
FIGURES = {
    "figure1_training_curves": (["cv_published", "cv_srrr"], _training_curves),
    "figure2_r2_vs_genes": (["cv_published", "cv_srrr", "cv_ridge"], _r2_vs_genes),
    "figure3_latent_network": (
        ["fit_published_2d", "fit_published_64d"],
        lambda records: _latent(records, "fit_published_2d", "fit_published_64d"),
    ),
    "figure3_latent_default": (
        ["fit_distilled_2d"],
        lambda records: _latent(records, "fit_distilled_2d", "fit_distilled_64d"),
    ),
    "figure3_latent_srrr": (["fit_srrr_rank2"], _latent_srrr),
    "figure4_family_zoom": (["fit_published_2d", "fit_published_64d"], _family_zoom),
    "figure6_width_and_stability": (
        ["cv_distilled", "cv_published", "cv_srrr", "cv_ridge", "repeats_published"],
        _width_and_stability,
    ),
    "figure7_tsne": (["tsne"], _tsne),
    "gene_selection": (["gene_selection", "fit_distilled_2d"], _gene_selection),
    "overview": (["fit_distilled_2d"], _overview),
    "bibiplot": _of(plotting.bibiplot, "fit_distilled_2d"),
    "accuracy": (
        ["cv_distilled"],
        lambda records: plotting.accuracy_comparison(compared_models(records)),
    ),
    "stability_selection": _of(plotting.selection_frequencies, "halves_distilled"),
    "effects": _of(plotting.effect_map, "interpretation"),
    "map_trust": _of(plotting.map_trust_panels, "map_trust", "fit_distilled_2d"),
    "genes_curve": _of(plotting.genes_curve, "genes_curve"),
}
