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
    assert (found["edges"].sum(axis=1) == 2).all() and set(mixed) == {"mcc", "precision", "recall", "f1", "seconds"}
    unmixed, _ = recovery(LinearShift(5), adata, "unmixed")
    assert unmixed["mcc"] > mixed["mcc"] + 0.1 and unmixed["f1"] > 0.6
    with pytest.raises(ValueError, match="edges: "):
        recovery(LinearShift(5), adata, "all")


def test_shifts_of_new_perturbations_are_learned_from_other_cells_than_are_scored(adata, monkeypatch):
    new = adata.obs["perturbation"].isin(adata.obs["perturbation"].cat.categories[-10:])
    seen, learn = [], SparseShiftVAE.fit_new_perturbations

    def cells(counts):
        return {row.tobytes() for row in counts.toarray()}

    def watched(model, counts, names, learned):
        seen.append((cells(counts), learned))
        return learn(model, counts, names, learned)

    monkeypatch.setattr(SparseShiftVAE, "fit_new_perturbations", watched)
    monkeypatch.setattr(SparseShiftVAE, "iwelbo", lambda model, counts, names, n: seen.append(cells(counts)) or 0.0)
    scores, _ = recovery(MODEL, adata[~new], new=adata[new])
    (learn_on, _), test, *_ = seen
    assert seen == [(learn_on, True), test, (learn_on, False), test] and len(learn_on) == len(test) == 300
    assert not learn_on & test and scores["new_elbo"] > scores["new_elbo_before"]
    assert not hasattr(MODEL, "network_"), "a clone is fitted"


def test_results_are_computed_once_and_answer_their_question(adata, tmp_path):
    how = {"results": tmp_path / "shift_fits.pickle", "seeds": [0]}
    record = compute_once("fits", adata, MODEL, lambda: {"elbo": np.ones(2)}, **how)
    again = compute_once("fits", adata, MODEL, pytest.fail, **how)
    assert again.elbo.tolist() == record.elbo.tolist() and record.dataset == "simulated_screen" and record.seed == 0
    with pytest.raises(ValueError, match="another seeds"):
        compute_once("fits", adata, MODEL, pytest.fail, **how | {"seeds": [1]})
    sizes = compute_once("varied", {"n_genes": 40}, MODEL, dict, params={"of": "shift"})
    assert (
        sizes.settings["configuration"] == {"n_genes": 40} and sizes.seed is None and sizes.params == [{"of": "shift"}]
    )
