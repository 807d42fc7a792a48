"""The study: its records, tables, figures and commands, on screens that take seconds."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from short_recipes import TINY, TINY_SCREEN

from sbnn.mechanism_shift import experiments, report, simulate_perturbations
from sbnn.mechanism_shift.experiments import score, split_screen
from sbnn.mechanism_shift.graph import graph_table
from sbnn.mechanism_shift.methods import METHODS
from sbnn.mechanism_shift.study import STUDY


@pytest.fixture(scope="module")
def small():
    """The small configuration, made tiny, and a tenth of the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(experiments.CONFIGURATIONS, "small", TINY_SCREEN)
        patch.setattr(experiments, "FAST", TINY)
        patch.setattr(experiments, "VARIED", {"n_cells_per": ((10, 20), 20, ""), "latents_fitted": ((2, 3), 3, "")})
        yield


@pytest.fixture(scope="module")
def simulated(small, tmp_path_factory):
    """Folder of all results of simulated screens."""
    folder = tmp_path_factory.mktemp("simulated_screen")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        STUDY.run("simulated_screen", folder, only=["small_*", "ablation_[18]", "varied_*"], fast=True, verbose=False)
    return folder


@pytest.fixture(scope="module")
def fitted(small):
    """A tiny staged model with its scores, the screen it was fitted to and that of other perturbations."""
    known, new = split_screen(simulate_perturbations(**TINY_SCREEN, random_state=3))
    return (*score(METHODS["staged"], known, 3, 3, **TINY), known, new)


@pytest.fixture(scope="module")
def of_screen(small, tmp_path_factory, screen):
    """Folder of the results of a screen."""
    folder = tmp_path_factory.mktemp("screen")
    STUDY.run(screen, folder, fast=True, verbose=False)
    return folder


def test_what_is_shown_is_in_the_order_and_with_the_signs_of_the_truth(fitted):
    known = fitted[2]
    true, order = known.truth["latents"], [2, 0, 1]
    shifts = known.truth["shifts"].loc[known.targets]
    found = pd.DataFrame(-shifts.to_numpy()[:, order], shifts.index, [f"latent_{i}" for i in range(3)])
    shown = experiments._shown(known, -true[:, order], graph_table(found.index, found, found.abs()), found != 0)
    np.testing.assert_allclose(shown["effects"], shown["true_shifts"])
    np.testing.assert_allclose(shown["latents"], shown["true_latents"], rtol=1e-5)
    assert np.array_equal(shown["edges"], shown["true_shifts"].to_numpy() != 0)


def test_permuted_labels_belong_to_no_cell(screen):
    seen, graph = [], graph_table(["a", "b"], [[3.0, -0.5], [0.0, 1.0]], [[1, 0], [0, 0.6]])

    def fit(given, n_latent, seed):
        seen.append(given.perturbation)
        return SimpleNamespace(shift_graph_=graph)

    values = experiments.permuted(screen, fit, (0, 1))
    assert sorted(seen[0]) == sorted(screen.perturbation) and (seen[0] == screen.perturbation).mean() < 0.1
    assert not np.array_equal(*seen) and values["edges"].to_numpy().tolist() == [[0, 2], [1, 2]]
    assert values["null"].tolist() == [3.0, 0.5, 0.0, 1.0] * 2


def test_a_bootstrap_keeps_the_size_of_every_perturbation(screen):
    drawn = experiments.bootstrap(screen, 0)
    sizes = [np.unique(names, return_counts=True)[1] for names in (screen.perturbation, screen.perturbation[drawn])]
    assert np.array_equal(*sizes) and len(np.unique(drawn)) < len(drawn)


def test_records_of_a_screen(of_screen, screen):
    records = STUDY.load(of_screen)
    assert set(records) == {"fits", "permuted", "sizes", "bootstraps"}
    fits = records["fits"]
    assert set(fits.graph["perturbation"]) == set(screen.targets) and len(fits.latents) == 2000
    again = experiments.fit_model(screen, 10, 0, experiments.Recipe(**TINY))
    pd.testing.assert_frame_equal(again.shift_graph_, fits.graph.drop(columns="seed"))
    assert records["sizes"].sizes["n_latent"].tolist() == [2, 5]
    assert len(records["permuted"].null) == 40 * experiments.N_LATENT
    assert records["bootstraps"].stability["share"].isin([0, 1]).all()


def test_tables_and_figures_are_made_of_what_is_there(simulated, of_screen):
    for folder in (simulated, of_screen):
        records = STUDY.load(folder)
        tables = STUDY.tables(records)
        assert tables and all(len(table) for title, table in tables.items() if "come back" not in title)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn = dict(STUDY.draw(records))
        assert list(drawn) == STUDY.figure_names(records)
        for figure in drawn.values():
            figure.canvas.draw()
    assert list(STUDY.draw({})) == [] and report.all_tables({}) == {}


def test_false_discovery_rate_counts_permuted_effects_as_large_as_the_smallest_edge():
    effects = pd.DataFrame([[4.0, 0.1], [0.2, -2.0], [0.0, 0.3]], list("abc"), ["x", "y"])
    graph = graph_table(effects.index, effects, (effects.abs() > 1).astype(float))
    null = np.array([0.1] * 11 + [2.5])  # twelve pairs of two fits: half a false edge is expected of six
    assert report.false_discovery_rate(graph, null) == pytest.approx(0.5 / 2)
    assert report.false_discovery_rate(graph, np.zeros(5)) == 0
    assert np.isnan(report.false_discovery_rate(graph_table(effects.index, effects, effects * 0), null))
