"""Across species: shift and shares are recovered, and the source is a prior and no more."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.metrics import f1_score

from sbnn.data.ephys_features import to_shared_features
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import TransferAttentionClassifier, ZeroShotClassifier, transfer
from sbnn.ephys_types import transfer_evaluation as evaluation
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.classifier import estimated_shares
from sbnn.ephys_types.family_attention import LEARNING_RATE
from sbnn.ephys_types.folds import repeated_donor_folds
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.transfer import (
    SourcePriorClassifier,
    align,
    own_scale,
    physiological_scale,
    two_experts,
)

SHIFT = np.array([0.8, -1.0, 0.5, 0.0, 0.6])
CENTRES = np.array([[3.0, 0, 0, 0, 0], [0, 3.0, 0, 1, 0], [0, 0, 3.0, 0, 1]])


def drawn(shares, n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n, p=shares)
    return CENTRES[codes] + rng.normal(size=(n, 5)) + shift, codes


@pytest.fixture(scope="module")
def source():
    """Cells of shape (300, 5) and types."""
    return drawn([0.3, 0.3, 0.4], 300, 0)


@pytest.fixture
def one_start(monkeypatch):
    """A search from equal shares only, which is enough where not its result is tested."""
    monkeypatch.setattr(transfer, "_starts", lambda n_types: np.full((1, n_types), 1 / n_types))


def test_shift_and_shares_are_recovered_without_types(source):
    target, types = drawn([0.6, 0.3, 0.1], 800, 1, SHIFT)
    shift, shares, memberships = align(*source, target, np.full(800, -1))
    assert_allclose(shift, SHIFT, atol=0.25)
    # drawn to equal shares by pseudo-cells
    assert_allclose(shares, [0.55, 0.3, 0.15], atol=0.04)
    assert (memberships.argmax(1) == types).mean() > 0.93
    # a majority where another type was
    target, types = drawn([0.1, 0.8, 0.1], 500, 1, CENTRES[2] - CENTRES[1])
    memberships = align(*source, target, np.full(500, -1))[2]
    assert (memberships.argmax(1) == types).mean() > 0.95


def test_a_step_of_the_estimation_by_brute_force(rng, monkeypatch):
    """Memberships, shares and posterior of the first step; the first two cells are known."""
    monkeypatch.setattr(transfer, "STEPS", 1)
    cells = rng.normal(size=(4, 2))
    means = rng.normal(size=(2, 2))
    covariances = np.array([np.eye(2), [[2, 0.5], [0.5, 1]]])
    shares = np.array([0.3, 0.7])
    known = np.array([1, 0, -1, -1])
    found, new_shares, memberships = transfer._maximise(cells, means, covariances, shares, known)
    shift = cells.mean(axis=0) - shares @ means
    joint = np.empty((4, 2))
    for k in range(2):
        density = multivariate_normal(means[k] + shift, covariances[k]).pdf(cells)
        joint[:, k] = shares[k] * density * 2 * np.pi
    joint[0, 0] = joint[1, 1] = 0
    likelihoods = joint.sum(axis=1)
    expected = joint / likelihoods[:, None]
    assert_allclose(memberships, expected)
    assert found == pytest.approx(np.log(likelihoods).sum() + 0.4 * np.log(shares).sum())
    assert_allclose(new_shares, (expected.sum(axis=0) + 0.4) / (4 + 0.8))


def test_searches_start_from_many_shares():
    starts = transfer._starts(3)
    assert len(starts) == len(np.unique(starts, axis=0)) > 10
    assert_allclose(starts.sum(axis=1), 1)
    assert starts.min() < 0.12
    assert transfer._starts(12).tolist() == [[1 / 12] * 12]


def test_scales(rng):
    found = physiological_scale([[np.nan, 0.03, 0.09, -27], [3, 0, -1, 8]], ["x", *SCALED])
    expected = [[np.nan, np.log(0.05), 0.3, -3], [3, np.log(0.025), 0, 2]]
    assert_allclose(found, expected)
    reference = rng.normal(3, 2, size=(50, 2))
    reference[:9, 0] = np.nan
    low, middle, high = np.nanquantile(reference[:, 0], [0.25, 0.5, 0.75])
    spread = (high - low) / 1.349
    given = np.array([middle + 2 * spread, np.nan, 99, -99])
    reference[:, 1] = 4  # has no spread
    found = own_scale(np.column_stack([given, [9, 4, 3, np.nan]]), reference)
    assert_allclose(found, [[2, 4], [0, 0], [4, -1], [-4, 0]])


SCALED = ["sag", "fi_fit_slope", "adapt_hero"]


@pytest.mark.parametrize("alignment", ["shift", "own", "source"])
def test_targets_are_scaled_and_shifted(source, alignment):
    target, types = drawn([0.7, 0.2, 0.1], 300, 1, 4 * SHIFT)
    model = ZeroShotClassifier(KernelLogistic(), alignment).fit(*source, target)
    reference = source[0] if alignment == "source" else target
    scaled = own_scale(target, reference) - model.shift_
    expected = KernelLogistic().fit(own_scale(source[0], source[0]), source[1])
    assert_allclose(model.predict_proba(target), expected.predict_proba(scaled))
    assert (model.shares_ is None) == (not model.shift_.any()) == (alignment != "shift")
    if alignment == "shift":
        assert model.score(target, types) > 0.85


def test_halfway_corrects_half_of_the_shift_that_other_shares_do_not_explain(source):
    """Means of the target differ because of a shift and because of other shares of the types."""
    X, y = drawn([0.3, 0.3, 0.4], 2000, 0)
    scale = FeatureScaling().fit(X)
    same, _ = drawn([0.8, 0.1, 0.1], 1000, 1)
    model = ZeroShotClassifier(KernelLogistic(n_landmarks=200, random_state=0), "halfway")
    model.fit(X, y, same)
    assert_allclose(model.shares_, [0.8, 0.1, 0.1], atol=0.05)
    raw = 0.5 * (scale.transform(same).mean(0) - scale.transform(X).mean(0))
    assert np.abs(raw).max() > 0.2
    assert_allclose(model.shift_, 0, atol=0.08)
    target, _ = drawn([0.8, 0.1, 0.1], 1000, 1, 0.5 * SHIFT)
    model.fit(X, y, target)
    expected = 0.5 * (scale.transform(target) - scale.transform(same)).mean(0)
    assert_allclose(model.shift_, expected, atol=0.1)
    inside = KernelLogistic(n_landmarks=200, random_state=0).fit(scale.transform(X), y)
    moved = scale.transform(target) - model.shift_
    assert_allclose(model.predict_proba(target), inside.predict_proba(moved))


def test_a_round_of_halfway_by_brute_force(source, monkeypatch):
    """Features with few values are corrected less, and those without any value not at all."""
    monkeypatch.setattr(transfer, "ROUNDS", 1)
    X, y = source
    target, _ = drawn([0.6, 0.3, 0.1], 400, 1, SHIFT)
    target[20:, 1] = np.nan
    target[:, 4] = np.nan
    model = ZeroShotClassifier(KernelLogistic(), "halfway").fit(X, y, target)
    scale = FeatureScaling().fit(X)
    scaled, moved = scale.transform(X), scale.transform(target)
    probabilities = KernelLogistic().fit(scaled, y).predict_proba(moved)
    shares = estimated_shares(probabilities, 0.02)
    expected = sum(share * scaled[y == k].mean(0) for k, share in enumerate(shares))
    expected = 0.5 * (np.nanmean(moved[:, :4], axis=0) - expected[:4])
    assert_allclose(model.shift_[:4], expected * [400 / 420, 0.5, 400 / 420, 400 / 420])
    assert model.shift_[4] == 0
    assert np.isfinite(model.predict_proba(target)).all()


def test_the_default_of_halfway_has_no_trees_and_is_calibrated_on_groups(source):
    target, _ = drawn([0.3, 0.3, 0.4], 50, 1, SHIFT)
    groups = np.arange(300) // 6
    model = ZeroShotClassifier(alignment="halfway", random_state=0)
    inner = model.fit(*source, target, list("aabbb"), groups).classifier_
    assert list(inner.members_) == ["kernel", "attention", "logistic"]
    assert (inner.power, inner.random_state, list(inner.families_)) == ("groups", 0, ["a", "b"])
    assert_array_equal(inner._groups, groups)


def lacking(X, *columns):
    X = X.copy()
    X[:, list(columns)] = np.nan
    return X


def test_missing_values_can_be_kept_and_lost_features_are_named(source, one_start):
    target, _ = drawn([0.3, 0.3, 0.4], 200, 1, SHIFT)
    target[:20, 0] = np.nan
    kept = [0, 2, 4]
    fewer = ZeroShotClassifier(KernelLogistic())
    fewer.fit(source[0][:, kept], source[1], target[:, kept])
    expected = fewer.predict_proba(target[:, kept])
    model = ZeroShotClassifier(KernelLogistic())
    for keep in (False, True):
        model.set_params(keep_missing=keep)
        with pytest.warns(UserWarning, match="features without a value .*: x1, x3$"):
            model.fit(lacking(source[0], 1), source[1], lacking(target, 3))
        same = np.isclose(model.predict_proba(target), expected).all(axis=1)
        assert same[20:].all()
        assert same[:20].any() != keep
        assert_array_equal(model.shift_[[1, 3]], 0)
        assert_array_equal(model.shift_[kept], fewer.shift_)


def test_the_prior_is_multiplied_in_and_fades_with_labelled_cells(source):
    # none of them has a veto
    assert two_experts(np.array([[1.0, 0]]), np.array([[0, 1.0]]), 1.0).tolist() == [[0.5, 0.5]]
    target, types = drawn([0.4, 0.3, 0.3], 80, 1, SHIFT)
    given = lacking(source[0], 4), source[1]
    model = SourcePriorClassifier()
    with pytest.warns(UserWarning, match="left out: x4$"):
        model.fit(target, types, given, unlabelled=target[:40])
    assert model.power_ == 10 / 80
    scaled = own_scale(target, np.vstack([target, target[:40]]))[:, :4]
    assert_array_equal(model.prior_features(target), scaled)
    own = KernelLogistic().fit(target, types).predict_proba(target)
    expected = own * model.prior_.predict_proba(scaled) ** 0.125
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(target), expected, rtol=1e-3)


def test_a_type_is_moved_half_of_its_own_way_at_ten_labelled_cells(source, one_start):
    cells, codes = source
    types = np.repeat([0, 1, 2, 0], [10, 30, 10, 150])
    target = drawn([0.3, 0.3, 0.4], 200, 1)[0] + CENTRES[types] + 0.7 * (types == 1)[:, None]
    known = np.where(np.arange(200) < 50, types, -1)
    shift = align(cells, codes, target, known)[0]
    moved = transfer._moved(cells, codes, target, types[:50])
    for k, share in enumerate((0.5, 0.75, 0.5)):
        own_way = target[known == k].mean(0) - cells[codes == k].mean(0)
        expected = [(1 - share) * shift + share * own_way] * (codes == k).sum()
        assert_allclose((moved - cells)[codes == k], expected)


@pytest.mark.parametrize("model", [TransferAttentionClassifier(), SourcePriorClassifier()])
@pytest.mark.filterwarnings("ignore:source. no values for")
def test_sources_that_cannot_be_used_are_named(source, model):
    cells, codes = source
    for bad, message in (
        ((cells[:, :4], codes), "source: expected features"),
        ((cells[:50], codes), "inconsistent"),
        ((cells * np.nan, codes), "X has no value for any feature"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            model.fit(cells, codes, source=bad)


def test_types_with_one_source_cell_are_refused(source):
    cells, _ = source
    with pytest.raises(ValueError, match="^y: .*two source cells"):
        ZeroShotClassifier().fit(cells[:4], [0, 0, 1, 2], cells)


def test_cells_of_the_source_count_half_and_only_in_their_head(monkeypatch):
    source, codes = drawn([0.4, 0.6, 0.0], 90, 0)
    target, types = drawn([0.4, 0.3, 0.3], 40, 1)
    given = []

    def watched(self, cells, generator, chance, heads):
        given.extend([*cells, chance, heads, self.network_.head.detach().clone()])

    monkeypatch.setattr(TransferAttentionClassifier, "_train", watched)
    model = TransferAttentionClassifier("joint", n_members=1, n_steps=1)
    model.fit(target[:30], types[:30], source=(source, codes), unlabelled=target[30:])
    x, _, all_codes, chance, heads, head = given
    # of the target, then of the source
    by_type = np.bincount(all_codes, chance)
    assert_allclose(by_type, [1 / 3] * 3 + [0.5 / 2] * 2, rtol=1e-5)
    assert_array_equal(all_codes, np.append(types[:30], codes + 3))
    own, foreign = (FeatureScaling().fit_transform(cells) for cells in (target, source))
    assert_allclose(x, np.vstack([own[:30], foreign]), atol=1e-5)
    assert_array_equal(heads, (np.arange(5) < 3) == (np.arange(120) < 30)[:, None])
    assert_array_equal(model.network_.head.detach(), head[..., :3])


@pytest.mark.parametrize("same_types", [True, False])
def test_pretraining_leaves_its_weights_and_goes_on_slowly(monkeypatch, same_types):
    source, codes = drawn([0.3, 0.3, 0.4], 900, 0)
    target, types = drawn([0.4, 0.3, 0.3], 40, 1)
    seen = []

    def watched(self, cells, generator, learning_rate=LEARNING_RATE):
        state = {name: value.clone() for name, value in self.network_.state_dict().items()}
        seen.append((len(cells[0]), learning_rate, self._settings["noise"], state))

    monkeypatch.setattr(TransferAttentionClassifier, "_train", watched)
    model = TransferAttentionClassifier(n_members=1, n_steps=3)
    model.fit(target, types, source=(source, codes if same_types else codes + 1))
    (n_first, rate, less, learned), (n_second, slow, noise, started) = seen
    assert (n_first, n_second) == (900, 40)
    assert slow == rate / 5
    assert less < noise == 0.7
    assert (started["hidden"] == learned["hidden"]).all()
    assert (started["head"] == learned["head"]).all() == same_types


TYPES = np.repeat(["a", "b", "c"], [6, 9, 15])


def test_labelled_cells_hold_two_of_every_type():
    folds = {7: [(np.arange(3, 30), np.arange(3))], 2: [(np.arange(27), np.arange(27, 30))] * 2}
    drawn = list(evaluation.labelled_cells(folds, TYPES, (8, None), 2))
    keys = [tuple(key.values()) for key, *_ in drawn]
    assert keys == [(s, f, d) for s, f in ((7, 0), (2, 0), (2, 1)) for d in (0, 1, 0)]
    assert [len(known) for _, known, *_ in drawn] == [8, 8, 27] * 3
    for key, known, others, test in drawn:
        assert sorted([*known, *others, *test]) == list(range(30))
        assert_array_equal(test, folds[key["seed"]][0][1])
        assert min(np.unique(TYPES[known], return_counts=True)[1]) >= 2
    assert set(drawn[0][1]) != set(drawn[1][1])
    for types in (TYPES, np.array(list("abbbbbbbb"))):
        with pytest.raises(ValueError, match="^sizes: 5 "):
            evaluation._drawn(np.arange(len(types)), types, 5, np.random.default_rng(0))


@pytest.fixture(scope="module")
def species():
    mouse = simulate_ephys_types(80, species="mouse", random_state=0)
    return mouse, simulate_ephys_types(80, species="human", random_state=1)


@pytest.fixture(scope="module")
def scaled(species):
    """Shared features and types of each species."""
    shared = [as_typed(to_shared_features(data)) for data in species]
    return [(physiological_scale(its.X, its.feature_names), its.y) for its in shared]


def test_zero_shot_scores_are_those_of_its_predictions(species, scaled, one_start):
    record = evaluation.zero_shot(*species, seeds=(3,))
    scores = record.scores
    assert scores["method"].tolist() == ["shift", "own", "source"] * 2
    assert record.settings["seeds"] == [3]
    (X, types), human = scaled
    back = ZeroShotClassifier(random_state=3).fit(*human, X)
    assert scores["way"].nunique() == 2
    assert scores["accuracy"][3] == (back.predict(X) == types).mean()
    assert_allclose(scores.filter(like="share").iloc[3], back.shares_)
    predicted = record.classes[record.test_probabilities.argmax(axis=1)]
    assert_array_equal(record.types, human[1])
    expected = f1_score(human[1], predicted, average="macro")
    assert scores["macro_f1"][0] == pytest.approx(expected)


@pytest.mark.usefixtures("one_start")
def test_learning_curves_compare_experts_on_the_same_cells(species, scaled, monkeypatch):
    monkeypatch.setattr(evaluation, "N_FOLDS", 2)
    network = TransferAttentionClassifier(n_members=1, n_steps=3)
    models = {"kernel": KernelLogistic()}
    record = evaluation.learning_curves(*species, models, network, sizes=(20,), seeds=(1,), draws=2)
    assert record.settings["sizes"] == [20]
    assert record.settings["source_sha256"] == as_typed(species[0]).sha256
    scores = record.scores.set_index(["model", "method"]).sort_index()
    assert scores.loc["kernel", "draw"].tolist() == [0, 1, 0, 1] * 3
    # networks are slow, so that only one draw is made
    assert scores.loc["attention, shared features", "draw"].tolist() == [0, 0] * 3
    human = as_typed(species[1])
    folds = repeated_donor_folds(human, 2, (1,))
    _, known, others, test = next(evaluation.labelled_cells(folds, human.y, (20,), 1))
    types = human.y[known]
    X = scaled[1][0]
    helper = SourcePriorClassifier().fit(X[known], types, scaled[0], X[others])
    of_prior = own_scale(X, X[np.append(known, others)])
    prior = helper.prior_.predict_proba(of_prior)
    second = KernelLogistic(n_landmarks=200, random_state=0).fit(of_prior[known], types)
    own = KernelLogistic().fit(human.X[known], types).predict_proba(human.X)
    expected = {
        ("source", "transfer"): prior,
        ("kernel", "human only"): own,
        ("kernel", "transfer"): two_experts(own, prior, 10 / 20),
        ("kernel", "human only, two experts"): two_experts(
            own, second.predict_proba(of_prior), 10 / 20
        ),
    }
    first = scores[scores["fold"] + scores["draw"] == 0]
    for key, probabilities in expected.items():
        hit = helper.classes_[probabilities.argmax(axis=1)] == human.y
        assert first.loc[key, "accuracy"] == hit[test].mean()
