"""Committed results of screens: one fit of each kind is made again."""

from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from same import assert_same

from sbnn import load_dataset, results
from sbnn.data.screens import as_screen
from sbnn.data.simulate_perturbations import simulate_perturbations
from sbnn.mechanism_shift import experiments
from sbnn.mechanism_shift.experiments import CONFIGURATIONS, N_LATENT, fit_model, held_out_bounds, score, split_screen
from sbnn.mechanism_shift.methods import METHODS
from sbnn.mechanism_shift.study import SIMULATED, STUDY
from sbnn.tables import to_markdown

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


@pytest.mark.parametrize("name", ["pca", "ica", "linear", pytest.param("staged", marks=pytest.mark.slow)])
def test_a_committed_fit_to_a_simulated_screen_comes_out_the_same(name):
    record = results.load(SAVED / SIMULATED / f"shift_small_{name}.pickle")
    sizes, stored = CONFIGURATIONS["small"], record.scores.iloc[0]
    known, new = split_screen(simulate_perturbations(**sizes, random_state=int(stored["seed"])))
    row, (model, *_) = score(METHODS[name], known, sizes["n_latents"], int(stored["seed"]))
    if name == "staged":
        row |= held_out_bounds(model, new, int(stored["seed"]))
    compared = [column for column in row if column != "seconds"]
    rtol = 2e-3 if name == "staged" else 1e-6  # training drifts apart from the first different bit of a processor
    assert_same([row[column] for column in compared], stored[compared].to_numpy(float), rtol=rtol)


@pytest.mark.slow
def test_a_committed_fit_to_a_real_screen_comes_out_the_same():
    try:
        screen = as_screen(load_dataset("papalexi", download=False, verbose=False))
    except FileNotFoundError:
        pytest.skip("the data are not here")
    record = results.load(SAVED / "papalexi" / "shift_fits.pickle")
    model, stored = fit_model(screen, N_LATENT, 0), record.graph[record.graph["seed"] == 0]
    # The probabilities of pairs that hardly matter differ by hundredths between processors.
    pd.testing.assert_frame_equal(
        model.shift_graph_, stored.drop(columns="seed").reset_index(drop=True), rtol=0, atol=0.05, check_dtype=False
    )
    aside = model.validation_
    assert_same(model.elbo(screen.counts[aside], screen.perturbation[aside]), record.elbo[0], rtol=1e-3)


def test_tables_of_committed_results_stay_as_they_are():
    """Means, paired differences, what varies, edges and what can be trusted, by a fingerprint of their text."""
    tables = STUDY.tables(STUDY.load(SAVED / SIMULATED)) | STUDY.tables(STUDY.load(SAVED / "papalexi"))
    text = "\n".join(f"{title}\n{to_markdown(table)}" for title, table in tables.items())
    assert sha256(text.encode()).hexdigest()[:12] == "7e6eb087c653"


def test_committed_results_are_those_of_the_study(monkeypatch):
    for name in ("simulate_perturbations", "fit_model"):
        monkeypatch.setattr(experiments, name, pytest.fail)  # nothing is computed again
    records = STUDY.run(SIMULATED, SAVED / SIMULATED, only=["*"], verbose=False)
    assert len(records) == len(STUDY.load(SAVED / SIMULATED)) == 35
    try:
        assert len(STUDY.run("papalexi", SAVED / "papalexi", verbose=False)) == 4
    except FileNotFoundError:
        pytest.skip("the data are not here")
