"""The model: what it finds, what it promises, and what it says of bad input."""

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import read_h5ad
from numpy.testing import assert_allclose
from sklearn.base import clone

from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.mechanism_shift.accuracy import accuracy, aligned
from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.mechanism_shift.training import OneCycleTraining

TINY = SparseShiftVAE(3, hidden=8, epochs=2, random_state=0)


def test_latents_and_graph_of_a_simulated_screen_are_found(screen, fitted):
    latents = fitted.transform(screen.counts)
    edges = edges_of(fitted.shift_graph_)
    scores = accuracy(screen.truth, latents, edges)
    assert scores["mcc"] > 0.9 and scores["f1"] > 0.9
    found = aligned(screen.truth, latents, fitted.shift_graph_, edges)
    true = found["true_shifts"].to_numpy()
    effects = found["effects"].to_numpy()
    assert np.corrcoef(effects[true != 0], true[true != 0])[0, 1] > 0.97
    assert screen.control not in edges.index
    assert np.abs(latents[screen.perturbation == screen.control].mean(axis=0)).max() < 0.4


@pytest.mark.parametrize("training", ["one-cycle", "published"])
def test_a_seed_gives_the_same_bits_whatever_threads_and_global_state(few, training):
    latents = []
    for global_seed, seed in ((1, 0), (2, 0), (2, 6)):
        torch.manual_seed(global_seed)
        torch.set_num_threads(global_seed)
        model = clone(TINY).set_params(training=training, random_state=seed).fit(*few)
        latents.append(model.transform(few[0]))
    torch.set_num_threads(1)
    first, second, other = latents
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_an_anndata_says_perturbations_control_and_genes(screen, adata, tmp_path):
    expected = clone(TINY).fit(screen.counts, screen.perturbation, screen.control)
    adata.write_h5ad(tmp_path / "screen.h5ad")
    found = clone(TINY).fit(read_h5ad(tmp_path / "screen.h5ad", backed="r"))
    pd.testing.assert_frame_equal(found.shift_graph_, expected.shift_graph_)
    with pytest.raises(ValueError, match="same order"):
        found.transform(adata[:, ::-1])


def test_cells_set_aside_are_not_trained_on(few, monkeypatch):
    # otherwise, they choose between two networks
    monkeypatch.setattr(OneCycleTraining, "held_out", lambda *_: 0.0)
    first = clone(TINY).set_params(method="ivae").fit(*few)
    counts = few[0].toarray()
    counts[first.validation_] = counts[first.validation_][:, ::-1]
    second = clone(first).fit(counts, *few[1:])
    assert len(first.validation_) == pytest.approx(0.1 * len(counts), rel=0.1)
    assert np.array_equal(first.history_, second.history_)
    assert np.array_equal(first.transform(few[0]), second.transform(few[0]))


@pytest.mark.parametrize("method", ["vae", "ivae", "svae", "svae+"])
def test_published_methods_differ_in_their_prior(few, method):
    model = clone(TINY).set_params(method=method, training="published").fit(*few)
    assert model.unmixing_ is None and not model.direct_.any()
    assert model.network_.summed == (method == "svae+")
    means = pd.DataFrame(model.network_.means().numpy(), model.perturbations_)
    assert means.to_numpy().any() == (method != "vae")
    effects = wide(model.shift_graph_, "effect")
    assert_allclose(effects, (means - means.loc[few[2]]).loc[effects.index], atol=1e-6)
    new = model.fit_new_perturbations(few[0], np.full(few[1].shape, "new"))
    assert new.network_.means()[-1].any() == (method != "vae")
    probabilities = model.shift_graph_["probability"]
    expected = {"vae": 0, "ivae": 1}.get(method, 1 / (1 + np.exp(-5)))  # gates hardly move
    assert probabilities.to_numpy() == pytest.approx(expected, abs=2e-3)


def test_new_perturbations_are_learned_with_the_network_as_it_is(screen, fitted):
    cells = np.isin(screen.perturbation, fitted.perturbations_[[4, 8]])
    known = screen.counts, screen.perturbation
    new = screen.counts[cells], np.char.add("new_", screen.perturbation[cells])
    wider = fitted.fit_new_perturbations(*new)
    started = fitted.fit_new_perturbations(*new, learn_shifts=False)
    assert wider.elbo(*new) > started.elbo(*new) + 1
    assert wider.elbo(*known) == fitted.elbo(*known)
    means = pd.DataFrame(fitted.transform(new[0])).groupby(new[1]).mean()
    effects = wide(wider.shift_graph_, "effect").iloc[-2:]
    assert_allclose(effects, means, atol=1e-4)
    assert wide(wider.shift_graph_, "effect")[:-2].equals(wide(fitted.shift_graph_, "effect"))
    with pytest.raises(ValueError, match="perturbation: not among those of the fit: new_"):
        fitted.elbo(*new)


def test_cells_without_counts_are_named(few):
    counts = few[0].toarray()
    counts[4] = 0
    with pytest.raises(ValueError, match="counts: .* at positions 4"):
        clone(TINY).fit(counts, few[1])
    with pytest.raises(ValueError, match=r"n_latent must be .* \[1, 2\], got 3"):
        clone(TINY).fit(few[0][:, :2], few[1])
