"""Across species: shift and shares are recovered where they are known, and the source is a prior and no more."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from sbnn.ephys_types import TransferAttentionClassifier, ZeroShotClassifier
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.family_attention import LEARNING_RATE
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.transfer import SourcePriorClassifier, _moved, align, own_scale, two_experts

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
    with pytest.raises(ValueError, match="no value for any feature that the source also has"):
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
