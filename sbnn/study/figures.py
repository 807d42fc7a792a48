"""Every figure of the sBNN study, drawn from saved records alone.

Those of the paper (arXiv 2006.10411) have its numbers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from sbnn import plotting
from sbnn.plotting.colors import color_untyped
from sbnn.plotting.latent import order_of_genes
from sbnn.results import Record, results_folder
from sbnn.study import report
from sbnn.study.headlines import write_headline
from sbnn.study.records import (
    COMPARED_WIDTHS,
    as_published,
    compared_models,
    find_cross_validation,
    measurement_names,
    repeated_fits,
    true_genes,
)

NAMED_MARKERS = 10
OUTPUTS_OF = ("sBNN distilled, d = 2", "sBNN published, d = 2", "ridge")


class StudyFigure(NamedTuple):
    """Names of the records that a figure needs, and the function that draws it from all records."""

    needs: tuple[str, ...]
    draw: Callable[[Mapping[str, Record]], Figure | None]


def draw_study_figures(
    dataset: str,
    saved_models: str | Path = "saved_models",
    figures: str | Path = "figures",
    fast: bool = False,
) -> dict[str, Figure]:
    """Draw and save all figures whose records exist; a dict of name to Figure.

    Parameters
    ----------
    dataset : str
        Name of a data set and of its folder of records.
    saved_models, figures : str or path-like
    fast : bool
        Whether to use a quick run, with figures kept apart.
    """
    records = report.read_study_records(results_folder(saved_models, dataset, fast))
    folder = results_folder(figures, dataset, fast)
    drawn = {}
    for name in FIGURES:
        figure = draw_study_figure(name, records, folder)
        if figure is not None:
            drawn[name] = figure
    return drawn


def draw_study_figure(
    name: str, records: Mapping[str, Record], folder: str | Path
) -> Figure | None:
    """Draw a figure and save it in a folder; None if records that it needs do not exist.

    Parameters
    ----------
    name : str
        One of `FIGURES`.
    records : dict of str to Record
    folder : str or path-like
    """
    study_figure = FIGURES[name]
    if not records.keys() >= set(study_figure.needs):
        return None
    figure = study_figure.draw(records)
    if figure is not None:
        write_headline(figure, name, records)
        plotting.save_figure(figure, Path(folder, name))
    return figure


def draw_maps_of_fits(records: Mapping[str, Record], *names: str, by_type: bool = False) -> Figure:
    """Draw the maps of one or two fits, with the test R2 of their models."""
    fits = [records[name] for name in names]
    return plotting.latent_subplots(
        top=fits[0],
        bottom=fits[1] if len(fits) > 1 else None,
        scores=[find_cross_validation(records, name) for name in names],
        by_type=by_type,
    )


def draw_training_curves(records: Mapping[str, Record]) -> Figure:
    """Test R2 and weight norms of the published network for each strength of the group lasso."""
    network = as_published(records, "published")
    return plotting.training_curves(
        network,
        srrr=as_published(records, "srrr"),
        n_components=COMPARED_WIDTHS,
        published=report.comparable_results(network),
    )


def draw_r2_by_genes(records: Mapping[str, Record]) -> Figure:
    """Test R2 of linear models by the number of genes, beside the published network."""
    network = as_published(records, "published")
    return plotting.bottleneck_comparison(
        network,
        srrr=as_published(records, "srrr"),
        ridge=as_published(records, "ridge"),
        published=report.comparable_results(network),
        group_lasso=report.LASSO,
        n_components=COMPARED_WIDTHS,
        at_once=records.get("cv_published_at_once"),
    )


def draw_published_maps(records: Mapping[str, Record]) -> Figure:
    """Maps of the published network with two and with 64 units, in the published colours."""
    return draw_maps_of_fits(records, "fit_published_2d", "fit_published_64d", by_type=True)


def draw_distilled_maps(records: Mapping[str, Record]) -> Figure:
    """Maps of the distilled network with two units and, if there is a fit, with 64."""
    names = ["fit_distilled_2d", "fit_distilled_64d"]
    return draw_maps_of_fits(records, *(name for name in names if name in records))


def draw_srrr_maps(records: Mapping[str, Record]) -> Figure:
    """Maps of sparse reduced-rank regression, of rank 2 and of full rank."""
    names = [name for name in records if name.startswith("fit_srrr")]
    return draw_maps_of_fits(records, *sorted(names, key=len))


def draw_family_zoom(records: Mapping[str, Record]) -> Figure | None:
    """Vip cells of M1 on the map of the published network, as in the paper."""
    fit = records["fit_published_2d"]
    if fit.dataset != "scala":
        return None
    return plotting.family_zoom(fit, score=find_cross_validation(records, "fit_published_2d"))


def draw_width_and_stability(records: Mapping[str, Record]) -> Figure:
    """Test R2 by width, how often genes are kept, and test R2 of every output."""
    networks: dict[str, tuple[Record, dict]] = {
        "sBNN distilled": (records["cv_distilled"], {}),
        "sBNN published": (records["cv_published"], report.STANDARD),
    }
    return plotting.width_and_stability(
        networks,
        selections=repeated_fits(records),
        models=compared_models(records, COMPARED_WIDTHS),
        outputs_of=OUTPUTS_OF,
    )


def draw_tsne(records: Mapping[str, Record]) -> Figure:
    """t-SNE of both measurements."""
    tsne = records["tsne"]
    if "fit_distilled_2d" in records:
        tsne = color_untyped(tsne, like=records["fit_distilled_2d"])
    return plotting.tsne_pair(tsne, titles=measurement_names(tsne.dataset))


def draw_gene_selection(records: Mapping[str, Record]) -> Figure | None:
    """The curve by which genes were selected, if it is of the same cells as the fits.

    Named are the genes of the distilled network with the largest weights.
    """
    selection = records["gene_selection"]
    fit = records["fit_distilled_2d"]
    if selection.dataset != fit.dataset:
        return None
    markers = fit.kept_genes[order_of_genes(fit)[:NAMED_MARKERS]]
    return plotting.gene_selection_curve(
        selection, markers, marker_label="largest weights in the network"
    )


def draw_overview(records: Mapping[str, Record]) -> Figure:
    """The distilled network in one figure: map, genes and test R2."""
    fit = records["fit_distilled_2d"]
    return plotting.model_overview(
        fit,
        halves=records.get("halves_distilled"),
        folds=records.get("cv_distilled"),
        true_genes=true_genes(fit),
    )


def draw_model_accuracy(records: Mapping[str, Record]) -> Figure:
    """Test R2 of the main models."""
    models = compared_models(records)
    references = [name for name in (next(iter(models)), "ridge") if name in models]
    return plotting.accuracy_comparison(models, references=references)


def draw_stability_selection(records: Mapping[str, Record]) -> Figure:
    """How often genes are kept on halves of the cells."""
    return plotting.selection_frequencies(records["halves_distilled"])


def draw_effects(records: Mapping[str, Record]) -> Figure | None:
    """Effects of genes on outputs in the network of the overview."""
    record: Record | None = records["fit_distilled_2d"]
    if "effects" not in records["fit_distilled_2d"].values:  # saved by an earlier version
        record = records.get("interpretation")
    if record is None:
        return None
    return plotting.effect_map(record, halves=records.get("halves_distilled"))


def draw_map_trust(records: Mapping[str, Record]) -> Figure:
    """Errors of held-out cells, and how far they move on the maps of other seeds."""
    return plotting.map_trust_subplots(records["map_trust"], fit=records["fit_distilled_2d"])


def draw_genes_curve(records: Mapping[str, Record]) -> Figure:
    """Test R2 by the number of genes of the distilled network."""
    return plotting.genes_curve(records["genes_curve"])


#: Figures by name.
FIGURES = {
    "figure1_training_curves": StudyFigure(
        needs=("cv_published", "cv_srrr"), draw=draw_training_curves
    ),
    "figure2_r2_vs_genes": StudyFigure(
        needs=("cv_published", "cv_srrr", "cv_ridge"),
        draw=draw_r2_by_genes,
    ),
    "figure3_latent_published": StudyFigure(
        needs=("fit_published_2d", "fit_published_64d"),
        draw=draw_published_maps,
    ),
    "figure3_latent_distilled": StudyFigure(needs=("fit_distilled_2d",), draw=draw_distilled_maps),
    "figure3_latent_srrr": StudyFigure(needs=("fit_srrr_rank2",), draw=draw_srrr_maps),
    "figure4_family_zoom": StudyFigure(needs=("fit_published_2d",), draw=draw_family_zoom),
    "figure6_width_and_stability": StudyFigure(
        needs=("cv_distilled", "cv_published", "cv_srrr", "cv_ridge", "halves_distilled"),
        draw=draw_width_and_stability,
    ),
    "figure7_tsne": StudyFigure(needs=("tsne",), draw=draw_tsne),
    "gene_selection": StudyFigure(
        needs=("gene_selection", "fit_distilled_2d"),
        draw=draw_gene_selection,
    ),
    "overview": StudyFigure(needs=("fit_distilled_2d",), draw=draw_overview),
    "accuracy": StudyFigure(needs=("cv_distilled",), draw=draw_model_accuracy),
    "stability_selection": StudyFigure(needs=("halves_distilled",), draw=draw_stability_selection),
    "effects": StudyFigure(needs=("fit_distilled_2d",), draw=draw_effects),
    "map_trust": StudyFigure(needs=("map_trust", "fit_distilled_2d"), draw=draw_map_trust),
    "genes_curve": StudyFigure(needs=("genes_curve",), draw=draw_genes_curve),
}
