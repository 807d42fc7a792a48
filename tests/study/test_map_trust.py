"""How far a map can be trusted: held-out errors, alignment of other seeds and the truth, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from sbnn import load_dataset, plotting, results
from sbnn.evaluation.folds import split_and_scale
from sbnn.study.components import principal_components
from sbnn.study.map_trust import held_out_errors, run_map_trust

SAVED_MODELS = Path(__file__).resolve().parents[2] / "saved_models"


@pytest.fixture(scope="module")
def simulated():
    return load_dataset("simulated", verbose=False)


@pytest.fixture(scope="module")
def trust(simulated):
    return run_map_trust(simulated, SAVED_MODELS / "simulated")


def test_errors_are_those_of_held_out_cells(simulated, trust):
    folds = results.load(SAVED_MODELS / "simulated" / "cv_default.pickle")
    point = folds.find(n_components=2)
    errors = held_out_errors(simulated, folds, point)
    np.testing.assert_array_equal(trust.errors, errors)
    for i, fold in enumerate(folds.folds):  # the R2 of the table comes from the same errors
        Y_test = split_and_scale(simulated, fold, folds.settings["scaling"])[3]
        total = np.square(Y_test).sum()  # around the mean of the training cells
        assert 1 - errors[fold[1]].sum() * Y_test.shape[1] / total == pytest.approx(folds.test_r2[i, point], abs=1e-4)


def test_maps_of_other_seeds_lie_on_the_first(trust):
    assert trust.latents.shape == (5, *trust.latent.shape) and len(trust.agreement) == 5
    distance = np.sqrt(np.square(trust.latents - trust.latent).sum(2).mean(0))
    size = np.sqrt(np.square(trust.latent - trust.latent.mean(0)).sum(1).mean())
    np.testing.assert_allclose(trust.spread, distance / size, rtol=1e-3)
    np.testing.assert_allclose(np.mean(trust.spread**2), np.mean(1 - trust.agreement), rtol=1e-3)
    assert (trust.agreement > 0.9).all() and len(np.unique(trust.latents[:, 0, 0])) == 5


def test_the_true_map_is_recovered(simulated, trust):
    assert trust.truth_agreement > 0.9
    place = trust.true_latent - trust.true_latent.mean(0)
    truth = simulated.truth["latent"] - simulated.truth["latent"].mean(0)
    affine = np.linalg.lstsq(truth, place, rcond=None)[0]
    np.testing.assert_allclose(truth @ affine, place, atol=1e-3)


def test_a_committed_verdict_comes_out_the_same(simulated, trust, tmp_path):
    for name in ("cv_default", "fit_default_2d"):
        (tmp_path / f"{name}.pickle").symlink_to(SAVED_MODELS / "simulated" / f"{name}.pickle")
    again = run_map_trust(simulated, tmp_path, fast=False)
    np.testing.assert_array_equal(again.latents, trust.latents)


def test_another_map_is_another_verdict(simulated, tmp_path):
    for name in ("cv_default", "fit_default_2d", "map_trust"):
        record = results.load(SAVED_MODELS / "simulated" / f"{name}.pickle")
        if name == "fit_default_2d":
            record.values["latent"] = record.latent + 1
        results.save(record, tmp_path / f"{name}.pickle")
    with pytest.raises(ValueError, match="judged"):
        run_map_trust(simulated, tmp_path)


def test_shares_of_variance(simulated, tmp_path):
    record = principal_components(simulated, results=tmp_path / "components.pickle")
    spread = (simulated.Y - simulated.Y.mean(0)) / simulated.Y.std(0)
    expected = np.linalg.svd(spread.astype(np.float64), compute_uv=False) ** 2
    np.testing.assert_allclose(record.outputs, expected / expected.sum(), atol=1e-6)
    assert record.transcriptome.sum() == pytest.approx(1) and len(record.transcriptome) == simulated.n_genes
    committed = results.load(SAVED_MODELS / "simulated" / "components.pickle")
    np.testing.assert_allclose(committed.transcriptome, record.transcriptome, atol=1e-9)


def test_figures(trust):
    fit = results.load(SAVED_MODELS / "simulated" / "fit_default_2d.pickle")
    assert len([ax for ax in plotting.map_trust(trust, fit).axes if ax.get_label() != "<colorbar>"]) == 4
    del trust.values["true_latent"]
    figure = plotting.map_trust(trust)
    colors = [ax.collections[0].get_array() for ax in figure.axes[:2]]
    np.testing.assert_array_equal(np.sort(colors[1]), np.sort(trust.spread))
    record = results.load(SAVED_MODELS / "simulated" / "components.pickle")
    figure = plotting.component_variance(record, ("genes", "outputs"))
    total = record.outputs.cumsum()
    text = " ".join(text.get_text() for text in figure.axes[1].texts)
    assert f"90%: {(total < 0.9).sum() + 1}" in text
    with pytest.raises((TypeError, ValueError), match="record"):
        plotting.map_trust(fit)
