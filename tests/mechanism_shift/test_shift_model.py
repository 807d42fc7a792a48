"""The model: what it finds, what it promises, and what it says of bad input."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.mechanism_shift.accuracy import accuracy, match_latents
from sbnn.mechanism_shift.graph import edges_of, wide

TINY = SparseShiftVAE(3, hidden=8, epochs=2, random_state=0)


def test_latents_and_graph_of_a_simulated_screen_are_found(screen, fitted):
    latents = fitted.transform(screen.counts)
    correlation, of_true, of_found = match_latents(screen.truth["latents"], latents)
    assert np.abs(correlation).min() > 0.85
    assert accuracy(screen.truth, latents, edges_of(fitted.shift_graph_))["f1"] > 0.9
    effects = wide(fitted.shift_graph_, "effect").to_numpy()[:, of_found] * np.sign(correlation)
    true = screen.truth["shifts"].to_numpy()[:, of_true]
    assert np.corrcoef(effects[true != 0], true[true != 0])[0, 1] > 0.97
    assert screen.control not in set(fitted.shift_graph_["perturbation"])
    assert np.abs(latents[screen.perturbation == screen.control].mean(axis=0)).max() < 0.4
    assert list(fitted.history_) == ["epoch", "loss"] and len(fitted.history_) == 60


@pytest.mark.parametrize("training", ["one-cycle", "published"])
def test_a_seed_gives_the_same_bits_whatever_threads_and_global_state(few, training):
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.set_num_threads(seed)
        models.append(clone(TINY).set_params(training=training).fit(*few))
    torch.set_num_threads(1)
    first, second = models
    latents = first.transform(few[0])
    assert np.array_equal(latents, second.transform(few[0]))
    pd.testing.assert_frame_equal(first.shift_graph_, second.shift_graph_, check_exact=True)
    other = clone(first).set_params(random_state=6).fit(*few)
    assert not np.array_equal(latents, other.transform(few[0]))


def test_an_anndata_says_perturbations_control_and_genes(screen, adata):
    expected = clone(TINY).fit(screen.counts, screen.perturbation, screen.control)
    found = clone(TINY).fit(adata)
    assert found.control_ == "control"
    assert list(found.feature_names_in_) == list(adata.var_names)
    pd.testing.assert_frame_equal(found.shift_graph_, expected.shift_graph_)
    with pytest.raises(ValueError, match="same order"):
        found.transform(adata[:, ::-1])


def test_cells_set_aside_are_not_trained_on(few):
    first = clone(TINY).set_params(method="ivae").fit(*few)
    counts = few[0].toarray()
    counts[first.validation_] = counts[first.validation_][:, ::-1]
    second = clone(first).fit(counts, *few[1:])
    assert len(first.validation_) == pytest.approx(0.1 * len(counts), rel=0.1)
    # they choose between two networks, which are trained alike
    assert np.array_equal(first.history_["loss"][:1], second.history_["loss"][:1])
    if first.weight_precision_ == second.weight_precision_:
        assert np.array_equal(first.transform(few[0]), second.transform(few[0]))


METHODS = {"vae": (None, False), "ivae": (None, False), "svae": (100, False), "svae+": (10, True)}


@pytest.mark.parametrize("method", METHODS)
def test_published_methods_differ_in_their_prior(screen, method):
    strength, summed = METHODS[method]
    model = SparseShiftVAE(2, method, "published", hidden=8, epochs=2, random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    assert model.unmixing_ is None and not model.direct_.any()
    assert list(model.history_) == ["epoch", "loss", "validation_elbo"]
    assert model.network_.summed == summed
    assert model.network_.strength == strength
    means = pd.DataFrame(model.network_.means().numpy(), model.perturbations_)
    assert means.to_numpy().any() == (method != "vae")
    effects = wide(model.shift_graph_, "effect")
    against_control = (means - means.loc[screen.control]).loc[effects.index]
    np.testing.assert_allclose(effects, against_control, atol=1e-6)
    probabilities = model.shift_graph_["probability"]
    if strength:
        weaker = clone(model).set_params(strength=0.5)
        weaker.fit(screen.counts, screen.perturbation, screen.control)
        assert weaker.shift_graph_["probability"].mean() > probabilities.mean()
    else:
        assert set(probabilities) == {float(method == "ivae")}


def test_new_perturbations_are_learned_with_the_network_as_it_is(screen):
    old = np.isin(screen.perturbation, [*screen.targets[:30], screen.control])
    known = screen.counts[old], screen.perturbation[old]
    new = screen.counts[~old], screen.perturbation[~old]
    model = SparseShiftVAE(5, hidden=64, epochs=30, random_state=0).fit(*known, screen.control)
    wider = model.fit_new_perturbations(*new)
    started = model.fit_new_perturbations(*new, learn_shifts=False)
    assert wider.elbo(*new) > started.elbo(*new) + 1
    assert wider.elbo(*known) == model.elbo(*known)
    assert torch.equal(wider.network_.means()[: len(model.perturbations_)], model.network_.means())
    graph = wider.shift_graph_.set_index("perturbation")
    assert set(graph.index) == set(screen.targets)
    name = screen.targets[30]
    latents = model.transform(new[0][new[1] == name])
    assert graph.loc[name, "effect"].to_list() == pytest.approx(latents.mean(axis=0), abs=1e-4)
    with pytest.raises(ValueError, match="perturbation: .* the model knows"):
        model.fit_new_perturbations(*known)


def test_bad_screens_are_named(screen):
    counts = screen.counts.toarray()
    counts[4] = 0
    with pytest.raises(ValueError, match="counts: .* at positions 4"):
        clone(TINY).fit(counts, screen.perturbation)
    names = screen.perturbation.astype(object)
    names[0] = "alone"
    with pytest.raises(ValueError, match="perturbation: .*alone"):
        clone(TINY).fit(screen.counts, names)


def test_doubtful_shifts_are_warned_of(screen):
    model = SparseShiftVAE(1, hidden=8, epochs=30, random_state=0)
    with pytest.warns(UserWarning, match="of the shifts may or may not be edges"):
        model.fit(screen.counts, screen.perturbation, screen.control)


@pytest.mark.parametrize("training", ["one-cycle", "published"])
def test_few_cells_of_many_genes_need_no_validation_cells(rng, training):
    names = np.repeat(["a", "b"], 5)
    model = SparseShiftVAE(1, training=training, hidden=16, epochs=2, random_state=0)
    model.fit(rng.poisson(5, (10, 501)), names)
    assert len(model.validation_) == 0
    assert np.isfinite(model.history_["loss"]).all()
