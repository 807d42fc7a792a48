"""The model: what it finds, what it promises, and what it says of bad input."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from material.cells import without_counts
from material.estimators import quick
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_array
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.mechanism_shift import (
    LinearShift,
    SparseShiftVAE,
    edges_of,
)
from sbnn.mechanism_shift.accuracy import align_with_truth, recovery_scores
from sbnn.mechanism_shift.data import read_screen_counts
from sbnn.mechanism_shift.graph import pivot_graph
from sbnn.mechanism_shift.training import OneCycleTraining

LINEAR = LinearShift(3, random_state=0)
TINY = quick(SparseShiftVAE, n_latent=3, random_state=0)


@pytest.fixture(scope="module", params=[LINEAR, TINY], ids=["linear", "network"])
def model(request):
    return request.param


@pytest.fixture(scope="module")
def fitted_to_few(model, few):
    return clone(model).fit(*few)


@pytest.fixture(scope="module")
def tiny_network(few):
    return clone(TINY).fit(*few)


def as_counts(X):
    """Whole positive numbers in the order of these, as scikit-learn tests with any."""
    numbers = check_array(X, dtype=float)
    return read_screen_counts(np.rint(np.abs(numbers) * 10) + 1)


NOT_COUNTS = (
    "counts are checked by ourselves, and the message speaks of counts, cells and perturbations"
)
EXEMPT = {
    "check_fit2d_1sample": NOT_COUNTS,
    "check_requires_y_none": NOT_COUNTS,
    "check_transformer_data_not_an_array": NOT_COUNTS,
    "check_estimator_sparse_tag": NOT_COUNTS,
    "check_fit_score_takes_y": "targets are perturbations, and named so",
    "check_positive_only_tag_during_fit": "negative numbers were made counts before",
}


@parametrize_with_checks(
    [quick(SparseShiftVAE, n_latent=1, random_state=0), LinearShift(1, random_state=0)],
    expected_failed_checks=lambda _: EXEMPT,
)
# one of the checks fits to cells that are all the same
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_grammar(estimator, check, monkeypatch):
    monkeypatch.setattr("sbnn.mechanism_shift.model.read_screen_counts", as_counts)
    check(estimator)


@pytest.fixture
def latents(screen, fitted):
    return fitted.transform(screen.counts)


@pytest.fixture
def edges(fitted):
    return edges_of(fitted.shift_graph_)


@pytest.mark.parametrize("score", ["mcc", "f1"])
def test_latents_and_edges_are_recovered(screen, latents, edges, score):
    scores = recovery_scores(screen.truth, latents, edges)
    assert scores[score] > 0.9


def test_effects_are_the_true_shifts(screen, fitted, latents, edges):
    tables = align_with_truth(screen.truth, latents, graph=fitted.shift_graph_, edges=edges)
    true = tables["true_shifts"].to_numpy()
    effects = tables["effects"].to_numpy()
    shifted = true != 0
    assert np.corrcoef(effects[shifted], true[shifted])[0, 1] > 0.97


def test_control_is_the_origin(screen, latents, edges):
    assert screen.control not in edges.index
    control = latents[screen.perturbation == screen.control]
    assert np.abs(control.mean(axis=0)).max() < 0.4


#: Containers of counts, each with one of perturbations.
FORMS = {}
FORMS["array"] = (lambda counts: counts.toarray(), list)
FORMS["table"] = (lambda counts: pd.DataFrame(counts.toarray()), pd.Categorical)
FORMS["CSR matrix"] = (sparse.csr_matrix, pd.Index)
FORMS["CSC array"] = (sparse.csc_array, tuple)
FORMS["dense AnnData"] = (lambda counts: AnnData(counts.toarray()), np.array)
FORMS["sparse AnnData"] = (lambda counts: AnnData(sparse.csc_matrix(counts)), pd.Series)


@pytest.mark.parametrize(("form", "form_of_labels"), FORMS.values(), ids=FORMS)
@pytest.mark.filterwarnings("ignore::anndata.ImplicitModificationWarning")
def test_any_container_gives_the_same_latents(form, form_of_labels, few):
    """Of the linear model: the network reads a screen in the same way."""
    counts, perturbation, control = few
    contained = form(counts)
    expected = clone(LINEAR).fit(*few).transform(counts)
    fitted = clone(LINEAR).fit(contained, form_of_labels(perturbation), control)
    assert np.array_equal(fitted.transform(contained), expected)


@pytest.mark.parametrize("bound", ["elbo", "iwelbo"])
def test_bounds_are_those_of_lists(few, tiny_network, bound):
    counts, perturbation, _ = few
    compute = getattr(tiny_network, bound)
    lists = counts.toarray().tolist(), perturbation.tolist()
    assert compute(*lists, n_samples=2) == compute(counts, perturbation, n_samples=2)


def test_new_perturbations_may_be_lists(few, tiny_network):
    counts, perturbation, _ = few
    new = np.char.add("new_", perturbation)
    expected = tiny_network.fit_new_perturbations(counts, new)
    extended = tiny_network.fit_new_perturbations(counts.toarray().tolist(), new.tolist())
    assert extended.shift_graph_.equals(expected.shift_graph_)


@pytest.fixture(scope="module")
def fitted_to_file(model, few_cells, tmp_path_factory):
    path = tmp_path_factory.mktemp("screens") / "screen.h5ad"
    few_cells.write_h5ad(path)
    return clone(model).fit(read_h5ad(path, backed="r"))


def test_an_anndata_says_perturbations_and_control(fitted_to_file, fitted_to_few):
    pd.testing.assert_frame_equal(fitted_to_file.shift_graph_, fitted_to_few.shift_graph_)


def test_an_anndata_says_genes(few_cells, fitted_to_file):
    with pytest.raises(ValueError, match="same order"):
        fitted_to_file.transform(few_cells[:, ::-1])


def test_validation_cells_are_a_tenth(few, tiny_network):
    assert len(tiny_network.validation_) == pytest.approx(0.1 * few[0].shape[0], rel=0.1)


def test_validation_cells_are_not_trained_on(few, monkeypatch):
    # otherwise, they choose between two networks
    monkeypatch.setattr(OneCycleTraining, "validation_bound", lambda *_: 0.0)
    counts, perturbation, control = few
    first = clone(TINY).set_params(method="ivae").fit(*few)
    changed = counts.toarray()
    changed[first.validation_] = changed[first.validation_][:, ::-1]
    second = clone(first).fit(changed, perturbation, control)
    assert np.array_equal(first.history_, second.history_)
    assert np.array_equal(first.transform(counts), second.transform(counts))


@pytest.fixture(scope="module")
def new_cells(screen, fitted):
    """Cells of two perturbations, under new names."""
    cells = np.isin(screen.perturbation, fitted.perturbations_[[4, 8]])
    return screen.counts[cells], np.char.add("new_", screen.perturbation[cells])


@pytest.fixture(scope="module")
def extended(fitted, new_cells):
    return fitted.fit_new_perturbations(*new_cells)


def test_learned_shifts_make_new_cells_likelier(fitted, new_cells, extended):
    unlearned = fitted.fit_new_perturbations(*new_cells, learn_shifts=False)
    assert extended.elbo(*new_cells) > unlearned.elbo(*new_cells) + 1


def test_new_perturbations_leave_the_network_as_it_is(screen, fitted, extended):
    before = fitted.elbo(screen.counts, screen.perturbation)
    assert extended.elbo(screen.counts, screen.perturbation) == before


def test_new_effects_are_means_of_latents(fitted, new_cells, extended):
    counts, names = new_cells
    means = pd.DataFrame(fitted.transform(counts)).groupby(names).mean()
    effects = pivot_graph(extended.shift_graph_, "effect")
    assert_allclose(effects.iloc[-2:], means, atol=1e-4)


def test_effects_stay_when_perturbations_are_added(fitted, extended):
    effects = pivot_graph(extended.shift_graph_, "effect")
    assert effects[:-2].equals(pivot_graph(fitted.shift_graph_, "effect"))


def test_unknown_perturbations_are_named(fitted, new_cells):
    with pytest.raises(ValueError, match="perturbation: not among those of the fit: new_"):
        fitted.elbo(*new_cells)


#: What a fit to a screen refuses, and words of the message.
REFUSED = [
    (lambda model, cells: model.fit(without_counts(cells, 4)), "counts: .* at positions 4"),
    (lambda model, cells: model.fit(cells.X), "expected an AnnData .* as from screen"),
    (lambda model, cells: model.fit(cells[:, :2]), r"n_latent must be .* \[1, 2\], got 3"),
    (lambda model, cells: model.fit(cells, control="none"), "control: no cell is 'none'"),
]


@pytest.mark.parametrize(("fit", "words"), REFUSED)
def test_screens_that_do_not_fit_are_refused(model, fit, words, few_cells):
    with pytest.raises((TypeError, ValueError), match=words):
        fit(clone(model), few_cells)


def test_an_unknown_rotation_is_refused(few):
    with pytest.raises(ValueError, match="'rotation' parameter of LinearShift must be"):
        LinearShift(3, rotation="ICA").fit(*few)
