"""The model: what it finds, what it promises, and what it says of bad input."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from short_recipes import SHORT, SHORT_PUBLISHED, TINY
from sklearn.base import clone

from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.mechanism_shift.accuracy import edge_scores, match_latents
from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.mechanism_shift.model import STRENGTH


def of(screen, names):
    """Counts, perturbations and control of the cells of some perturbations."""
    cells = np.isin(screen.perturbation, names)
    return (
        screen.counts[cells],
        screen.perturbation[cells],
        screen.control if screen.control in names else None,
    )


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
    assert not staged.prior_.means()[
        torch.from_numpy(staged.perturbations_ == screen.control)
    ].any()


@pytest.mark.parametrize("method", ["staged", "svae+"])
def test_the_same_seed_gives_the_same_bits_whatever_the_threads_and_the_global_state(
    screen, method
):
    models, recipe = (
        [],
        replace(SHORT if method == "staged" else SHORT_PUBLISHED, epochs=2, hidden=16),
    )
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.set_num_threads(seed)
        model = SparseShiftVAE(3, method, recipe=recipe, random_state=5)
        models.append(model.fit(screen.counts, screen.perturbation, screen.control))
    torch.set_num_threads(1)
    assert np.array_equal(*(model.transform(screen.counts) for model in models))
    pd.testing.assert_frame_equal(models[0].shift_graph_, models[1].shift_graph_, check_exact=True)
    other = (
        clone(models[0])
        .set_params(random_state=6)
        .fit(screen.counts, screen.perturbation, screen.control)
    )
    assert not np.array_equal(models[0].transform(screen.counts), other.transform(screen.counts))


def test_an_anndata_says_perturbations_control_and_genes(screen, adata):
    model = SparseShiftVAE(3, recipe=TINY, random_state=0)
    expected = clone(model).fit(screen.counts, screen.perturbation, screen.control)
    found = clone(model).fit(adata)
    assert found.control_ == "control" and list(found.feature_names_in_) == list(adata.var_names)
    pd.testing.assert_frame_equal(found.shift_graph_, expected.shift_graph_)
    with pytest.raises(ValueError, match="same order"):
        found.transform(adata[:, ::-1])


def test_cells_set_aside_are_not_trained_on(screen):
    model = SparseShiftVAE(3, recipe=TINY, random_state=0)
    first = clone(model).fit(screen.counts, screen.perturbation, screen.control)
    counts = screen.counts.toarray()
    counts[first.validation_] = counts[first.validation_][:, ::-1]
    second = clone(model).fit(counts, screen.perturbation, screen.control)
    assert len(first.validation_) == pytest.approx(0.1 * len(counts), rel=0.1)
    assert np.array_equal(first.transform(screen.counts), second.transform(screen.counts))


@pytest.mark.parametrize("method", ["ivae", "svae+"])
def test_effects_of_trained_means_are_against_the_control(screen, method):
    model = SparseShiftVAE(3, method, recipe=replace(SHORT_PUBLISHED, hidden=8), random_state=0)
    model.fit(screen.counts, screen.perturbation, screen.control)
    means = pd.DataFrame(model.prior_.means().detach().numpy(), model.perturbations_)
    effects = wide(model.shift_graph_, "effect")
    assert means.loc[screen.control].abs().max() > 0
    assert method == "ivae" or model.prior_.strength == STRENGTH[method] == 10
    np.testing.assert_allclose(
        effects, (means - means.loc[screen.control]).loc[effects.index], atol=1e-6
    )


def test_new_perturbations_are_learned_with_the_network_as_it_is(screen):
    known = of(screen, [*screen.targets[:30], screen.control])
    counts, names, _ = of(screen, screen.targets[30:])
    model = SparseShiftVAE(5, recipe=SHORT, random_state=0).fit(*known)
    weights = {name: value.clone() for name, value in model.network_.state_dict().items()}
    wider = model.fit_new_perturbations(counts, names)
    started = model.fit_new_perturbations(counts, names, learn_shifts=False)
    assert all(
        torch.equal(value, weights[name]) for name, value in wider.network_.state_dict().items()
    )
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
    with pytest.raises(ValueError, match="the model was already fitted to"):
        model.fit_new_perturbations(*known[:2])
    without = (
        SparseShiftVAE(5, "vae", recipe=TINY, random_state=0)
        .fit(*known)
        .fit_new_perturbations(counts, names)
    )
    assert (
        not without.prior_.means().any()
        and not without.shift_graph_[["effect", "probability"]].to_numpy().any()
    )
    cells, given = pd.DataFrame(counts.toarray()), pd.Series(names)
    for method in (model.fit, model.fit_new_perturbations, model.elbo):
        with pytest.raises(ValueError, match="perturbation: .* only the order"):
            method(cells, given[::-1])


def test_bad_screens_are_named(screen):
    counts, names, model = (
        screen.counts.toarray(),
        screen.perturbation.astype(object),
        SparseShiftVAE(3, recipe=TINY),
    )
    counts[4], names[0] = 0, "alone"
    with pytest.raises(
        ValueError, match="counts: leave out the cells without any counts, .* at positions 4"
    ):
        model.fit(counts, screen.perturbation)
    with pytest.raises(ValueError, match="perturbation: .*: alone"):
        model.fit(screen.counts, names)
