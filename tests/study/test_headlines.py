"""The headline of each figure of the study says in one line what its records show."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from material.paths import SAVED_MODELS
from material.records import (
    EFFECTS,
    GENES,
    GENES_CURVE,
    HALVES,
    LINEAR,
    NARROW,
    NETWORK,
    OTHER_HALVES,
    RIDGE,
    SELECTION,
    TRUST,
    TSNE,
    WIDTHS,
    network_record,
)

from sbnn import plotting
from sbnn.data.datasets import DATASETS
from sbnn.plotting.common import new_figure
from sbnn.study import figures, report
from sbnn.study.headlines import HEADLINES, write_headline

DATA = [folder.name for folder in report.study_folders(SAVED_MODELS)]


@cache
def records_of(dataset):
    return report.read_study_records(SAVED_MODELS / dataset)


def headlines_of(dataset):
    """By figure of which a data set has the records and whose cells are drawn."""
    records = records_of(dataset)
    drawn = [name for name, figure in figures.FIGURES.items() if records.keys() >= {*figure.needs}]
    return {
        name: HEADLINES[name](records)
        for name in drawn
        if name != "figure4_family_zoom" or dataset == "scala"
    }


def test_every_figure_has_a_headline():
    assert HEADLINES.keys() == figures.FIGURES.keys()


@pytest.mark.parametrize("dataset", DATA)
def test_headlines_are_one_line_after_the_name_of_their_data(dataset):
    with plotting.style():
        figure = new_figure(1)
    for name in headlines_of(dataset):
        write_headline(figure, name, records_of(dataset))
        assert figure.get_suptitle().startswith(f"{DATASETS.title[dataset]}: "), name
        title = figure.findobj(lambda part: part is figure._suptitle)[0]
        title.set_wrap(False)
        assert title.get_window_extent().x1 < figure.bbox.x1, figure.get_suptitle()


@pytest.mark.parametrize("dataset", DATA)
def test_numbers_of_headlines_are_means_over_folds(dataset):
    """Of three decimals."""
    r2 = [
        record.test_r2.mean(axis=0)
        for record in records_of(dataset).values()
        if "test_r2" in record.values
    ]
    means = {f"{mean:.3f}" for mean in np.concatenate(r2)}
    found = re.findall(r"-?\d\.\d{3}", " ".join(headlines_of(dataset).values()))
    assert found
    assert {*found} <= means


def fit_with(folds, point, **values):
    """A fit of the model of a cross-validation, with its parameters."""
    params = folds.params[point]
    estimator = folds.settings["estimator"] | {"params": params}
    values = NARROW.values | values
    return replace(NARROW, params=[params], settings={"estimator": estimator}, values=values)


#: Of Vip cells in two types, those of Gpc3 have the shortest time constant.
VIP = {
    "labels": pd.DataFrame({"family": "Vip", "type": np.resize(["Vip Chat_1", "Vip Gpc3_2"], 90)}),
    "predictions": np.tile(np.resize([[2], [-1]], (90, 1)), 6),
}
#: The third gene is kept by 18 of 20.
THREE_OF_HALVES = np.arange(60) < 2 + (np.arange(20) < 18)[:, np.newaxis, np.newaxis]
RECORDS = {
    "cv_distilled": WIDTHS,
    "cv_published": NETWORK,
    "cv_ridge": RIDGE,
    "cv_srrr": LINEAR,
    "fit_distilled_2d": fit_with(WIDTHS, 1, effects=-EFFECTS.effects),
    "fit_published_2d": fit_with(NETWORK, 1, **VIP),
    "fit_published_64d": fit_with(NETWORK, 4),
    "fit_srrr_rank16": fit_with(LINEAR, 6),
    "fit_srrr_rank2": fit_with(LINEAR, 1),
    "gene_selection": replace(
        SELECTION,
        values=SELECTION.values | {"gene_names": np.array([*GENES, *map(str, range(28))])},
    ),
    "genes_curve": GENES_CURVE,
    "halves_distilled": HALVES,
    "halves_published": replace(
        OTHER_HALVES, values=OTHER_HALVES.values | {"selected": THREE_OF_HALVES}
    ),
    "map_trust": TRUST,
    "tsne": replace(
        TSNE,
        values=TSNE.values | {"labels": NARROW.labels.sample(frac=1, random_state=0)},
    ),
}


def r2(record, point):
    return f"{record.test_r2[:, point].mean():.3f}"


def share_of_neighbours(name):
    """Of the cells whose nearest cell is of the same family, in percent."""
    xy, families = RECORDS["tsne"].values[name], RECORDS["tsne"].labels["family"].to_numpy()
    distances = np.linalg.norm(xy[:, np.newaxis] - xy, axis=2) + np.diag(np.full(90, np.inf))
    return f"{(families == families[distances.argmin(axis=1)]).mean():.0%}"


#: What the made-up records say.
FINDINGS = {
    "figure1_training_curves": f"with two units, a group lasso of 0.1 predicts best (test R² "
    f"{r2(NETWORK, 1)}), 0.01 worst ({r2(NETWORK, 0)})",
    "figure2_r2_vs_genes": f"the published network has a test R² of {r2(NETWORK, 1)} with 2 units "
    f"and {r2(NETWORK, 4)} with 64 units, ridge {r2(RIDGE, 0)}",
    "figure3_latent_published": "new cells are predicted with a test R² of "
    f"{r2(NETWORK, 1)} with 2 units and {r2(NETWORK, 4)} with 64 units",
    "figure3_latent_distilled": "new cells are predicted with a test R² of "
    f"{r2(WIDTHS, 1)} with 2 units",
    "figure3_latent_srrr": "new cells are predicted with a test R² of "
    f"{r2(LINEAR, 1)} with rank 2 and {r2(LINEAR, 6)} with rank 16",
    "figure4_family_zoom": "among Vip cells, predicted Tau rises from Vip Gpc3 to Vip Chat",
    "figure6_width_and_stability": "genes kept on 90% of the halves: "
    "2 by the distilled network, 3 by the published network",
    "figure7_tsne": f"{share_of_neighbours('transcriptome')} of nearest cells share the family by "
    f"transcriptome, {share_of_neighbours('outputs')} by outputs",
    "gene_selection": "14 of 40 genes lie right of the curve, among them 4 of the 12 of the "
    "network",
    "overview": f"12 genes and a map of two units, test R² {WIDTHS.test_r2[:, 1].mean():.2f}",
    "accuracy": "8 genes in 2 units are not distinguishable from ridge on 12 genes",
    "stability_selection": "2 genes are trusted: at most one of them is expected to be kept by "
    "chance",
    "effects": "GeneL has the largest effect, −33.60 SD of c per SD",
    "map_trust": "maps of other seeds agree with this one with R² 0.80 to 0.90",
    "genes_curve": f"20 genes suffice: test R² {r2(GENES_CURVE, 2)}, with 5 genes "
    f"{r2(GENES_CURVE, 0)}",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_headlines_say_what_the_records_hold(name):
    assert HEADLINES[name](RECORDS) == FINDINGS[name]


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([0.19, 0.2, 0.21], "better than"),
        ([-0.1, 0.1, 0.2], "not distinguishable from"),
        ([-0.2, 0.1, -0.1], "not distinguishable from"),
        ([-0.19, -0.2, -0.21], "worse than"),
    ],
)
def test_the_headline_of_models_is_the_verdict(differences, words):
    """Of the interval of their difference, which includes 0 or not."""
    r2 = WIDTHS.test_r2.copy()
    r2[:, 1] = RIDGE.test_r2[:, 0] + differences
    distilled = replace(WIDTHS, values=WIDTHS.values | {"test_r2": r2})
    headline = HEADLINES["accuracy"]({"cv_distilled": distilled, "cv_ridge": RIDGE})
    assert headline == f"8 genes in 2 units are {words} ridge on 12 genes"


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        (
            "figure3_latent_distilled",
            "maps of other seeds agree with this one with R² 0.40 to 0.90",
        ),
        ("overview", "other seeds give other maps"),
    ],
)
def test_headlines_of_maps_warn_where_seeds_disagree(name, warning):
    values = TRUST.values | {"agreement": np.array([0.9, 0.4])}
    warned = RECORDS | {"map_trust": replace(TRUST, values=values)}
    assert warning in HEADLINES[name](warned)
    assert warning not in HEADLINES[name](RECORDS)


def test_a_single_group_lasso_is_neither_best_nor_worst():
    headline = HEADLINES["figure1_training_curves"](
        {"cv_published": network_record(NETWORK.params[1:])}
    )
    assert headline.startswith("with two units and a group lasso of 0.1, test R² 0.")


def test_the_largest_number_of_genes_may_not_suffice():
    r2 = np.sort(GENES_CURVE.test_r2, axis=1) + [0, 0, 0, 0.2]
    curve = replace(GENES_CURVE, values=GENES_CURVE.values | {"test_r2": r2})
    headline = HEADLINES["genes_curve"]({"genes_curve": curve})
    assert headline.startswith(f"40 genes are best: test R² {r2[:, 3].mean():.3f}")
