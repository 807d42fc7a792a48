"""Comparison with the truth, and results that are computed once."""

import numpy as np
import pytest
from short_recipes import TINY

from sbnn.mechanism_shift import SparseShiftVAE, recovery
from sbnn.mechanism_shift.linear import LinearShift
from sbnn.mechanism_shift.records import compute_once

MODEL = SparseShiftVAE(3, recipe=TINY, random_state=0)


def test_edges_are_the_largest_shifts_or_those_of_unmixed_latents(adata):
    mixed, found = recovery(LinearShift(5, "none"), adata, "largest")
    assert (found["edges"].sum(axis=1) == 2).all() and set(mixed) == {
        "mcc",
        "precision",
        "recall",
        "f1",
        "seconds",
    }
    unmixed, _ = recovery(LinearShift(5), adata, "unmixed")
    assert unmixed["mcc"] > mixed["mcc"] + 0.1 and unmixed["f1"] > 0.6
    with pytest.raises(ValueError, match="edges: "):
        recovery(LinearShift(5), adata, "all")


def test_shifts_of_new_perturbations_are_learned_from_other_cells_than_are_scored(
    adata, monkeypatch
):
    new = adata.obs["perturbation"].isin(adata.obs["perturbation"].cat.categories[-20:])
    seen, learn = [], SparseShiftVAE.fit_new_perturbations

    def watched(model, counts, names, learned):
        seen.append((cells(counts, names), learned))
        return learn(model, counts, names, learned)

    def cells(counts, names):
        return {(row.tobytes(), name) for row, name in zip(counts.toarray(), names, strict=True)}

    def bound(model, counts, names, n_samples=10):
        seen.append((cells(counts, names), n_samples))
        return float(model.prior_.means()[-1].abs().sum())

    monkeypatch.setattr(SparseShiftVAE, "fit_new_perturbations", watched)
    monkeypatch.setattr(SparseShiftVAE, "elbo", bound)
    monkeypatch.setattr(SparseShiftVAE, "iwelbo", bound)
    scores, _ = recovery(MODEL, adata[~new], new=adata[new])
    (learn_on, _), (test, _) = seen[1:3]  # after the cells of the known perturbations
    bounds = [(test, 10), (test, 100)]
    assert seen[1:] == [(learn_on, True), *bounds, (learn_on, False), *bounds]
    assert len(learn_on) == 600 and len(test) == 500 and not learn_on & test
    assert scores["new_elbo"] > scores["new_iwelbo_before"] == 0
    assert not hasattr(MODEL, "network_"), "a clone is fitted"


def test_results_are_computed_once_and_answer_their_question(adata, tmp_path):
    how = {"results": tmp_path / "shift_fits.pickle", "seeds": [0]}
    record = compute_once("fits", adata, MODEL, lambda: {"elbo": np.ones(2)}, **how)
    again = compute_once("fits", adata, MODEL, pytest.fail, **how)
    assert (
        again.elbo.tolist() == record.elbo.tolist()
        and record.dataset == "simulated_screen"
        and record.seed == 0
    )
    with pytest.raises(ValueError, match="differs in seeds"):
        compute_once("fits", adata, MODEL, pytest.fail, **how | {"seeds": [1]})
    sizes = compute_once("varied", {"n_genes": 40}, MODEL, dict, params={"of": "shift"})
    assert (
        sizes.settings["configuration"] == {"n_genes": 40}
        and sizes.seed is None
        and sizes.params == [{"of": "shift"}]
    )
