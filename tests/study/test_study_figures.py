"""Which records a figure of the study is drawn from."""

from dataclasses import replace
from shutil import copy

import numpy as np
import pytest
from material.drawn import figure_text
from material.paths import SAVED_MODELS
from material.records import HALVES, LINEAR, NETWORK, OTHER_HALVES, RIDGE, WIDTHS, fit_record

from sbnn.study import figures


def test_figures_are_drawn_if_all_records_exist(tmp_path):
    """The curve of genes also needs a fit."""
    (tmp_path / "simulated").mkdir()
    for name in ("gene_selection.pickle.xz", "tsne.pickle.xz"):
        copy(SAVED_MODELS / "simulated" / name, tmp_path / "simulated")
    drawn = figures.draw_study_figures("simulated", tmp_path, tmp_path / "figures")
    assert drawn.keys() == {"figure7_tsne"}
    assert {path.stem for path in tmp_path.glob("figures/*/*.png")} == drawn.keys()


@pytest.mark.parametrize(
    ("published", "titles"),
    [
        ({}, ["distilled, d = 2"]),
        ({"halves_published": OTHER_HALVES}, ["published, d = 2", "distilled, d = 2"]),
    ],
)
def test_genes_are_those_of_the_halves_that_are_there(tmp_path, published, titles):
    records = {"cv_distilled": WIDTHS, "cv_published": NETWORK, "cv_srrr": LINEAR}
    records |= {"cv_ridge": RIDGE, "halves_distilled": HALVES, **published}
    figure = figures.draw_study_figure("figure6_width_and_stability", records, tmp_path)
    shown = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert shown == [f"sBNN {title}, 20 halves: 2 genes on 90% or more" for title in titles]
    assert figure.get_suptitle().count(" network") == len(titles)


def test_effects_are_those_of_the_network_of_the_overview():
    """A fit of an earlier version has none; then those of the interpretation are drawn."""
    fit = fit_record(n_genes=3, features=("Tau", "AHP", "Rebound"))
    older = replace(fit, values=fit.values | {"effects": np.eye(3)})
    records = {"fit_distilled_2d": fit, "interpretation": older}
    assert "Tau" in figure_text(figures.draw_effects(records))
    records["fit_distilled_2d"] = replace(fit, values=fit.values | {"effects": 7 * np.eye(3)})
    assert figures.draw_effects(records).axes[0].images[0].get_array().max() == 7
    del records["fit_distilled_2d"].values["effects"], records["interpretation"]
    assert figures.draw_effects(records) is None
