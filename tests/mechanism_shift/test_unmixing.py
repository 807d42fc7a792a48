"""Unmixing: pure functions, on latents of which the truth is known."""

import numpy as np
import pandas as pd
import pytest

from sbnn.mechanism_shift import unmix
from sbnn.mechanism_shift.accuracy import edge_scores, match_latents
from sbnn.mechanism_shift.unmixing import SpikeSlab, _unseparated, describe, fit_spike_slab


def made(n_latents=6, n_perturbations=40, n_cells=60, size=4.0, targets=2, seed=0, control=False):
    """Latents of cells that perturbations shift sparsely, mixed by a matrix; latents, mixed, names and shifts."""
    rng = np.random.default_rng(seed)
    shifts = np.zeros((n_perturbations, n_latents))
    for row in shifts:
        chosen = rng.choice(n_latents, targets, replace=False)
        row[chosen] = rng.choice([-1, 1], targets) * rng.normal(size, 0.5, targets)
    names = np.array([f"p{i:02d}" for i in range(n_perturbations)], dtype="U8")
    if control:
        shifts[0], names[0] = 0.0, "ctrl"
    codes = np.repeat(np.arange(n_perturbations), n_cells)
    true = shifts[codes] + rng.standard_normal((len(codes), n_latents))
    mixing = rng.standard_normal((n_latents, n_latents)) + 2 * np.eye(n_latents)
    return true, true @ mixing + 3.0, names[codes], pd.DataFrame(shifts, names)


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("size", [2.5, 8.0])
def test_mixed_latents_and_their_graph_are_recovered(size, control):
    true, mixed, names, shifts = made(size=size, control=control)
    found = unmix(mixed, names, "ctrl" if control else None, random_state=1)
    latents = found.transform(mixed)
    within = latents - pd.DataFrame(latents).groupby(names).transform("mean").to_numpy()
    np.testing.assert_allclose(within.T @ within / len(within), np.eye(6), atol=1e-6)
    correlation, of_true, of_found = match_latents(true, latents)
    assert np.abs(correlation).min() > 0.99
    assert edge_scores(shifts, found.edges, of_true, of_found)["f1"] > 0.97
    assert found.unseparated == [] and found.unmoved == []
    effects = found.shifts.to_numpy()[:, of_found] * np.sign(correlation)
    assert np.abs(effects - shifts.loc[found.shifts.index].to_numpy()[:, of_true]).max() < (
        1.2 if control else 0.8
    )
    assert "ctrl" not in found.shifts.index
    assert np.abs(np.median(found.shifts.to_numpy()[~found.edges.to_numpy()])) < 0.1


def test_latents_that_another_turn_separates_as_well_are_named():
    rng = np.random.default_rng(0)
    shifts = np.zeros((40, 3))
    shifts[:20, 0] = rng.choice([-1, 1], 20) * rng.normal(4, 0.5, 20)
    # the others: alone as often as together, an eighth turn changes nothing
    angle = np.arange(20) * np.pi / 4
    shifts[20:, 1:] = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    codes = np.repeat(np.arange(40), 500)
    latents = shifts[codes] + rng.standard_normal((len(codes), 3))
    found = unmix(latents, codes.astype(str))
    alone = match_latents(latents[:, :1], found.transform(latents))[2][0]
    pair = {f"latent_{i}" for i in range(3) if i != alone}
    assert [set(names) for names in found.unseparated] == [pair]


@pytest.mark.parametrize(("alone", "together", "said"), [(9, 5, [("a", "b")]), (12, 4, [])])
def test_another_turn_is_as_likely_within_chance_of_all_perturbations_that_move_either(
    alone, together, said
):
    angle = np.pi / 4 * np.append(2 * np.arange(alone), 2 * np.arange(together) + 1)
    shifts = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert _unseparated(shifts, SpikeSlab(0.5, 3.5, 1.0, 0.3), "ab") == said


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_size_spread_and_density_of_shifts_are_estimated(share):
    rng = np.random.default_rng(0)
    n = 4000
    moved = rng.random(n) < share
    shifts = np.where(moved, rng.choice([-1, 1], n) * rng.normal(3, 0.6, n), rng.laplace(0, 0.2, n))
    fit = fit_spike_slab(shifts)
    assert fit.size == pytest.approx(3, abs=0.1) and fit.sd == pytest.approx(0.6, abs=0.1)
    assert fit.density == pytest.approx(share, abs=0.02) and fit.spike == pytest.approx(
        0.2, abs=0.03
    )
    assert ((fit.probability(shifts) > 0.5) == moved).mean() > 0.99


def test_small_shifts_need_a_control():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(30), 400)
    latents = rng.standard_normal((len(codes), 3))
    latents[codes < 6, 0] += 4.0
    latents[codes == 9, 1] += 0.45
    edges = {
        control: describe(latents, codes.astype(str), control).edges for control in ("29", None)
    }
    assert (
        edges["29"].loc["9"].tolist() == [False, True, False] and edges["29"].to_numpy().sum() == 7
    )
    assert not edges[None].loc["9"].any()


def test_bad_latents_are_named():
    _, mixed, names, _ = made(n_cells=5)
    with pytest.raises(ValueError, match="latents: .* repeat others"):
        unmix(np.column_stack([mixed, mixed[:, 0]]), names)
    with pytest.raises(ValueError, match="latents contains NaN"):
        describe(np.where(np.arange(mixed.size).reshape(mixed.shape) == 3, np.nan, mixed), names)
    cells = pd.Index([f"c{i}" for i in range(len(mixed))])
    table, given = pd.DataFrame(mixed, cells), pd.Series(names, cells)
    assert unmix(table, given).edges.equals(unmix(mixed, names).edges)
    with pytest.raises(ValueError, match="perturbation: .* only the order"):
        unmix(table, given[::-1])
