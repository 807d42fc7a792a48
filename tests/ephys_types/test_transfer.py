"""Across species: shift and shares are recovered, and the source is a prior and no more."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics import f1_score

from sbnn.data.ephys_features import to_shared_features
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import TransferAttentionClassifier, ZeroShotClassifier, transfer
from sbnn.ephys_types import transfer_evaluation as evaluation
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.family_attention import LEARNING_RATE
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.transfer import (
    SourcePriorClassifier,
    _moved,
    align,
    own_scale,
    physiological_scale,
    two_experts,
)
from sbnn.evaluation.folds import repeated_donor_folds

SHIFT = np.array([0.8, -1.0, 0.5, 0.0, 0.6])
CENTRES = np.array([[3.0, 0, 0, 0, 0], [0, 3.0, 0, 1, 0], [0, 0, 3.0, 0, 1]])


def drawn(shares, n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n, p=shares)
    return CENTRES[codes] + rng.normal(size=(n, 5)) + shift, codes


def test_shift_and_shares_are_recovered_without_types():
    source, codes = drawn([0.2, 0.3, 0.5], 900, 0)
    target, types = drawn([0.6, 0.3, 0.1], 800, 1, SHIFT)
    shift, shares, memberships = align(source, codes, target, np.full(800, -1))
    np.testing.assert_allclose(shift, SHIFT, atol=0.15)
    # drawn to equal shares by pseudo cells
    np.testing.assert_allclose(shares, [0.55, 0.3, 0.15], atol=0.04)
    assert (memberships.argmax(1) == types).mean() > 0.93


@pytest.mark.parametrize("n_known", [0, 3])
def test_the_most_probable_of_several_solutions_is_taken(n_known):
    source, codes = drawn([0.3, 0.3, 0.4], 1000, 0)
    # the majority lies where another type did
    target, types = drawn([0.1, 0.8, 0.1], 500, 1, CENTRES[2] - CENTRES[1])
    known = np.full(500, -1)
    for k in range(3):
        known[np.flatnonzero(types == k)[:n_known]] = k
    assert (align(source, codes, target, known)[2].argmax(1) == types).mean() > 0.95
    wrong = np.where(np.arange(500) < 30, (types + 1) % 3, -1)  # what is known is taken as it is
    np.testing.assert_array_equal(
        align(source, codes, target, wrong)[2][:30], np.eye(3)[wrong[:30]]
    )


def test_a_target_of_other_shares_is_classified_better_with_the_shift():
    source, codes = drawn([0.2, 0.3, 0.5], 400, 0)
    target, types = drawn([0.7, 0.2, 0.1], 300, 1, 4 * SHIFT)
    found = {}
    for alignment, reference in (("shift", target), ("own", target), ("source", source)):
        model = ZeroShotClassifier(KernelLogistic(), alignment).fit(source, codes, target)
        found[alignment] = f1_score(types, model.predict(target), average="macro")
        scaled = own_scale(target, reference) - model.shift_
        expected = KernelLogistic().fit(own_scale(source, source), codes).predict_proba(scaled)
        np.testing.assert_allclose(model.predict_proba(target), expected, atol=1e-12)
        assert (model.shares_ is None) == (not model.shift_.any()) == (alignment != "shift")
    assert found["shift"] > max(found["own"], found["source"]) + 0.03


def test_the_prior_is_multiplied_in_and_fades_with_labelled_cells():
    # None of them has a veto.
    np.testing.assert_allclose(
        two_experts(np.array([[1.0, 0]]), np.array([[0, 1.0]]), 1.0), [[0.5, 0.5]]
    )
    source, codes = drawn([0.2, 0.3, 0.5], 600, 0)
    target, types = drawn([0.4, 0.3, 0.3], 80, 1, SHIFT)
    model = SourcePriorClassifier().fit(
        target, types, source=(source, codes), unlabelled=target[:40]
    )
    assert model.power_ == 10 / 80
    scaled = own_scale(target, np.vstack([target, target[:40]]))
    np.testing.assert_array_equal(model.prior_features(target), scaled)
    expected = two_experts(
        model.estimator_.predict_proba(target), model.prior_.predict_proba(scaled), 0.125
    )
    np.testing.assert_array_equal(model.predict_proba(target), expected)


def test_sources_that_cannot_be_used_are_named():
    source, codes = drawn([0.3, 0.3, 0.4], 90, 0)
    for model in (TransferAttentionClassifier(), SourcePriorClassifier()):
        for bad in (source[:, :4], np.where(source > 1, np.inf, source)):
            with pytest.raises(ValueError, match="features|infinity"):
                model.fit(source, codes, source=(bad, codes))
    with pytest.raises(ValueError, match="inconsistent"):
        TransferAttentionClassifier().fit(source, codes, source=(source[:50], codes))
    with pytest.raises(ValueError, match="^source: .* type 2"):
        SourcePriorClassifier().fit(source, codes, source=(source[codes < 2], codes[codes < 2]))
    with pytest.raises(ValueError, match="two source cells"):
        ZeroShotClassifier().fit(source[:4], [0, 0, 1, 2], source)


def test_a_type_is_moved_half_of_its_own_way_at_ten_labelled_cells():
    source, codes = drawn([0.3, 0.3, 0.4], 300, 0)
    target, types = drawn([0.3, 0.3, 0.4], 200, 1, SHIFT)
    target[types == 1] += 0.7
    known = np.concatenate([np.flatnonzero(types == k)[:n] for k, n in enumerate((10, 30, 10))])
    others = np.setdiff1d(np.arange(200), known)
    cells, given = (
        target[np.append(known, others)],
        np.append(types[known], np.full(len(others), -1)),
    )
    shift = align(source, codes, cells, given)[0]
    moved = _moved(source, codes, cells, types[known])
    for k, share in enumerate((0.5, 0.75, 0.5)):
        own_way = target[known][types[known] == k].mean(0) - source[codes == k].mean(0)
        expected = [(1 - share) * shift + share * own_way] * (codes == k).sum()
        np.testing.assert_allclose((moved - source)[codes == k], expected)


def lacking(X, *columns):
    X = X.copy()
    X[:, list(columns)] = np.nan
    return X


@pytest.mark.parametrize("alignment", ["shift", "source"])
def test_features_that_one_species_lacks_are_named_and_left_out(alignment):
    source, codes = drawn([0.3, 0.3, 0.4], 300, 0)
    target = drawn([0.3, 0.3, 0.4], 100, 1, SHIFT)[0]
    given = pd.DataFrame(lacking(source, 1), columns=list("abcde"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = ZeroShotClassifier(KernelLogistic(), alignment).fit(
            given, codes, lacking(target, 3)
        )
        found = model.predict_proba(lacking(target, 3))
    said = [str(one.message) for one in said if "feature names" not in str(one.message)]
    assert said == ["features without a value in training are left out: b, d"]
    kept = [0, 2, 4]
    fewer = ZeroShotClassifier(KernelLogistic(), alignment).fit(
        source[:, kept], codes, target[:, kept]
    )
    np.testing.assert_allclose(found, fewer.predict_proba(target[:, kept]), atol=1e-12)
    assert model.shift_.shape == (5,) and not model.shift_[[1, 3]].any()


def test_features_that_one_species_lacks_are_no_part_of_prior_and_network():
    source, codes = drawn([0.3, 0.3, 0.4], 300, 0)
    target, types = drawn([0.3, 0.3, 0.4], 60, 1, SHIFT)
    with pytest.warns(UserWarning, match="left out: feature_4$"):
        model = SourcePriorClassifier().fit(target, types, source=(lacking(source, 4), codes))
    fewer = SourcePriorClassifier().fit(target[:, :4], types, source=(source[:, :4], codes))
    prior, expected = (
        its.prior_features(X) for its, X in ((model, target), (fewer, target[:, :4]))
    )
    np.testing.assert_array_equal(prior, expected)
    np.testing.assert_allclose(
        model.prior_.predict_proba(prior), fewer.prior_.predict_proba(prior), atol=1e-12
    )
    with pytest.raises(ValueError, match="^X has no value for any feature"):
        SourcePriorClassifier().fit(target, types, source=(lacking(source, 0, 1, 2, 3, 4), codes))
    with pytest.warns(UserWarning, match="left out: feature_0, feature_2$"):
        network = TransferAttentionClassifier(n_steps=2, n_members=1)
        network.fit(lacking(source, 0), codes, source=(lacking(source, 0, 2), codes))


def test_cells_of_the_source_count_half_and_only_in_their_head(monkeypatch):
    source, codes = drawn([0.4, 0.6, 0.0], 90, 0)
    target, types = drawn([0.4, 0.3, 0.3], 40, 1)
    given = {}

    def watched(self, x, known, codes, generator, chance, heads):
        given.update(
            chance=chance, heads=heads, codes=codes, head=self.network_.head.detach().clone()
        )

    monkeypatch.setattr(TransferAttentionClassifier, "_train", watched)
    model = TransferAttentionClassifier("joint", n_members=1, n_steps=1).fit(
        target, types, source=(source, codes)
    )
    chance, all_codes = given["chance"].numpy(), given["codes"].numpy()
    by_type = np.bincount(all_codes, chance)
    # of the target, then of the source
    np.testing.assert_allclose(by_type, [1 / 3] * 3 + [0.5 / 2] * 2, rtol=1e-5)
    np.testing.assert_array_equal(all_codes, np.append(types, codes + 3))
    np.testing.assert_array_equal(
        given["heads"].numpy(), (np.arange(5) < 3) == (np.arange(130) < 40)[:, None]
    )
    np.testing.assert_array_equal(
        model.network_.head.detach().numpy(), given["head"][..., :3].numpy()
    )


@pytest.mark.parametrize("same_types", [True, False])
def test_pretraining_leaves_its_weights_and_goes_on_slowly(monkeypatch, same_types):
    source, codes = drawn([0.3, 0.3, 0.4], 900, 0)
    target, types = drawn([0.4, 0.3, 0.3], 40, 1)
    seen, train = [], TransferAttentionClassifier._train

    def watched(self, x, *arguments, learning_rate=LEARNING_RATE, **options):
        before = {name: value.detach().clone() for name, value in self.network_.named_parameters()}
        train(self, x, *arguments, learning_rate=learning_rate, **options)
        after = {name: value.detach().clone() for name, value in self.network_.named_parameters()}
        seen.append((len(x), learning_rate, self._settings["noise"], before, after))

    monkeypatch.setattr(TransferAttentionClassifier, "_train", watched)
    model = TransferAttentionClassifier(n_members=1, n_steps=3, random_state=0)
    model.fit(target, types, source=(source, codes if same_types else codes + 1))
    (n_first, rate, less, _, learned), (n_second, slow, noise, started, _) = seen
    assert (n_first, n_second) == (900, 40) and slow == rate / 5 and less < noise == 0.7
    for name, value in started.items():
        assert bool((value == learned[name]).all()) == (
            same_types or not name.startswith("head")
        ), name


def test_a_network_scales_features_by_cells_without_types_too():
    target, types = drawn([0.3, 0.3, 0.4], 60, 0)
    model = TransferAttentionClassifier(n_members=1, n_steps=1)
    model.fit(target[:20], types[:20], unlabelled=target[20:])
    np.testing.assert_allclose(
        model._scaled(target), FeatureScaling().fit_transform(target), atol=1e-9
    )


def test_halfway_is_the_mean_of_both_scales_and_missing_values_can_be_kept():
    source, codes = drawn([0.3, 0.3, 0.4], 300, 0)
    target, _ = drawn([0.3, 0.3, 0.4], 200, 1, SHIFT)
    target[:20, 0] = np.nan
    model = ZeroShotClassifier(KernelLogistic(), "halfway").fit(source, codes, target)
    of_source, of_target = (FeatureScaling().fit(cells) for cells in (source, target))
    expected = KernelLogistic().fit(of_source.transform(source), codes)
    between = (of_source.transform(target) + of_target.transform(target)) / 2
    np.testing.assert_allclose(model.predict_proba(target), expected.predict_proba(between))
    both = [ZeroShotClassifier(KernelLogistic(), keep_missing=keep) for keep in (True, False)]
    kept, filled = (each.fit(source, codes, target) for each in both)
    same = np.isclose(kept.predict_proba(target), filled.predict_proba(target)).all(axis=1)
    assert same[20:].all() and not same[:20].any()
    smooth = ZeroShotClassifier(alignment="halfway", random_state=0).fit(
        source, codes, target, list("aabbb")
    )
    assert (
        list(smooth.classifier_.members_) == ["kernel", "attention", "logistic"]
        and smooth.classifier_.power_ == 0.8
    )
    assert list(smooth.classifier_.families_) == ["a", "b"] and smooth.classifier_.random_state == 0


def test_scales_on_which_a_difference_has_one_meaning():
    names = ["x", "sag", "fi_fit_slope", "adapt_hero"]
    found = physiological_scale([[np.nan, 0.03, 0.09, -27], [3, 0.0, -1, 8]], names)
    np.testing.assert_allclose(found[:, 0], [np.nan, 3])
    np.testing.assert_allclose(found[:, 1], np.log([0.05, 0.025]))
    np.testing.assert_allclose(found[:, 2], [0.3, 0])
    np.testing.assert_allclose(found[:, 3], [-3, 2])


def test_cells_in_spreads_from_the_median_of_their_species():
    reference = np.array([[1.0, 4, 0], [2, 4, 1], [3, 4, np.nan], [6, 4, 2], [9, 4, 7]])
    cells = np.array([[2.0, 9, 1], [60, 4, np.nan], [-9, 3, 2]])
    spread = (6 - 2) / 1.349
    found = own_scale(cells, reference)
    np.testing.assert_allclose(found[:, 0], [-1 / spread, 4, -4])
    np.testing.assert_allclose(found[:, 1], [4, 0, -1])  # all are alike
    quarter = (0.75, 3.25)
    spread = (quarter[1] - quarter[0]) / 1.349
    np.testing.assert_allclose(found[:, 2], [-0.5 / spread, 0, 0.5 / spread])


def test_a_step_of_the_estimation_by_brute_force(monkeypatch):
    """Memberships, shares and posterior of the first step, with two known cells."""
    monkeypatch.setattr(transfer, "STEPS", 1)
    cells = np.array([[0.0, 1], [2, 0], [1, 1], [3, -1]])
    means = np.array([[0.0, 0], [1, 2]])
    covariances = np.stack([np.eye(2), [[2, 0.5], [0.5, 1]]])
    shares = np.array([0.3, 0.7])
    known = np.array([0, -1, 1, -1])
    found, new_shares, memberships = transfer._maximise(cells, means, covariances, shares, known)
    shift = cells.mean(axis=0) - shares @ means
    joint = np.empty((4, 2))
    for k in range(2):
        gaussian = multivariate_normal(means[k] + shift, covariances[k])
        joint[:, k] = shares[k] * gaussian.pdf(cells) * 2 * np.pi
    expected = joint / joint.sum(axis=1, keepdims=True)
    expected[[0, 2]] = np.eye(2)
    np.testing.assert_allclose(memberships, expected)
    likelihoods = [joint[0, 0], joint[1].sum(), joint[2, 1], joint[3].sum()]
    assert found == pytest.approx(np.log(likelihoods).sum() + 0.4 * np.log(shares).sum())
    np.testing.assert_allclose(new_shares, (expected.sum(axis=0) + 0.4) / (4 + 0.8))


def test_searches_start_from_many_shares():
    starts = transfer._starts(3)
    assert len(starts) == len(np.unique(starts, axis=0)) > 10
    np.testing.assert_allclose(starts.sum(axis=1), 1)
    assert starts.min() < 0.12
    assert transfer._starts(12).tolist() == [[1 / 12] * 12]


TYPES = np.repeat(["a", "b", "c"], [6, 9, 15])


def test_labelled_cells_hold_two_of_every_type():
    folds = {7: [(np.arange(3, 30), np.arange(3))], 2: [(np.arange(27), np.arange(27, 30))] * 2}
    drawn = list(evaluation.labelled_cells(folds, TYPES, (8, None), 2))
    keys = [key for key, *_ in drawn]
    assert [key["draw"] for key in keys] == [0, 1, 0] * 3
    assert [key["fold"] for key in keys] == [0] * 6 + [1] * 3
    assert [key["seed"] for key in keys] == [7] * 3 + [2] * 6
    for key, known, others, test in drawn:
        train, expected = folds[key["seed"]][key["fold"]]
        np.testing.assert_array_equal(test, expected)
        assert sorted([*known, *others]) == train.tolist()
        assert len(known) in (8, 27)
        _, counts = np.unique(TYPES[known], return_counts=True)
        assert len(counts) == 3
        assert counts.min() >= 2
    assert set(drawn[0][1]) != set(drawn[1][1])
    again = list(evaluation.labelled_cells(folds, TYPES, (8, None), 1))
    np.testing.assert_array_equal(again[0][1], drawn[0][1])


def test_sizes_below_two_of_each_type_are_refused():
    for types in (TYPES, np.array(list("abbbbbbbb"))):
        with pytest.raises(ValueError, match="^sizes: 5 "):
            evaluation._drawn(np.arange(len(types)), types, 5, np.random.default_rng(0))


@pytest.fixture(scope="module")
def species():
    mouse = simulate_ephys_types(80, species="mouse", random_state=0)
    return mouse, simulate_ephys_types(80, species="human", random_state=1)


def test_zero_shot_scores_are_those_of_its_predictions(species):
    record = evaluation.zero_shot(*species, seeds=(3,))
    scores = record.scores
    assert scores["method"].tolist() == ["shift", "own", "source"] * 2
    assert scores["way"].nunique() == 2
    first = scores.iloc[0]
    predicted = record.classes[record.test_probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(record.types, species[1].obs["type"])
    assert first["accuracy"] == (predicted == record.types).mean()
    assert first["macro_f1"] == pytest.approx(f1_score(record.types, predicted, average="macro"))
    mouse, human = (as_typed(to_shared_features(data)) for data in species)
    X = physiological_scale(human.X, human.feature_names)
    source = physiological_scale(mouse.X, mouse.feature_names)
    model = ZeroShotClassifier(random_state=3).fit(X, human.y, source)
    back = scores.iloc[3]
    assert back["accuracy"] == (model.predict(source) == mouse.y).mean()
    shares = back[[f"share {name}" for name in model.classes_]].astype(float)
    np.testing.assert_allclose(shares, model.shares_)
    assert scores.filter(like="share").notna().all(axis=1).tolist() == [True, False, False] * 2
    assert record.settings["seeds"] == [3]


def test_learning_curves_compare_experts_on_the_same_cells(species, monkeypatch):
    monkeypatch.setattr(evaluation, "N_FOLDS", 2)
    network = TransferAttentionClassifier(n_members=1, n_steps=3)
    models = {"kernel": KernelLogistic()}
    record = evaluation.learning_curves(*species, models, network, sizes=(20,), seeds=(1,), draws=2)
    scores = record.scores
    assert scores["n_cells"].unique() == [20]
    counts = scores.groupby(["model", "method"])["draw"].agg(list).to_dict()
    for method in ("human only", "human only, two experts", "transfer"):
        assert counts["kernel", method] == [0, 1, 0, 1]
    for method in ("human only", "pretrained", "joint"):  # networks are slow
        assert counts["attention, shared features", method] == [0, 0]
    human = as_typed(species[1])
    folds = repeated_donor_folds(human, 2, (1,))
    _, known, _, test = next(evaluation.labelled_cells(folds, human.y, (20,), 1))
    alone = KernelLogistic().fit(human.X[known], human.y[known])
    expected = (alone.predict(human.X[test]) == human.y[test]).mean()
    row = scores.query("model == 'kernel' and method == 'human only'").iloc[0]
    assert row["accuracy"] == expected
    assert record.settings["sizes"] == [20]


def test_the_second_expert_is_trained_on_the_target_with_settings_of_the_prior(species):
    mouse, human = (as_typed(to_shared_features(data)) for data in species)
    known, others, test = np.arange(30), np.arange(30, 50), np.arange(50, 80)
    cells = as_typed(species[1])
    models = {"kernel": KernelLogistic()}
    found = evaluation._by_experts(models, cells, mouse, human, known, others, test)
    X = physiological_scale(human.X, human.feature_names)
    source = physiological_scale(mouse.X, mouse.feature_names)
    helper = SourcePriorClassifier()
    helper.fit(X[known], human.y[known], (source, mouse.y), X[others])
    scaled = own_scale(X, X[:50])
    second = KernelLogistic(n_landmarks=200, random_state=0).fit(scaled[known], human.y[known])
    prior = helper.prior_.predict_proba(scaled[test])
    own = KernelLogistic().fit(cells.X[known], cells.y[known]).predict_proba(cells.X[test])
    np.testing.assert_array_equal(found["source", "transfer"], prior)
    np.testing.assert_array_equal(found["kernel", "human only"], own)
    helped = two_experts(own, prior, 10 / 30)
    np.testing.assert_array_equal(found["kernel", "transfer"], helped)
    control = two_experts(own, second.predict_proba(scaled[test]), 10 / 30)
    np.testing.assert_array_equal(found["kernel", "human only, two experts"], control)
