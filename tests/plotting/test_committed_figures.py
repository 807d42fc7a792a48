"""Figures of committed records look as the committed pictures, and are tidy and lettered."""

import functools
import importlib
import sys
from itertools import combinations
from string import ascii_lowercase
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from made_up import assert_tidy, words
from matplotlib.colors import to_hex, to_rgb
from same import assert_looks_like
from seen import BLIND, contrast_to_white, lab

from sbnn import DistilledBottleneckRegressor, plotting, results
from sbnn.data.simulate import simulate_tables
from sbnn.plotting import common
from sbnn.plotting.colors import METHODS, MODELS, paler, shades
from sbnn.study import figures, report
from sbnn.study.new_cells import place, read_cells
from sbnn.study.reproduce import ROOT

NOT_OF_SIMULATED = {"genes_curve", "figure3_latent_default_colorblind"}
OTHERS = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein")
# figures that draw models
OF_MODELS = (
    "accuracy",
    "figure1",
    "figure2",
    "figure6",
    "genes_curve",
    "noise",
    "limits",
    "growth",
)


def study_figure(dataset, name):
    needed, draw = figures.FIGURES[name]
    records = records_of(dataset)
    return draw(records) if all(record in records for record in needed) else None


@functools.cache
def records_of(dataset):
    return report.read(ROOT / "saved_models" / dataset)


def own_data_figure(dataset, name):
    """A figure of notebook 08."""
    records = records_of(dataset)
    if name == "accuracy":
        models = {"sBNN, d = 2": records["cv_default"], "ridge": records["cv_ridge"]}
        return plotting.accuracy_comparison(models, 15)
    path = ROOT / "saved_models" / dataset / "model.safetensors"
    model = DistilledBottleneckRegressor.load(path)
    with TemporaryDirectory() as folder:
        made = simulate_tables(folder, 300, n_genes=150, n_outputs=8, n_true_genes=15, n_types=6)
        places, predicted = place(model, read_cells([*made.values()][-1], model))
    return plotting.new_cells(records["fit_default_2d"], places, predicted)


def benchmark_figure(dataset, name):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    module = importlib.import_module(name)
    if name == "limits":
        return module.draw(pd.read_csv(module.TABLE, keep_default_na=False))
    if name == "growth":
        return module.draw(module.to_table(module.PATH))
    models = module.MODELS
    return module.draw(
        {key: results.load(module.RECORDS / f"accuracy_{key}.pickle") for key in models}
    )


QUICK = [(study_figure, "simulated", name) for name in figures.FIGURES.keys() - NOT_OF_SIMULATED]
QUICK += [(study_figure, "citeseq_cd8", "genes_curve")]
OF_OWN_DATA = ("effects", "figure3_latent_default", "map_trust", "overview")
QUICK += [(study_figure, "own_data/simulated", name) for name in OF_OWN_DATA]
QUICK += [(own_data_figure, "own_data/simulated", name) for name in ("accuracy", "new_cells")]
QUICK += [(benchmark_figure, "benchmarks", name) for name in ("accuracy", "growth", "limits")]
SLOW = [(study_figure, dataset, name) for dataset in OTHERS for name in figures.FIGURES]
QUICK.sort(key=lambda drawing: drawing[1:])
SLOW = [drawing for drawing in SLOW if drawing not in QUICK]


def assert_lettered(figure):
    """Letters a, b, c at the panels, if there are several; a letter may name a row of maps."""
    look = common.LETTER
    letters = [
        text.get_text()
        for text in figure.texts
        if (text.get_fontsize(), text.get_fontweight()) == tuple(look.values())
    ]
    panels = [ax for ax in figure.axes if ax.axison and not hasattr(ax, "_colorbar")]
    assert sorted(letters) == list(ascii_lowercase[: len(letters)])
    assert len(letters) >= len(panels) or len(panels) == 1


def assert_colors_of_models(figure):
    """Lines have the colour of a model, a shade of it, or no colour."""
    known = set()
    for color in MODELS.values():
        known |= {to_hex(color), to_hex(paler(color))}
        for n in range(1, 6):
            known |= set(shades(color, n))
    for ax in figure.axes:
        for line in ax.lines:
            color = to_hex(line.get_color())
            assert np.ptp(to_rgb(color)) == 0 or color in known, (color, line.get_label())


def assert_as_committed(draw, dataset, name):
    figure = draw(dataset, name)
    path = ROOT / "figures" / dataset / f"{name}.png"
    assert (figure is not None) == path.exists()
    if figure is None:
        return
    assert_tidy(figure)
    assert_lettered(figure)
    if name.startswith(OF_MODELS):
        assert_colors_of_models(figure)
    assert_looks_like(figure, path)


@pytest.mark.parametrize(("draw", "dataset", "name"), QUICK)
def test_figures_look_as_the_committed_pictures(draw, dataset, name):
    assert_as_committed(draw, dataset, name)


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "dataset", "name"), SLOW)
def test_all_other_figures_look_as_the_committed_pictures(draw, dataset, name):
    assert_as_committed(draw, dataset, name)


def test_every_committed_figure_is_drawn_again():
    drawn = {drawing[1:] for drawing in QUICK + SLOW}
    for dataset in ("simulated", "benchmarks", "own_data/simulated", *OTHERS):
        for path in (ROOT / "figures" / dataset).glob("*.png"):
            assert (dataset, path.stem) in drawn, path


@pytest.mark.parametrize("table", [MODELS, *METHODS.values()])
def test_colours_of_methods_differ_from_white_and_for_colour_blind_readers_from_each_other(table):
    colors = [to_hex(color) for color in table.values()]
    assert min(map(contrast_to_white, colors)) > 3
    for sight in (np.eye(3), *BLIND.values()):
        seen = [lab(color, sight) for color in colors]
        # a difference of about 2.3 is just noticeable
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15


def test_the_r2_beside_a_linear_map_is_that_of_its_penalty():
    records = records_of("scala")
    name = "fit_srrr_rank16"
    record, params = figures.tested(records, name)
    [point] = record.points(**params)
    assert record.params[point]["alpha"] == records[name].params[0]["alpha"]
    assert f"test R² {record.test_r2[:, point].mean():.2f}" in words(
        study_figure("scala", "figure3_latent_srrr")
    )
