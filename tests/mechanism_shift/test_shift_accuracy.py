"""Comparison with the truth, and results that are computed once."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sbnn.mechanism_shift import SparseShiftVAE, recovery, z_scored
from sbnn.mechanism_shift.accuracy import accuracy, aligned, match_latents
from sbnn.mechanism_shift.graph import graph_table
from sbnn.mechanism_shift.linear import LinearShift
from sbnn.mechanism_shift.records import compute_once

MODEL = SparseShiftVAE(3, hidden=8, epochs=2, random_state=0)


def test_edges_are_the_largest_shifts_or_those_of_unmixed_latents(adata):
    mixed, found = recovery(LinearShift(5, "none"), adata, "largest")
    assert (found["edges"].sum(axis=1) == 2).all()
    assert set(mixed) == {"mcc", "precision", "recall", "f1", "seconds"}
    unmixed, _ = recovery(LinearShift(5), adata, "unmixed")
    assert unmixed["mcc"] > mixed["mcc"] + 0.1 and unmixed["f1"] > 0.6
    with pytest.raises(ValueError, match="edges: "):
        recovery(LinearShift(5), adata, "all")


def test_shifts_of_new_perturbations_are_learned_from_other_cells_than_are_scored(
    adata, monkeypatch
):
    new = adata.obs["perturbation"].isin(adata.obs["perturbation"].cat.categories[-20:])
    seen = []

    def cells(counts, names):
        return set(zip(map(bytes, counts.toarray()), names, strict=True))

    def learn(model, counts, names, learn_shifts):
        seen.append((cells(counts, names), learn_shifts))
        return model

    def bound(model, counts, names, n_samples=10):
        seen.append((cells(counts, names), n_samples))
        return 0.0

    monkeypatch.setattr(SparseShiftVAE, "fit_new_perturbations", learn)
    monkeypatch.setattr(SparseShiftVAE, "elbo", bound)
    monkeypatch.setattr(SparseShiftVAE, "iwelbo", bound)
    recovery(MODEL, adata[~new], new=adata[new])
    (learn_on, _), (test, _) = seen[1:3]  # after the cells of the known perturbations
    bounds = [(test, 10), (test, 100)]
    assert seen[1:] == [(learn_on, True), *bounds, (learn_on, False), *bounds]
    assert len(learn_on) == 600 and len(test) == 500 and not learn_on & test
    assert not hasattr(MODEL, "network_"), "a clone is fitted"


def test_results_are_computed_once_and_answer_their_question(adata, tmp_path):
    path = tmp_path / "shift_fits.pickle"
    values = {"elbo": np.ones(2)}
    record = compute_once("fits", adata, MODEL, values.copy, results=path, seeds=[0])
    again = compute_once("fits", adata, MODEL, pytest.fail, results=path, seeds=[0])
    assert again.elbo.tolist() == [1, 1]
    assert record.dataset == "simulated_screen"
    with pytest.raises(ValueError, match="differs in seeds"):
        compute_once("fits", adata, MODEL, pytest.fail, results=path, seeds=[1])


TRUE = np.array([[1.0, 0.0, 3.0], [2.0, 1.0, -1.0], [3.0, 0.5, 0.0], [5.0, -1.0, 1.0]])
FOUND = np.column_stack([-2 * TRUE[:, 2] + [0.1, 0, 0, 0], TRUE[:, 0], np.ones(4)])
THIRD = np.corrcoef(TRUE[:, 2], FOUND[:, 0])[0, 1]  # near -1
SHIFTS = pd.DataFrame([[3.0, 0, 0], [0, 2, -1], [0, 0, 0]], ["a", "b", "c"], ["x", "y", "z"])
TRUTH = {"latents": TRUE, "shifts": SHIFTS}
EDGES = pd.DataFrame([[True, True, False], [False, True, True]], ["b", "a"])


def test_latents_are_matched_by_their_absolute_correlation():
    correlation, of_true, of_found = match_latents(TRUE, FOUND)
    assert of_true.tolist() == [0, 1, 2] and of_found.tolist() == [1, 2, 0]
    assert correlation == pytest.approx([1, 0, THIRD])


def test_precision_is_of_the_found_edges_and_recall_of_the_true_ones():
    # found: latents 2 and 0 of b, 0 and 1 of a; true: latents 1 and 2 of b, 0 of a
    expected = {"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7, "mcc": (1 - THIRD) / 3}
    assert accuracy(TRUTH, FOUND, EDGES) == pytest.approx(expected)
    none = pd.DataFrame(False, ["c"], range(2))
    without = accuracy(TRUTH, FOUND[:, :2], none)
    assert without["f1"] == 0 and without["mcc"] == pytest.approx((1 - THIRD) / 3)


def test_results_are_shown_in_the_order_and_with_the_signs_of_the_true_latents():
    effects = np.array([[1.5, 0.1, 0.0], [-0.2, 2.5, 0.3]])
    shown = aligned(TRUTH, FOUND, graph_table(["b", "a"], effects, np.eye(3)[:2]), EDGES)
    assert shown["effects"].loc["b"].to_dict() == {"x": 0.1, "y": 0.0, "z": -1.5}
    assert shown["edges"].loc["a"].to_dict() == {"x": True, "y": True, "z": False}
    assert shown["true_shifts"].loc["b"].tolist() == [0, 2, -1]


def test_differences_of_genes_are_z_scored_against_the_control(adata, screen):
    differences, changed = z_scored(adata)
    counts = screen.counts.toarray()
    logs = np.log1p(1000 * counts / counts.sum(axis=1, keepdims=True))
    z = pd.DataFrame(stats.zscore(logs), columns=screen.gene_names)
    means = z.groupby(screen.perturbation).mean()
    expected = (means - means.loc[screen.control]).drop(screen.control)
    pd.testing.assert_frame_equal(differences, expected, check_names=False)
    p = 2 * stats.norm.sf(expected.abs() / np.sqrt(1 / 60 + 1 / 100))
    limit = 0.01 * changed.to_numpy().mean()  # Benjamini and Hochberg
    np.testing.assert_array_equal(changed, p <= limit)
    free, _ = z_scored(adata[screen.perturbation != screen.control])
    assert free.mean().abs().max() < 1e-6, "differences from the mean of all cells"
