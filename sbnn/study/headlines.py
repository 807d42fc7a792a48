"""What each figure of the sBNN study shows, in one line, computed from its records."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from sbnn import plotting
from sbnn.evaluation.stability import genes_table, trusted_genes
from sbnn.evaluation.verdict import differences_from, name_verdict
from sbnn.plotting.latent import NUMBER_OF_TYPE, ZOOMED_TYPES
from sbnn.plotting.models import OFTEN_KEPT, gene_frequency
from sbnn.plotting.reading import number_text
from sbnn.results import Record
from sbnn.study import report
from sbnn.study.records import (
    COMPARED_WIDTHS,
    as_published,
    find_cross_validation,
    measurement_names,
    repeated_fits,
)

READABLE_AGREEMENT = 0.7  # of maps, as in the guide


def write_headline(figure: Figure, name: str, records: Mapping[str, Record]) -> Figure:
    """Write above a figure what it shows of these records, after their data set; return it."""
    dataset = next(iter(records.values())).dataset
    return plotting.headline(figure, HEADLINES[name](records), dataset)


def of_training(records: Mapping[str, Record]) -> str:
    """Which group lasso predicts best with two units, and the worst one if there are several."""
    network = as_published(records, "published")
    r2 = {
        network.parameter(point, "group_lasso"): network.test_r2[:, point].mean()
        for point in network.points(n_components=2, pretraining=True)
    }
    *others, best = sorted(r2, key=lambda lasso: r2[lasso])
    if not others:
        return f"with two units and a group lasso of {best:g}, test R² {r2[best]:.3f}"
    worst = others[0]
    return (
        f"with two units, a group lasso of {best:g} predicts best (test R² {r2[best]:.3f}), "
        f"{worst:g} worst ({r2[worst]:.3f})"
    )


def of_genes(records: Mapping[str, Record]) -> str:
    """Test R2 of the published network beside that of ridge."""
    network, ridge = (as_published(records, name) for name in ("published", "ridge"))
    by_width = {
        width: network.test_r2[:, network.find(n_components=width, **report.STANDARD)].mean()
        for width in COMPARED_WIDTHS
    }
    texts = [f"{r2:.3f} with {width} units" for width, r2 in by_width.items()]
    return (
        f"the published network has a test R² of {' and '.join(texts)}, "
        f"ridge {ridge.test_r2.mean():.3f}"
    )


def of_maps(model: str) -> Callable[[Mapping[str, Record]], str]:
    """Test R2 of a model by its size, or how little maps of other seeds agree."""

    def finding(records):
        trust = records.get("map_trust")
        if model == "distilled" and not _is_readable(trust):
            return f"do not interpret single cells: {_agreement_text(trust)}"
        texts = []
        for name in sorted((name for name in records if name.startswith("fit_")), key=len):
            found = find_cross_validation(records, name)
            if name.split("_")[1] == model and found is not None:
                record, params = found
                point = record.best_with_at_most(25, **params)
                size = params.get("n_components") or f"rank {params['rank']}"
                units = f"{size} units" if "n_components" in params else size
                texts.append(f"{record.test_r2[:, point].mean():.3f} with {units}")
        if not texts:
            return "cells between predicted genes and outputs"
        return f"new cells are predicted with a test R² of {' and '.join(texts)}"

    return finding


def _is_readable(trust):
    """Whether the map of the distilled network can be interpreted, as far as is known."""
    return trust is None or trust.agreement.mean() >= READABLE_AGREEMENT


def _agreement_text(trust):
    low, high = trust.agreement.min(), trust.agreement.max()
    return f"maps of other seeds agree with this one with R² {low:.2f} to {high:.2f}"


def of_zoom(records: Mapping[str, Record]) -> str:
    """The types of Vip cells with the shortest and the longest predicted time constant."""
    fit = records["fit_published_2d"]
    is_vip = (fit.labels["family"] == "Vip").to_numpy()
    types = fit.labels["type"].str.replace(NUMBER_OF_TYPE, "", regex=True)[is_vip]
    tau = pd.Series(fit.predictions[is_vip, fit.feature_names == "Tau"], types.to_numpy())
    of_types = tau.groupby(level=0).agg(["mean", "size"]).nlargest(ZOOMED_TYPES, "size")["mean"]
    return f"among Vip cells, predicted Tau rises from {of_types.idxmin()} to {of_types.idxmax()}"


def of_stability(records: Mapping[str, Record]) -> str:
    """How many genes each network keeps on nearly all halves of the cells."""
    texts = []
    for title, record in repeated_fits(records).items():
        n_kept = (gene_frequency(record) >= OFTEN_KEPT).sum()
        texts.append(f"{n_kept} by the {title.split()[1].rstrip(',')} network")
    return f"genes kept on {OFTEN_KEPT:.0%} of the halves: {', '.join(texts)}"


def of_tsne(records: Mapping[str, Record]) -> str:
    """How often the nearest cell is of the same family, by genes and by outputs."""
    tsne = records["tsne"]
    families = tsne.labels["family"].astype(str).to_numpy()
    shares = []
    for xy in (tsne.transcriptome, tsne.outputs):
        _, nearest = cKDTree(xy).query(xy, k=2)
        shares.append((families == families[nearest[:, 1]]).mean())
    genes, outputs = measurement_names(tsne.dataset)
    if len(np.unique(families)) < 2:
        return f"each cell by its {genes}, and by its {outputs}"
    return (
        f"{shares[0]:.0%} of nearest cells share the family by {genes}, "
        f"{shares[1]:.0%} by {outputs}"
    )


def of_selection(records: Mapping[str, Record]) -> str:
    """How many of the genes of the network were selected."""
    selection, fit = records["gene_selection"], records["fit_distilled_2d"]
    selected = set(selection.gene_names[selection.selected])
    n_kept = len(selected & set(fit.kept_genes))
    return (
        f"{len(selected)} of {len(selection.gene_names)} genes lie right of the curve, among them "
        f"{n_kept} of the {len(fit.kept_genes)} of the network"
    )


def of_overview(records: Mapping[str, Record]) -> str:
    """Test R2 of the network, or how little its map can be trusted."""
    fit, folds = records["fit_distilled_2d"], records.get("cv_distilled")
    text = f"{len(fit.kept_genes)} genes and a map of two units"
    trust = records.get("map_trust")
    if folds is not None:
        text += f", test R² {folds.test_r2[:, folds.find(n_components=2)].mean():.2f}"
    if not _is_readable(trust):
        text += ", but other seeds give other maps"
    return text


def of_accuracy(records: Mapping[str, Record]) -> str:
    """Whether the distilled network is better than ridge on all genes, or worse."""
    folds, ridge = records["cv_distilled"], records.get("cv_ridge")
    point = folds.find(n_components=2)
    few = f"{round(folds.n_genes(point))} genes in 2 units"
    if ridge is not None:
        [difference] = differences_from(reference=(ridge, 0), models=[(folds, point)])
        if difference is not None:
            return f"{few} are {name_verdict(difference)} ridge on {len(ridge.gene_names)} genes"
    return f"{few} have a test R² of {folds.test_r2[:, point].mean():.2f}"


def of_halves(records: Mapping[str, Record]) -> str:
    """How many genes are trusted."""
    n_trusted = len(trusted_genes(records["halves_distilled"]))
    if n_trusted == 0:
        return "no gene can be trusted"
    if n_trusted == 1:
        return "one gene is trusted, and it may be kept by chance"
    return f"{n_trusted} genes are trusted: at most one of them is expected to be kept by chance"


def of_effects(records: Mapping[str, Record]) -> str:
    """The largest effect of a gene on an output."""
    record = records["fit_distilled_2d"]
    if "effects" not in record.values:
        record = records["interpretation"]
    gene, output = np.unravel_index(np.abs(record.effects).argmax(), record.effects.shape)
    effect = number_text(record.effects[gene, output])
    names = record.kept_genes[gene], record.feature_names[output]
    return f"{names[0]} has the largest effect, {effect} SD of {names[1]} per SD"


def of_trust(records: Mapping[str, Record]) -> str:
    """How well maps of other seeds agree."""
    return _agreement_text(records["map_trust"])


def of_curve(records: Mapping[str, Record]) -> str:
    """How many genes suffice, and the test R2 with these."""
    table = genes_table(records["genes_curve"])
    [enough] = table.query("suffices").index
    r2 = table["test_r2"]
    number = f"{enough} genes suffice" if enough < r2.index.max() else f"{enough} genes are best"
    return f"{number}: test R² {r2[enough]:.3f}, with {r2.index[0]} genes {r2.iloc[0]:.3f}"


#: By the name of the figure.
HEADLINES: dict[str, Callable[[Mapping[str, Record]], str]] = {
    "figure1_training_curves": of_training,
    "figure2_r2_vs_genes": of_genes,
    "figure3_latent_published": of_maps("published"),
    "figure3_latent_distilled": of_maps("distilled"),
    "figure3_latent_srrr": of_maps("srrr"),
    "figure4_family_zoom": of_zoom,
    "figure6_width_and_stability": of_stability,
    "figure7_tsne": of_tsne,
    "gene_selection": of_selection,
    "overview": of_overview,
    "accuracy": of_accuracy,
    "stability_selection": of_halves,
    "effects": of_effects,
    "map_trust": of_trust,
    "genes_curve": of_curve,
}
