"""Committed results of screens: one fit of each kind is made again."""

import importlib
import sys
from pathlib import Path

import pytest
from made_up import assert_tidy
from same import assert_same

from sbnn import load_dataset, results
from sbnn.evaluation import runs
from sbnn.mechanism_shift import SparseShiftVAE, plotting, recovery, report
from sbnn.mechanism_shift.graph import edges_of

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
sys.path.insert(0, str(SAVED.with_name("benchmarks")))
FIGURES = SAVED.with_name("figures")
benchmark = importlib.import_module("mechanism_shift")
to_markdown = importlib.import_module("pages").to_markdown


@pytest.mark.parametrize(
    "name", ["pca", "ica", "linear", pytest.param("staged", marks=pytest.mark.slow)]
)
def test_a_committed_fit_to_a_simulated_screen_comes_out_the_same(name):
    stored = results.load(SAVED / "simulated_screen" / f"shift_small_{name}.pickle").scores.iloc[0]
    known, new = benchmark.simulated(benchmark.CONFIGURATIONS["small"], int(stored["seed"]))
    model, edges = benchmark.METHODS[name]
    row, _ = recovery(benchmark.seeded(model, 15, int(stored["seed"])), known, edges, new)
    compared = [column for column in row if column != "seconds"]
    # Training drifts apart from the first different bit of a processor: bounds of new cells, about
    # -530 nats, differ by 1.2 between an Intel Xeon and an AMD EPYC, and one of 145 edges is
    # another one with AVX2.
    tolerance = {"rtol": 5e-3, "atol": 0.01} if name == "staged" else {"rtol": 1e-4}
    assert_same([row[column] for column in compared], stored[compared].to_numpy(float), **tolerance)


@pytest.mark.slow
def test_a_committed_fit_to_a_real_screen_comes_out_the_same():
    try:
        adata = load_dataset("papalexi", download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip("the data are not here")
    record = results.load(SAVED / "papalexi" / "shift_fits.pickle")
    stored = record.graph[record.graph["seed"] == 0]
    model = SparseShiftVAE(10, random_state=0).fit(adata)
    # On another processor, the rotation of weak latents differs, and so may a single weak edge.
    found = set(edges_of(model.shift_graph_).query("latent_0").index)
    known = set(edges_of(stored).query("latent_0").index)
    assert set(report.PATHWAY) <= found, "the pathway of the stimulus"
    assert len(found ^ known) <= 1
    n_edges = (model.shift_graph_["probability"] > 0.5).sum()
    assert n_edges == pytest.approx((stored["probability"] > 0.5).sum(), abs=3)
    aside = adata[model.validation_]
    assert_same(model.elbo(aside, aside.obs["perturbation"]), record.elbo[0], rtol=1e-3)


CHECKS = ("fits", "permuted", "sizes", "bootstraps")
OF_ONE_SCREEN = {
    "shift_graph": lambda records: plotting.graph_of_screen(records["fits"]),
    "shift_cells": lambda records: plotting.cells_and_shifts(records["fits"]),
    "shift_genes": lambda records: plotting.latents_and_genes(records["fits"]),
    "shift_trust": lambda records: plotting.checks_of_edges(*map(records.get, CHECKS)),
}
OF_METHODS = {
    "shift_small_accuracy": plotting.scores_of_methods,
    "shift_small_graph": lambda methods: plotting.found_graph(methods["staged"]),
    "shift_small_latents": lambda methods: plotting.recovered_latents(methods["staged"]),
    "shift_small_held_out": plotting.held_out_bounds,
}


@pytest.mark.parametrize("name", OF_ONE_SCREEN)
@pytest.mark.parametrize("dataset", ["papalexi", "simulated_screen"])
def test_figures_of_a_screen_are_tidy(dataset, name):
    figure = OF_ONE_SCREEN[name](report.read(SAVED / dataset))
    assert (FIGURES / dataset / f"{name}.png").exists()
    assert_tidy(figure)


def test_figures_of_methods_are_tidy():
    records = report.read(SAVED / "simulated_screen")
    methods = report.of_configuration(records, "small")
    varied = {quantity: records[f"varied_{quantity}"] for quantity in report.VARIED}
    figures = {name: draw(methods) for name, draw in OF_METHODS.items()}
    figures["shift_varied"] = plotting.scores_as_screens_vary(varied)
    for name, figure in figures.items():
        assert (FIGURES / "simulated_screen" / f"{name}.png").exists()
        assert_tidy(figure)


def test_the_benchmark_takes_its_committed_results(monkeypatch):
    monkeypatch.setattr(
        runs, "save", lambda record, path: pytest.fail(f"{path} was computed again")
    )
    monkeypatch.setattr(benchmark, "recovery", pytest.fail)
    assert len(benchmark.measure(SAVED)) == 5 and len(benchmark.PLANNED) == 21


def test_tables_of_held_out_cells_on_the_page_are_those_of_the_committed_results():
    page = (SAVED.parent / "docs" / "mechanism_shift.md").read_text()
    records = report.read(SAVED / "papalexi") | report.read(SAVED / "simulated_screen")
    runs = report.rivals_by_screen(records)
    real = report.rivals_table(runs["Papalexi, 299 genes"]).drop(columns="range of runs")
    for table in (report.sparsity_table(runs), real):
        assert to_markdown(table) in page
