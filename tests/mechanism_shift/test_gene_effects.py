"""Effects on genes beyond the latents, and the choice among recipes."""

import warnings
from copy import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from short_recipes import SHORT, TINY

from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.mechanism_shift.direct import shrunken


def test_noise_is_shrunk_and_large_effects_are_not():
    rng = np.random.default_rng(0)
    true = np.where(rng.random((3, 400)) < [[0.0], [0.05], [0.5]], rng.normal(0, 1, (3, 400)), 0.0)
    errors = np.full(true.shape, 0.1)
    estimates = true + rng.normal(0, errors)
    mean, sd = shrunken(estimates, errors)
    assert np.abs(mean[0]).max() < 0.05
    large = np.abs(true) > 0.5
    np.testing.assert_allclose(mean[large], estimates[large], atol=0.06)
    assert ((mean - true) ** 2).mean() < 0.6 * ((estimates - true) ** 2).mean()
    assert (np.abs(mean - true) < 2 * sd + 0.02).mean() > 0.93
    assert sd[1].max() > 0.1, "more than the error where it is open whether there is an effect"


def test_an_effect_on_one_gene_is_direct_and_reported_as_the_cells_show_it(screen):
    counts, name = screen.counts.toarray(), screen.targets[3]
    of, gene = screen.perturbation == name, int(np.argmin(screen.counts.toarray().std(axis=0)))
    counts[of, gene] = np.random.default_rng(0).binomial(counts[of, gene], 0.1)
    model = SparseShiftVAE(5, recipe=SHORT, random_state=0).fit(
        counts, screen.perturbation, screen.control
    )
    found = model.gene_effects_.set_index(["perturbation", "gene"]).loc[(name, gene)]
    kept = np.setdiff1d(np.arange(len(counts)), model.validation_)
    share = {
        key: counts[kept][screen.perturbation[kept] == key].sum(0) for key in (name, screen.control)
    }
    own = np.log([share[key][gene] / share[key].sum() + 1e-4 for key in share])
    assert (
        found["significant"]
        and found["direct"] < -0.1
        and found["log_fold_change"] == pytest.approx(own[0] - own[1])
    )
    assert found["lower"] < found["log_fold_change"] < found["upper"] < 0 and found["edge"]
    assert model.gene_effects_["edge"].sum() < 10
    predicted = model.predict_counts(1000)
    assert predicted.shape == (len(model.perturbations_), 60)
    np.testing.assert_allclose(predicted.sum(axis=1), 1000, rtol=1e-4)
    assert predicted.loc[name, gene] < 0.6 * predicted.loc[screen.control, gene]
    new = model.fit_new_perturbations(screen.counts[of], np.full(of.sum(), "new"))
    assert not new.direct_[-1].any() and new.elbo(counts[~of], screen.perturbation[~of]) < 0


def test_effects_on_genes_count_if_held_out_cells_become_likelier(screen, staged, monkeypatch):
    codes = pd.Index(staged.perturbations_).get_indexer(screen.perturbation)
    train = np.setdiff1d(np.arange(len(codes)), staged.validation_)
    for gain in (0.0, 1.0):
        model = copy(staged)
        monkeypatch.setattr(
            model, "_mean", lambda *_, direct=None, gain=gain: gain if direct is None else 0.0
        )
        model._add_direct_effects(screen.counts.astype(np.float32), codes, train, np.arange(60))
        assert model.direct_.any() == (gain > 0)


def test_of_several_sizes_and_recipes_the_one_under_which_held_out_cells_are_likeliest_is_taken(
    screen,
):
    cells = screen.counts, screen.perturbation, screen.control
    recipes = [TINY, replace(TINY, epochs=12, learning_rate=4e-3), TINY]
    model = SparseShiftVAE((1, 3), recipe=recipes, random_state=0).fit(*cells)
    alone = SparseShiftVAE(3, recipe=recipes[1], random_state=0).fit(*cells)
    assert (model.n_latent_, model.recipe_) == (3, recipes[1]) and model.recipe == recipes
    assert np.array_equal(model.transform(cells[0]), alone.transform(cells[0]))
    unheld = SparseShiftVAE(
        (3, 1), recipe=replace(TINY, epochs=1, validation_share=0), random_state=0
    ).fit(*cells)
    assert unheld.n_latent_ == 3, "without held-out cells the first"


def warned(model, **changes):
    """Messages of a fitted model after changes."""
    model = copy(model)
    vars(model).update(changes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model._warn(*changes.get("cells", ()))
    return [str(one.message) for one in caught]


def test_doubtful_graphs_latents_of_a_batch_and_shrunken_effects_are_warned_of(screen, staged):
    counts, names = screen.counts.astype(np.float32), screen.perturbation
    latent = staged.transform(counts)[:, 2]
    batch = np.where(latent > 0, "late", "early")
    labels = pd.DataFrame({"batch": batch, "replicate": np.arange(len(names)) % 3, "guide": names})
    labels["well"] = np.argsort(np.argsort(latent)) // 8  # of too few cells
    cells = counts, names, labels.drop(columns="batch")
    assert warned(staged, cells=cells) == []
    [message] = warned(staged, cells=(counts, names, labels))
    assert "batch explains" in message and "latent_2" in message
    for probability, share in ((1.0, []), (0.5, ["100%"])):  # many edges, all clear, are no reason
        graph = staged.shift_graph_.assign(probability=probability)
        assert [
            text.split()[0] for text in warned(staged, cells=cells, shift_graph_=graph)
        ] == share
    effects = staged.gene_effects_.assign(significant=True)
    effects["model"] = 0.3 * effects["log_fold_change"]
    [message] = warned(staged, cells=cells, gene_effects_=effects)
    assert "to 0.30 of the measured values" in message
