"""The model: what it finds, what it promises, and what it says of bad input."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, stats
from short_recipes import SHORT, SHORT_PUBLISHED
from sklearn.base import clone

from sbnn.mechanism_shift import Recipe, SparseShiftVAE
from sbnn.mechanism_shift.baselines import ROTATIONS, LinearShift
from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.mechanism_shift.matching import edge_scores, match_latents, mean_correlation
from sbnn.mechanism_shift.model import METHODS
from sbnn.mechanism_shift.network import ShiftNetwork, divergence, log_factorials, log_likelihood
from sbnn.mechanism_shift.priors import FixedMeans, MaskedMeans


def short(method):
    return SHORT if method == "staged" else SHORT_PUBLISHED


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


def test_the_control_lies_at_zero(screen, staged):
    latents = staged.transform(screen.counts[screen.perturbation == screen.control])
    assert np.abs(latents.mean(axis=0)).max() < 0.4


@pytest.mark.parametrize("method", METHODS)
def test_every_method_fits_transforms_and_scores(screen, method):
    model = SparseShiftVAE(3, method, recipe=replace(short(method), epochs=2, hidden=16), random_state=0)
    part = screen.of([*screen.targets[:4], screen.control])
    model.fit(part.counts, part.perturbation, part.control)
    assert model.transform(part.counts).shape == (part.n_cells, 3)
    graph = model.shift_graph_
    assert len(graph) == 4 * 3 and graph["probability"].between(0, 1).all() and np.isfinite(graph["effect"]).all()
    cells = slice(0, 20)
    elbo = model.elbo(part.counts[cells], part.perturbation[cells], n_samples=50, per_cell=True)
    iwelbo = model.iwelbo(part.counts[cells], part.perturbation[cells], n_samples=200, per_cell=True)
    assert elbo.shape == iwelbo.shape == (20,) and (iwelbo > elbo - 1).all() and iwelbo.mean() > elbo.mean()


@pytest.mark.parametrize("method", ["staged", "svae+"])
def test_the_same_seed_gives_the_same_bits_whatever_the_threads_and_the_global_state(screen, method):
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.set_num_threads(seed)
        model = SparseShiftVAE(3, method, recipe=replace(short(method), epochs=2, hidden=16), random_state=5)
        models.append(model.fit(screen.counts, screen.perturbation, screen.control))
    torch.set_num_threads(1)
    assert np.array_equal(*(model.transform(screen.counts) for model in models))
    pd.testing.assert_frame_equal(models[0].shift_graph_, models[1].shift_graph_, check_exact=True)
    other = clone(models[0]).set_params(random_state=6).fit(screen.counts, screen.perturbation, screen.control)
    assert not np.array_equal(models[0].transform(screen.counts), other.transform(screen.counts))


def test_dense_sparse_and_table_are_the_same_cells(screen, staged):
    dense = screen.counts.toarray()[:50]
    expected = staged.transform(screen.counts[:50])
    for given in (dense, dense.astype(float), pd.DataFrame(dense), sparse.csc_matrix(dense)):
        assert np.array_equal(staged.transform(given), expected)


def test_cells_kept_sparse_give_the_same_fit(screen, monkeypatch):
    recipe = replace(SHORT, epochs=2, hidden=16)
    fits = []
    for most in (2**25, 1):
        monkeypatch.setattr("sbnn.mechanism_shift.cells.DENSE_VALUES", most)
        model = SparseShiftVAE(3, recipe=recipe, random_state=0)
        fits.append(model.fit(screen.counts, screen.perturbation, screen.control))
    assert np.array_equal(*(model.transform(screen.counts) for model in fits))


def test_cells_set_aside_are_not_trained_on(screen):
    recipe = replace(SHORT, epochs=2, hidden=16)
    model = SparseShiftVAE(3, recipe=recipe, random_state=0)
    first = clone(model).fit(screen.counts, screen.perturbation, screen.control)
    counts = screen.counts.toarray()
    counts[first.validation_] = counts[first.validation_][:, ::-1]
    second = clone(model).fit(counts, screen.perturbation, screen.control)
    assert len(first.validation_) == pytest.approx(0.1 * screen.n_cells, rel=0.1)
    assert np.array_equal(first.transform(screen.counts), second.transform(screen.counts))


def test_predicted_counts_are_those_of_the_perturbations(screen, staged):
    predicted = staged.predict_counts(screen.targets)
    measured = np.array([screen.counts[screen.perturbation == name].mean(axis=0) for name in screen.targets])
    measured *= predicted.sum(axis=1).to_numpy()[:, None] / measured.sum(axis=1, keepdims=True)
    overall = measured.mean(axis=0)
    assert np.corrcoef((predicted - overall).to_numpy().ravel(), (measured - overall).ravel())[0, 1] > 0.9
    assert predicted.sum(axis=1).to_numpy() == pytest.approx(staged.median_total_, rel=1e-4)
    assert staged.predict_counts("perturbation_00", total=100).to_numpy().sum() == pytest.approx(100, rel=1e-4)


def test_new_perturbations_are_learned_with_the_network_as_it_is(screen):
    known, new = screen.of([*screen.targets[:30], screen.control]), screen.of(screen.targets[30:])
    model = SparseShiftVAE(5, recipe=SHORT, random_state=0).fit(known.counts, known.perturbation, known.control)
    weights = {name: value.clone() for name, value in model.network_.state_dict().items()}
    wider = model.fit_new_perturbations(new.counts, new.perturbation)
    started = model.fit_new_perturbations(new.counts, new.perturbation, learn_shifts=False)
    assert all(torch.equal(value, weights[name]) for name, value in wider.network_.state_dict().items())
    assert wider.elbo(new.counts, new.perturbation) > started.elbo(new.counts, new.perturbation) + 1
    assert wider.elbo(known.counts, known.perturbation) == model.elbo(known.counts, known.perturbation)
    assert set(wider.shift_graph_["perturbation"]) == set(screen.targets)
    assert set(model.shift_graph_["perturbation"]) == set(known.targets)
    name = new.targets[0]
    latents = model.unmixing_.transform(model.transform(new.counts[new.perturbation == name]))
    graph = wider.shift_graph_
    effects = graph.loc[graph["perturbation"] == name, "effect"]
    np.testing.assert_allclose(effects, latents.mean(axis=0), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="were among the training cells"):
        model.fit_new_perturbations(known.counts, known.perturbation)


def test_the_likelihood_is_that_of_a_negative_binomial():
    counts = torch.tensor([[0.0, 3.0, 7.0], [2.0, 0.0, 1.0]])
    shares, dispersion = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]), torch.tensor([0.5, 1.0, 2.0])
    totals = counts.sum(1, keepdim=True)
    found = log_likelihood(counts, totals, shares.log(), dispersion) - log_factorials(counts)
    inverse, mean = dispersion.exp().numpy(), (shares * totals).numpy()
    expected = stats.nbinom.logpmf(counts.numpy(), inverse, inverse / (inverse + mean)).sum(1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_the_divergence_is_that_of_two_normal_distributions():
    mean, log_variance, prior = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.3, -0.7]]), torch.tensor([[0.0, 2.0]])
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(prior, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance, prior), expected)


def test_changed_latents_decode_to_the_same_counts():
    torch.manual_seed(0)
    network = ShiftNetwork(12, 4, Recipe(hidden=16), torch.ones(12) / 12)
    matrix, origin, inputs = torch.randn(4, 4), torch.randn(4), torch.randn(30, 12)
    before = network.encode(inputs)[0]
    decoded = network.decode(before)
    network.change_latents(matrix, origin)
    after = network.encode(inputs)[0]
    torch.testing.assert_close(after, (before - origin) @ matrix, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network.decode(after), decoded, rtol=1e-3, atol=1e-4)


def test_the_penalties_are_the_published_ones():
    prior = MaskedMeans(2, 3, 10.0, beta=True)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([[5.0, 0.0, -2.0], [1.0, 3.0, -1.0]]))
    p = prior.logits.sigmoid().detach().numpy()
    assert prior.penalty().item() == pytest.approx(-stats.beta.logpdf(p, 1, 10).sum(), rel=1e-5)
    lasso = MaskedMeans(2, 3, 100.0, beta=False)
    assert lasso.penalty().item() == pytest.approx(100 * torch.sigmoid(torch.tensor(5.0)).item(), rel=1e-5)


def test_a_mask_is_drawn_hard_with_a_soft_gradient():
    prior, codes = MaskedMeans(1, 2, 1.0, beta=True), torch.zeros(20000, dtype=torch.long)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([[1.0, -1.0]]))
        prior.shifts.fill_(2.0)
    drawn = prior(codes, torch.Generator().manual_seed(0))
    assert set(drawn.detach().unique().round().tolist()) == {0.0, 2.0}
    assert drawn.mean(0)[0].item() / 2 == pytest.approx(0.731, abs=0.02)
    drawn.sum().backward()
    assert (prior.logits.grad > 0).all()
    assert prior.means().tolist() == [[2.0, 0.0]]


def test_fixed_means_are_zero_under_the_mask():
    prior = FixedMeans(2, 2)
    prior.mask = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    prior.set_means(torch.full((2, 2), 3.0))
    assert prior.means().tolist() == [[3.0, 0.0], [0.0, 3.0]]


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_linear_latents(screen, rotation):
    model = LinearShift(5, rotation, random_state=0).fit(screen.counts, screen.perturbation, screen.control)
    latents = model.transform(screen.counts)
    assert latents.shape == (screen.n_cells, 5) and len(model.shift_graph_) == 40 * 5
    if rotation == "unmix":
        plain = LinearShift(5, "none", random_state=0).fit(screen.counts, screen.perturbation, screen.control)
        score = mean_correlation(screen.truth["latents"], plain.transform(screen.counts))
        assert mean_correlation(screen.truth["latents"], latents) > score + 0.1


def bad(screen, **changes):
    values = {"counts": screen.counts.toarray(), "perturbation": screen.perturbation.astype(object), "control": None}
    return values | changes


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda v: v["counts"].__setitem__((0, 0), -3), ValueError, "1 negative values"),
        (lambda v: v.update(counts=v["counts"] + 0.5), ValueError, "fractional values .100 % of all"),
        (lambda v: v.update(counts=np.where(np.eye(*v["counts"].shape), np.nan, v["counts"])), ValueError, "60 NaN"),
        (lambda v: v["counts"].__setitem__(4, 0), ValueError, "1 cells have no count at all, at the positions 4"),
        (lambda v: v["perturbation"].__setitem__(0, "alone"), ValueError, "alone has one cell alone"),
        (lambda v: v["perturbation"].__setitem__(0, None), ValueError, "1 cells have none"),
        (lambda v: v.update(perturbation=v["perturbation"][:-1]), ValueError, "one of each cell"),
        (lambda v: v.update(control="nobody"), ValueError, "control: no cell is 'nobody'"),
        (lambda v: v["perturbation"].fill("one"), ValueError, "expected two or more besides the control, got 1"),
        (lambda v: v.update(counts=v["counts"].astype(str)), TypeError, "expected counts"),
    ],
)
def test_bad_screens_are_named(screen, change, error, message):
    values = bad(screen)
    change(values)
    with pytest.raises(error, match=message), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SparseShiftVAE(3, recipe=replace(SHORT, epochs=1)).fit(**values)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"method": "magic"}, ValueError, "method: expected one of staged"),
        ({"n_latent": 0}, ValueError, "n_latent: expected 1 or more"),
        ({"n_latent": 2.5}, TypeError, "n_latent: expected an integer"),
        ({"strength": -1.0}, ValueError, "strength: expected a number > 0"),
        ({"recipe": {"epochs": 3}}, TypeError, "recipe: expected a Recipe or None"),
    ],
)
def test_bad_parameters_are_named(screen, parameters, error, message):
    with pytest.raises(error, match=message):
        SparseShiftVAE(**parameters).fit(screen.counts, screen.perturbation)


def test_what_is_doubtful_is_warned_of(screen):
    recipe = replace(SHORT, epochs=1, hidden=8)
    counts = screen.counts.toarray()
    counts[:, 7] = 0
    with pytest.warns(UserWarning, match="1 genes have no count in any cell, at 7"):
        SparseShiftVAE(2, "ivae", recipe=recipe).fit(counts, screen.perturbation, screen.control)
    few = screen.of([*screen.targets[:3], "control"])
    with pytest.warns(UserWarning, match="4 latents and only 3 perturbations"):
        SparseShiftVAE(4, "ivae", recipe=recipe).fit(few.counts, few.perturbation, "control")
    with pytest.warns(UserWarning, match="control looks like a control"):
        SparseShiftVAE(2, "ivae", recipe=recipe).fit(few.counts, few.perturbation)


def test_unknown_perturbations_and_other_genes_are_named(screen, staged):
    with pytest.raises(ValueError, match="the model does not know stranger"):
        staged.elbo(screen.counts[:1], ["stranger"])
    with pytest.raises(ValueError, match="the model does not know stranger"):
        staged.predict_counts("stranger")
    with pytest.raises(ValueError, match="X has 59 features, but SparseShiftVAE is expecting 60 features"):
        staged.transform(screen.counts[:, :59])


@pytest.mark.parametrize("method", ["staged", "svae+"])
def test_a_model_is_the_same_after_a_file(screen, staged, tmp_path, method):
    model = staged
    if method != "staged":
        model = SparseShiftVAE(3, method, recipe=SHORT_PUBLISHED, random_state=0)
        model.fit(pd.DataFrame(screen.counts.toarray()).add_prefix("g"), screen.perturbation, screen.control)
    model.save(tmp_path / "model.pickle")
    again = SparseShiftVAE.load(tmp_path / "model.pickle")
    cells, names = screen.counts[:50], screen.perturbation[:50]
    assert np.array_equal(again.transform(cells), model.transform(cells))
    assert again.elbo(cells, names) == model.elbo(cells, names)
    pd.testing.assert_frame_equal(again.shift_graph_, model.shift_graph_)
    pd.testing.assert_frame_equal(again.predict_counts(screen.targets[:2]), model.predict_counts(screen.targets[:2]))
    assert again.get_params()["n_latent"] == model.n_latent
    if method == "staged":
        assert again.unmixing_.mixture == pytest.approx(model.unmixing_.mixture)
        assert np.array_equal(again.unmixing_.matrix, model.unmixing_.matrix)


def test_a_file_of_something_else_is_named(tmp_path):
    from sbnn.results import Record, save

    save(Record("fit", "", "", [{}]), tmp_path / "fit.pickle")
    with pytest.raises(ValueError, match="holds 'fit', expected a 'sparse-shift model'"):
        SparseShiftVAE.load(tmp_path / "fit.pickle")
