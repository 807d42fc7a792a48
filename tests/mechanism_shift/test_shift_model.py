"""The model: what it finds, what it promises, and what it says of bad input."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from short_recipes import SHORT, SHORT_PUBLISHED, TINY
from sklearn.base import clone

from sbnn.mechanism_shift import MANY_GENES, Recipe, SparseShiftVAE, network
from sbnn.mechanism_shift.accuracy import edge_scores, match_latents
from sbnn.mechanism_shift.graph import edges_of, wide


def of(screen, names):
    """Counts, perturbations and control of the cells of some perturbations."""
    cells = np.isin(screen.perturbation, names)
    control = screen.control if screen.control in names else None
    return screen.counts[cells], screen.perturbation[cells], control


def test_latents_and_graph_of_a_simulated_screen_are_found(screen, staged):
    latents = staged.transform(screen.counts)
    correlation, of_true, of_found = match_latents(screen.truth["latents"], latents)
    assert np.abs(correlation).min() > 0.9
    scores = edge_scores(screen.truth["shifts"], edges_of(staged.shift_graph_), of_true, of_found)
    assert scores["f1"] > 0.97
    effects = wide(staged.shift_graph_, "effect").to_numpy()[:, of_found] * np.sign(correlation)
    true = screen.truth["shifts"].to_numpy()[:, of_true]
    assert np.corrcoef(effects[true != 0], true[true != 0])[0, 1] > 0.97
    assert screen.control not in set(staged.shift_graph_["perturbation"])
    assert np.abs(latents[screen.perturbation == screen.control].mean(axis=0)).max() < 0.4
    of_control = staged.prior_.means().numpy()[staged.perturbations_ == screen.control]
    assert not of_control.any()


@pytest.mark.parametrize("method", ["staged", "svae+"])
def test_a_seed_gives_the_same_bits_whatever_threads_global_state_and_storage(
    few, method, monkeypatch
):
    recipe = SHORT if method == "staged" else SHORT_PUBLISHED
    recipe = replace(recipe, epochs=2, hidden=16)
    models = []
    for seed, most_dense in ((1, network.DENSE_VALUES), (2, 0)):
        torch.manual_seed(seed)
        torch.set_num_threads(seed)
        monkeypatch.setattr(network, "DENSE_VALUES", most_dense)
        model = SparseShiftVAE(3, method, recipe=recipe, random_state=5)
        models.append(model.fit(*few))
    torch.set_num_threads(1)
    first, second = models
    latents = first.transform(few[0])
    assert np.array_equal(latents, second.transform(few[0]))
    pd.testing.assert_frame_equal(first.shift_graph_, second.shift_graph_, check_exact=True)
    other = clone(first).set_params(random_state=6)
    other.fit(*few)
    assert not np.array_equal(latents, other.transform(few[0]))


def test_an_anndata_says_perturbations_control_and_genes(screen, adata):
    model = SparseShiftVAE(3, recipe=TINY, random_state=0)
    expected = clone(model).fit(screen.counts, screen.perturbation, screen.control)
    found = clone(model).fit(adata)
    assert found.control_ == "control"
    assert list(found.feature_names_in_) == list(adata.var_names)
    pd.testing.assert_frame_equal(found.shift_graph_, expected.shift_graph_)
    with pytest.raises(ValueError, match="same order"):
        found.transform(adata[:, ::-1])


def test_cells_set_aside_are_not_trained_on(few):
    model = SparseShiftVAE(3, recipe=TINY, random_state=0)
    first = clone(model).fit(*few)
    counts = few[0].toarray()
    counts[first.validation_] = counts[first.validation_][:, ::-1]
    second = clone(model).fit(counts, *few[1:])
    assert len(first.validation_) == pytest.approx(0.1 * len(counts), rel=0.1)
    assert np.array_equal(first.transform(few[0]), second.transform(few[0]))


@pytest.mark.parametrize("method", ["ivae", "svae+"])
def test_effects_of_trained_means_are_against_the_control(screen, method):
    model = SparseShiftVAE(3, method, recipe=replace(SHORT_PUBLISHED, hidden=8), random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    means = pd.DataFrame(model.prior_.means().detach().numpy(), model.perturbations_)
    effects = wide(model.shift_graph_, "effect")
    assert means.loc[screen.control].abs().max() > 0
    against_control = (means - means.loc[screen.control]).loc[effects.index]
    np.testing.assert_allclose(effects, against_control, atol=1e-6)


METHODS = {"vae": (None, False), "ivae": (None, False), "svae": (100, False), "svae+": (10, True)}


@pytest.mark.parametrize("method", METHODS)
def test_published_methods_differ_in_their_prior(screen, method):
    strength, summed = METHODS[method]
    recipe = replace(SHORT_PUBLISHED, hidden=8, epochs=2)
    model = SparseShiftVAE(2, method, recipe=recipe, random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    assert model.unmixing_ is None and not model.direct_.any()
    assert list(model.history_) == ["epoch", "loss", "validation_elbo"]
    assert model.prior_.summed == summed
    assert getattr(model.prior_, "strength", None) == strength
    assert model.prior_.means().any() == (method != "vae")
    probabilities = model.shift_graph_["probability"]
    expected = {"vae": 0.0, "ivae": 1.0}.get(method, probabilities.max())
    assert probabilities.unique().tolist() == pytest.approx([expected]) or strength
    if strength:
        weaker = clone(model).set_params(strength=0.5)
        weaker.fit(screen.counts, screen.perturbation, screen.control)
        assert weaker.shift_graph_["probability"].mean() > probabilities.mean()
    assert model.algorithm_version(9) == (2 if method == "svae" else 1)


def test_new_perturbations_are_learned_with_the_network_as_it_is(screen):
    known = of(screen, [*screen.targets[:30], screen.control])
    counts, names, _ = of(screen, screen.targets[30:])
    model = SparseShiftVAE(5, recipe=replace(SHORT, epochs=30), random_state=0).fit(*known)
    weights = {name: value.clone() for name, value in model.network_.state_dict().items()}
    wider = model.fit_new_perturbations(counts, names)
    started = model.fit_new_perturbations(counts, names, learn_shifts=False)
    for name, value in wider.network_.state_dict().items():
        assert torch.equal(value, weights[name])
    assert wider.elbo(counts, names) > started.elbo(counts, names) + 1
    assert wider.elbo(*known[:2]) == model.elbo(*known[:2])
    assert torch.equal(wider.prior_.mask[: len(model.perturbations_)], model.prior_.mask)
    graph = wider.shift_graph_.set_index("perturbation")
    assert set(graph.index) == set(screen.targets)
    latents = model.unmixing_.transform(model.transform(counts[names == names[0]]))
    np.testing.assert_allclose(
        graph.loc[names[0], "effect"], latents.mean(axis=0), rtol=1e-4, atol=1e-5
    )
    assert (graph.loc[names[0], "probability"] == 1).all()
    with pytest.raises(ValueError, match="perturbation: .* the model knows"):
        model.fit_new_perturbations(*known[:2])
    without = SparseShiftVAE(5, "vae", recipe=TINY, random_state=0).fit(*known)
    without = without.fit_new_perturbations(counts, names)
    assert not without.prior_.means().any()
    assert not without.shift_graph_[["effect", "probability"]].to_numpy().any()
    cells = pd.DataFrame(counts.toarray())
    given = pd.Series(names)
    for method in (model.fit, model.fit_new_perturbations, model.elbo):
        with pytest.raises(ValueError, match="perturbation: .* only the order"):
            method(cells, given[::-1])


def test_bad_screens_are_named(screen):
    model = SparseShiftVAE(3, recipe=TINY)
    counts = screen.counts.toarray()
    counts[4] = 0
    with pytest.raises(ValueError, match="counts: .* at positions 4"):
        model.fit(counts, screen.perturbation)
    names = screen.perturbation.astype(object)
    names[0] = "alone"
    with pytest.raises(ValueError, match="perturbation: .*alone"):
        model.fit(screen.counts, names)
    for wrong in ({"n_latent": ()}, {"recipe": ()}, {"recipe": ["long"]}, {"n_latent": (0,)}):
        name = next(iter(wrong))
        with pytest.raises((TypeError, ValueError), match=name):
            SparseShiftVAE(**wrong).fit(screen.counts, screen.perturbation)


def test_many_genes_have_a_recipe_of_their_own(rng, monkeypatch):
    def stop(model, n_latent, recipe, counts, codes):
        raise InterruptedError(recipe)

    monkeypatch.setattr(SparseShiftVAE, "_fit_one", stop)
    names = np.repeat(["a", "b"], 5)
    few = replace(Recipe(), epochs=2)
    for n_genes, asked, expected in (
        (500, None, Recipe()),
        (501, None, MANY_GENES),
        (501, few, few),
    ):
        with pytest.raises(InterruptedError) as error:
            SparseShiftVAE(recipe=asked).fit(rng.poisson(5, (10, n_genes)), names)
        assert error.value.args == (expected,)
