"""Cautions come where there is reason, and only there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import changed
from sklearn.linear_model import Ridge

from sbnn import cross_validate, grouped_folds, results, simulate_patchseq
from sbnn.data.counts import log2p1, normalize_library_size
from sbnn.data.paired import as_paired, paired
from sbnn.evaluation.stability import trust_sentence
from sbnn.study.own_data.cautions import _explained, batch_index, cautions

SAVED = Path(__file__).parents[2] / "saved_models"


@pytest.fixture(scope="module")
def clean():
    """300 cells without a rare type."""
    sizes = {"n_true_genes": 10, "n_families": 3, "n_types": 5}
    return as_paired(simulate_patchseq(300, 100, 6, **sizes, random_state=5))


def labelled(data, **labels):
    return changed(data, labels=data.labels.assign(**labels))


def batches(n):
    return np.random.default_rng(0).integers(0, n, 300)


def shifted(data, labels, by):
    """Every gene is moved by so many SD, at random, in each batch."""
    moves = np.random.default_rng(0).normal(size=(labels.max() + 1, data.n_genes))
    return changed(data, X=data.X + by * data.X.std(0) * moves[labels])


def test_clean_data_give_none(clean):
    for n in (2, 4, 60):
        assert cautions(labelled(clean, donor=batches(n).astype(str))) == []
    assert cautions((clean.X[:99], clean.Y[:99]))[0].startswith("99 cells are few: ")
    assert cautions((clean.X[:100], clean.Y[:100])) == []


def test_cells_of_a_batch_that_are_alike_beyond_their_types(clean):
    donors = batches(4)
    names = donors.astype(str)
    moved = shifted(clean, donors, 0.25)
    [caution] = cautions(labelled(moved, donor_id=names))
    assert caution.startswith("cells of the same 'donor_id' are more similar than their types")
    assert "batch index 0." in caution
    assert cautions(labelled(moved, note=names)) == [], "not the name of a batch"
    assert len(cautions(labelled(moved, donor_id=names, run_number=names))) == 2
    [caution] = cautions(moved, groups=donors)
    assert "'groups'" in caution
    assert len(cautions(labelled(moved, donor_id=names), groups=donors)) == 1, "the same groups"
    for few in (np.where(donors, "", "a"), np.where(donors, None, "a"), np.arange(300).astype(str)):
        assert cautions(labelled(moved, donor=few)) == [], "one batch is known, or each is a cell"
    mostly_unknown = np.where(np.arange(300) < 19, names, "unknown")
    assert cautions(labelled(shifted(clean, donors, 9), donor=mostly_unknown)) == []


def test_types_are_no_batch(clean):
    family = np.unique(clean.labels["type"], return_inverse=True)[1]
    same = np.random.default_rng(0).random(300) < 0.8
    donors = np.where(same, family, batches(family.max() + 1)).astype(str)
    index, _ = batch_index(clean.X, donors, np.zeros(300))
    assert index > 0.15, "each donor has mostly one type"
    index, _ = batch_index(clean.X, donors, clean.labels["type"].to_numpy())
    assert abs(index) < 0.05
    assert cautions(labelled(clean, donor=donors)) == []
    assert cautions(labelled(clean, donor=family.astype(str))) == []
    untyped = changed(clean, labels=pd.DataFrame({"donor": donors}, clean.cell_names))
    [caution] = cautions(untyped)
    assert "unknown types may be the reason" in caution


def test_the_batch_index_is_one_for_batches_that_lie_apart_and_about_zero_for_noise(rng):
    plate = np.repeat(np.arange(6), 10)
    types = np.zeros(60)
    apart = rng.normal(size=(60, 9)) + 50 * rng.normal(size=(6, 9))[plate]
    index, deviations = batch_index(apart, plate, types)
    assert index == pytest.approx(1)
    assert deviations > 20
    noise = [batch_index(rng.normal(size=(60, 9)), plate, types) for _ in range(40)]
    indices, deviations = np.transpose(noise)
    assert abs(indices.mean()) < 0.02
    assert deviations.std() == pytest.approx(1, abs=0.4)


def test_a_batch_that_folds_hold_apart_needs_no_caution(clean):
    donors = batches(4)
    moved = labelled(shifted(clean, donors, 0.5), donor=donors.astype(str))
    split = cross_validate(Ridge(9.0), moved, 2, verbose=False)
    apart = cross_validate(Ridge(9.0), moved, grouped_folds(donors, 4), verbose=False)
    assert len(cautions(moved, split)) == 1
    assert cautions(moved, apart) == []
    with pytest.raises(ValueError, match="record: expected a cross-validation of"):
        cautions(clean, apart)


def test_outputs_that_are_a_function_of_the_batch(clean):
    plates = batches(3)
    noise = np.random.default_rng(1).normal(size=300)
    found = []
    for strength in (0.3, 3):
        Y = clean.Y.copy()
        Y[:, 2] = plates + strength * noise
        found += cautions(labelled(changed(clean, Y=Y), plate=plates.astype(str)))
    [caution] = found
    assert f"explained by 'plate' ({clean.feature_names[2]} 90%)" in caution


def test_the_share_explained_by_batches_is_an_adjusted_r2(rng):
    plate = np.repeat([0, 1, 2], [30, 20, 10])
    types = np.tile([0, 1], 30)
    Y = pd.DataFrame({"y": rng.normal(size=60) + 2 * (plate == 1)})
    within = Y - Y.groupby(types).transform("mean")
    rest = within - within.groupby(plate).transform("mean")
    # degrees of freedom: 60 cells, two types, and two more means of three plates
    variance = (within**2).sum() / (60 - 2)
    unexplained = (rest**2).sum() / (60 - 2 - 2)
    expected = 1 - unexplained / variance
    assert _explained(Y, plate, types).to_numpy() == pytest.approx(expected.to_numpy())
    for n, known in ((13, True), (12, False)):
        share = _explained(Y[:n], np.arange(n) % 3, np.zeros(n))
        assert share.notna().all() == known


def test_counts_that_are_low_or_not_normalised(clean, rng):
    depth = np.exp2(rng.normal(0, 1.5, 300))
    counts = rng.poisson(clean.counts * depth[:, np.newaxis] / 20)
    [caution] = cautions(changed(clean, counts=counts, X=np.log2(counts + 1)))
    assert "of the genes correlate with the library size" in caution
    assert "normalise X" in caution
    ambient = 0.2 * clean.counts.mean(axis=0)
    counts = rng.poisson(clean.counts * depth[:, np.newaxis] + ambient)
    X = log2p1(normalize_library_size(counts))
    [caution] = cautions(changed(clean, counts=counts, X=X))
    assert "X is normalised already" in caution
    shares = clean.counts / clean.counts.sum(axis=1, keepdims=True)
    scarce = rng.poisson(60 * shares)
    scarce[0] *= 1000
    [caution] = cautions(changed(clean, counts=scarce))
    assert caution.startswith(f"the median cell has {np.median(scarce.sum(axis=1)):.0f} counts")


NORMAL = np.random.default_rng(2).normal(size=(100, 3))
MIXED = NORMAL[:, 0] + NORMAL[:, 1]


def found(column=None, **labels):
    """Cautions about 100 cells with outputs p, q, r and perhaps s, without their advice."""
    cells = [f"c{i}" for i in range(100)]
    table = pd.DataFrame({name: np.resize(given, 100) for name, given in labels.items()}, cells)
    Y = NORMAL if column is None else np.column_stack([NORMAL, column])
    X = np.random.default_rng(1).normal(size=(100, 6))
    data = as_paired(paired(X, Y + 50, None, list("pqrs")[: Y.shape[1]], cells, table))
    return [caution.partition(";")[0] for caution in cautions(data)]


@pytest.mark.parametrize(
    ("column", "caution"),
    [
        (np.arange(100) % 5, "with at most 5 different values: s"),
        (np.arange(100) % 6, ""),
        (np.append(np.zeros(81), np.arange(10, 29)), "same value in more than 80% of the cells: s"),
        (np.append(np.ones(80), np.arange(10, 30)), ""),
        (0.05 * NORMAL[:, 1] - 3 * NORMAL[:, 0], "copies of each other (|r| > 0.999): p and s"),
        (0.1 * NORMAL[:, 1] + NORMAL[:, 0], ""),
        (np.append(14, MIXED[1:]), "one cell has more than 20% of the variance: s (c0)"),
        (np.append(9, MIXED[1:]), ""),
        (np.append(9, 0.01 * MIXED[1:]), "one cell has more than 20% of the variance: s (c0)"),
    ],
)
def test_outputs_that_R2_judges_badly(column, caution):
    cautions_of_s = found(column)
    assert len(cautions_of_s) == bool(caution)
    assert all(caution in text for text in cautions_of_s)


def test_types_that_are_rare_or_most_of_the_cells():
    types = ["a"] * 61 + ["b"] * 35 + ["c"] * 4
    large, rare = found(type=types, family=["f", "g"])
    assert large.startswith("61% of the cells are of one type, 'a':")
    assert rare == "types with fewer than 5 cells: 1 of 3 (c)"
    assert found(type=["a"] * 60 + ["b"] * 35 + ["c"] * 5) == []
    assert found(type=["a"]) == []
    [known] = found(type=["unknown"] * 10 + ["a"] * 56 + ["b"] * 34)
    assert known.startswith("62% of the cells are of one type, 'a':")
    [family] = found(family=["a"] * 61 + ["b"] * 39)
    assert family.startswith("61% of the cells are of one family, 'a':")


def test_mouse_m1_gives_a_caution_of_its_rare_types_alone(real_scala):
    assert trust_sentence(results.load(SAVED / "scala" / "halves_default.pickle")) == ""
    [caution] = cautions(real_scala)
    assert caution.startswith("types with fewer than 5 cells: 24 of 77 (")
