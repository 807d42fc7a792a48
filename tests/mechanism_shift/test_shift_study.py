"""The study: its records, tables, figures and commands, on screens that take seconds."""

import warnings

import numpy as np
import pandas as pd
import pytest
from short_recipes import TINY, TINY_SCREEN

from sbnn.cli import main
from sbnn.mechanism_shift import Recipe, SparseShiftVAE, commands, report, screen_study, simulated_study, study
from sbnn.mechanism_shift.figures.gallery import figure_names, gallery
from sbnn.mechanism_shift.graph import edges_of, graph_table
from sbnn.mechanism_shift.methods import METHODS, read_out
from sbnn.mechanism_shift.simulated_study import run_method, run_varied, score, split_screen
from sbnn.results import Record


@pytest.fixture(scope="module")
def small():
    """The small configuration, made tiny, and a tenth of the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(simulated_study.CONFIGURATIONS, "small", TINY_SCREEN)
        patch.setattr(study, "FAST", TINY)
        patch.setattr(study, "VARIED", {"n_cells_per": ((10, 20), 20), "latents_fitted": ((2, 3), 3)})
        patch.setattr(report, "VARIED", study.VARIED)
        yield


@pytest.fixture(scope="module")
def simulated(small, tmp_path_factory):
    """Folder of all results of simulated screens."""
    folder = tmp_path_factory.mktemp("simulated_screen")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.run("simulated_screen", folder, everything=True, fast=True, verbose=False)
    return folder


@pytest.fixture(scope="module")
def of_screen(small, tmp_path_factory, screen):
    """Folder of the results of a screen."""
    folder = tmp_path_factory.mktemp("screen")
    study.run_screen(screen, folder, fast=True, verbose=False)
    return folder


def test_everything_is_run_once(simulated, capsys):
    records = study.load_records(simulated)
    assert {f"small_{name}" for name in METHODS} <= set(records) and "varied_n_cells_per" in records
    before = {path: path.stat().st_mtime_ns for path in simulated.iterdir()}
    study.run("simulated_screen", simulated, everything=True, fast=True)
    assert {path: path.stat().st_mtime_ns for path in simulated.iterdir()} == before
    assert "small staged: MCC" in capsys.readouterr().out


def test_records_hold_what_the_figures_need(simulated):
    record = study.load_records(simulated)["small_staged"]
    assert record.latents.shape == record.true_latents.shape == (200, 3)
    assert record.effects.shape == record.edges.shape == record.true_shifts.shape == (10, 3)
    for i in range(3):
        assert np.corrcoef(record.latents[:, i], record.true_latents[:, i])[0, 1] > 0  # signs are those of the truth


def test_scores_are_those_of_the_model_on_the_screen(small):
    known, new = split_screen(simulated_study.simulate_perturbations(**TINY_SCREEN, random_state=3))
    assert set(known.perturbation).isdisjoint(new.perturbation) and len(new.targets) == 20
    row, (model, latents, _, edges) = score(METHODS["staged"], known, 3, 3, **TINY)
    assert np.array_equal(latents, model.transform(known.counts))
    aside = model.validation_
    assert row["elbo"] == model.elbo(known.counts[aside], known.perturbation[aside])
    assert np.array_equal(edges, edges_of(model.shift_graph_))
    bounds = simulated_study.held_out_bounds(model, new, 3, n_samples=20)
    learn = np.random.default_rng(3).permutation(len(new.perturbation))[::2]
    test = np.setdiff1d(np.arange(len(new.perturbation)), learn)
    again = model.fit_new_perturbations(new.counts[learn], new.perturbation[learn])
    expected = again.elbo(new.counts[test], new.perturbation[test], per_cell=True).mean()
    assert bounds["new_elbo"] == pytest.approx(expected, abs=0.5)  # of the cells that the shifts were not learned from


def test_edges_of_a_model_without_a_mask_are_its_two_largest_shifts(screen):
    method = METHODS["pca"]
    model = method.make(5, 0).fit(screen.counts, screen.perturbation, screen.control)
    assert (read_out(method, model, screen.counts, screen.perturbation, screen.control)[2].sum(axis=1) == 2).all()


def test_unmixing_afterwards_changes_the_latents(screen):
    plain, unmixed = METHODS["ivae"], METHODS["ivae_unmixed"]
    model = plain.make(5, 0, epochs=1, hidden=8).fit(screen.counts, screen.perturbation, screen.control)
    first, second = (
        read_out(m, model, screen.counts, screen.perturbation, screen.control)[0] for m in (plain, unmixed)
    )
    assert np.array_equal(first, model.transform(screen.counts)) and not np.allclose(first, second)


def test_results_of_other_settings_are_not_loaded(small, tmp_path):
    path = tmp_path / "shift.pickle"
    run_method("small", "pca", path, seeds=(0,))
    with pytest.raises(ValueError, match="another seeds"):
        run_method("small", "pca", path, seeds=(1,))
    with pytest.raises(ValueError, match="give another path"):
        run_method("small", "ica", path, seeds=(0,))
    varied = tmp_path / "varied.pickle"
    run_varied("n_cells_per", varied, seeds=(0,), values=(10,), methods=("linear",))
    with pytest.raises(ValueError, match="another values"):
        run_varied("n_cells_per", varied, seeds=(0,), values=(20,), methods=("linear",))


def test_permuted_labels_belong_to_no_cell(screen):
    labels = screen_study.permuted(screen, 0)
    assert sorted(labels) == sorted(screen.perturbation) and (labels == screen.perturbation).mean() < 0.1


def test_a_bootstrap_keeps_the_size_of_every_perturbation(screen):
    drawn = screen_study.bootstrap(screen, 0)
    sizes = [
        pd.Series(names).value_counts().sort_index() for names in (screen.perturbation, screen.perturbation[drawn])
    ]
    pd.testing.assert_series_equal(*sizes)
    assert len(np.unique(drawn)) < len(drawn)


def test_permuted_labels_have_no_edges(screen):
    recipe = Recipe(hidden=64, epochs=60, least_updates=0, updates_per_pair=0)
    labels = screen_study.permuted(screen, 1)
    model = SparseShiftVAE(5, recipe=recipe, random_state=0).fit(screen.counts, labels, screen.control)
    assert not edges_of(model.shift_graph_).to_numpy().any()


def test_records_of_a_screen(of_screen, screen):
    records = study.load_records(of_screen)
    assert set(records) == {"fits", "permuted", "sizes", "bootstraps"}
    fits = records["fits"]
    assert set(fits.graph["perturbation"]) == set(screen.targets) and len(fits.latents) == 2000
    assert records["sizes"].sizes["n_latent"].tolist() == [2, 5]
    assert len(records["permuted"].null) == 40 * screen_study.N_LATENT
    assert records["bootstraps"].stability["share"].between(0, 1).all()


def test_how_near_the_perturbations_of_a_group_are():
    shifts = pd.DataFrame([[3.0, 0.0], [3.0, 0.5], [0.0, 0.0], [0.0, 2.0]], list("abcd"), ["x", "y"])
    assert screen_study.nearest_others(graph_table(shifts, shifts), ["a", "b"]) == pytest.approx((0.5, 3.0))


def test_tables_and_figures_are_made_of_what_is_there(simulated, of_screen):
    for folder in (simulated, of_screen):
        records = study.load_records(folder)
        tables = report.all_tables(records)
        assert tables and all(len(table) for title, table in tables.items() if "come back" not in title)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn = dict(gallery(records))
        assert list(drawn) == figure_names(records)
        for figure in drawn.values():
            figure.canvas.draw()
    assert list(gallery({})) == [] and report.all_tables({}) == {}


def test_a_table_tells_the_means_over_seeds(simulated):
    records = study.load_records(simulated)
    table, scores = report.methods_table(records, "small"), records["small_staged"].scores
    assert table.loc["staged", "MCC"] == scores["mcc"].mean() and table.loc["staged", "edge F1"] == scores["f1"].mean()
    assert report.ablation_table(records).loc["svae+", "MCC"] == records["ablation_0"].scores["mcc"].mean()


def test_commands(simulated, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, "results_folder", lambda place, name, fast: {"in": simulated, "out": tmp_path}[place])
    assert main(["mechanism-shift", "run", "simulated_screen", "--saved-models", "in", "--fast"]) == 0
    assert "From the published recipe to the staged one" in capsys.readouterr().out
    assert main(["mechanism-shift", "figures", "simulated_screen", "--saved-models", "in", "--figures", "out"]) == 0
    assert (tmp_path / "shift_small_accuracy.png").exists()
    assert main(["mechanism-shift", "report", "simulated_screen", "--saved-models", "in", "--json"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("}")
    assert main(["mechanism-shift", "run", "scala", "--saved-models", "in"]) != 0
    assert "of the study" in capsys.readouterr().err


def test_false_discovery_rate_counts_permuted_effects_as_large_as_the_smallest_edge():
    effects = pd.DataFrame([[4.0, 0.1], [0.2, -2.0], [0.0, 0.3]], list("abc"), ["x", "y"])
    graph = graph_table(effects, (effects.abs() > 1).astype(float))
    null = np.array([0.1] * 11 + [2.5])  # twelve pairs of two fits: half a false edge is expected of six
    assert screen_study.false_discovery_rate(graph, null) == pytest.approx(0.5 / 2)
    assert screen_study.false_discovery_rate(graph, np.zeros(5)) == 0
    assert np.isnan(screen_study.false_discovery_rate(graph_table(effects, effects * 0), null))


def test_differences_are_paired_by_seed():
    def record(mcc, seeds):
        return Record("x", "y", "z", [], values={"scores": pd.DataFrame({"seed": seeds, "mcc": mcc})})

    records = {"small_staged": record([0.9, 0.8, 0.7], [0, 1, 2]), "small_pca": record([0.5, 0.6, 0.7], [2, 1, 0])}
    # By hand: 0.2 in each of three seeds, but for rounding; paired by place it would be 0.4, 0.2 and 0.0.
    table = report.differences_table(records, "small")
    assert table.loc["PCA", "MCC"] == "+0.200 [+0.200, +0.200]" and list(table.index) == ["PCA"]
    records["small_pca"] = record([0.5, 0.6, 0.7], [0, 1, 2])
    assert report.differences_table(records, "small").loc["PCA", "MCC"] == "+0.200 [-0.297, +0.697]"
    assert report.differences_table({"small_pca": records["small_pca"]}, "small").empty
