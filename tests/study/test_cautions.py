"""Cautions come where there is reason, and only there."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import changed
from sklearn.linear_model import Ridge

from sbnn import cross_validate, grouped_folds, results, simulate_patchseq
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


def with_outputs(data, column, values):
    Y = data.Y.copy()
    Y[:, column] = values
    return changed(data, Y=Y)


def batches(data, n, seed=0):
    return np.random.default_rng(seed).integers(0, n, data.n_cells)


def shifted(data, labels, by, seed=0):
    """Every gene is moved by so many SD, at random, in each batch."""
    moves = np.random.default_rng(seed).normal(size=(labels.max() + 1, data.n_genes))
    return changed(data, X=data.X + by * data.X.std(0) * moves[labels])


def test_clean_data_give_none(clean):
    for n in (2, 4, 60):
        assert cautions(labelled(clean, donor=batches(clean, n).astype(str))) == []


def test_fewer_than_a_hundred_cells_are_few(clean):
    few = cautions((clean.X[:99], clean.Y[:99]))
    assert few[0].startswith("99 cells are few: ")
    enough = cautions((clean.X[:100], clean.Y[:100]))
    assert not any("cells are few" in caution for caution in enough)


@pytest.mark.parametrize("n", [2, 4])
def test_cells_of_a_batch_that_are_alike_beyond_their_types(clean, n):
    donors = batches(clean, n)
    names = donors.astype(str)
    moved = shifted(clean, donors, 0.25)
    [caution] = cautions(labelled(moved, donor_id=names))
    assert caution.startswith("cells of the same 'donor_id' (batch index 0.")
    assert "than their types explain" in caution
    assert "`--groups donor_id`" in caution
    assert cautions(labelled(moved, note=names)) == [], "not the name of a batch"
    [caution] = cautions(labelled(moved, donor_id=names, run_number=names))
    assert "'run_number' (batch index" in caution
    assert "`--groups donor_id`, `--groups run_number`" in caution
    [caution] = cautions(moved, groups=donors)
    assert "hold out whole groups (grouped_folds)" in caution
    [caution] = cautions(labelled(moved, donor_id=names), groups=donors)
    assert caution.count("batch index") == 1, "groups are the label with the same values"
    assert cautions(moved, groups=np.where(donors, "", "a")) == [], "the others are unknown"
    assert cautions(labelled(moved, donor=np.where(donors, None, "a"))) == []


def test_types_are_no_batch(clean):
    family = np.unique(clean.labels["type"], return_inverse=True)[1]
    same = np.random.default_rng(0).random(300) < 0.8
    donors = np.where(same, family, batches(clean, family.max() + 1)).astype(str)
    index, _ = batch_index(clean.X, donors)
    assert index > 0.15, "each donor has mostly one type"
    index, _ = batch_index(clean.X, donors, clean.labels["type"])
    assert abs(index) < 0.05
    assert cautions(labelled(clean, donor=donors)) == []
    untyped = changed(clean, labels=pd.DataFrame({"donor": donors}, clean.cell_names))
    [caution] = cautions(untyped)
    assert "unknown types may be the reason" in caution


def test_the_batch_index_is_one_for_batches_that_lie_apart_and_about_zero_for_noise(rng):
    plate = np.repeat(np.arange(6), 10)
    noise = rng.normal(size=(60, 9))
    index, deviations = batch_index(noise + 50 * rng.normal(size=(6, 9))[plate], plate)
    assert index == pytest.approx(1)
    assert deviations > 20
    noise = [batch_index(rng.normal(size=(60, 9)), plate) for _ in range(40)]
    indices, deviations = np.transpose(noise)
    assert abs(indices.mean()) < 0.02
    assert deviations.std() == pytest.approx(1, abs=0.4)


def test_a_batch_that_folds_hold_apart_needs_no_caution(clean):
    donors = batches(clean, 4)
    moved = labelled(shifted(clean, donors, 0.5), donor=donors.astype(str))
    split = cross_validate(Ridge(9.0), moved, 2, verbose=False)
    apart = cross_validate(Ridge(9.0), moved, grouped_folds(donors, 4), verbose=False)
    assert len(cautions(moved, split)) == 1
    assert cautions(moved, apart) == []
    with pytest.raises(ValueError, match="record: expected a cross-validation of"):
        cautions(clean, apart)


def test_outputs_that_are_a_function_of_the_batch(clean):
    plates = batches(clean, 3)
    names = plates.astype(str)
    noise = np.random.default_rng(1).normal(size=clean.n_cells)
    [caution] = cautions(labelled(with_outputs(clean, 2, plates + 0.3 * noise), plate=names))
    start = "most of the variance of some outputs within types is explained by 'plate'"
    assert caution.startswith(f"{start} ({clean.feature_names[2]} 90%)")
    weak = with_outputs(clean, 2, plates + 3 * noise)
    assert cautions(labelled(weak, plate=names)) == []


def test_the_share_explained_by_batches_is_an_adjusted_r2(rng):
    plate = np.repeat([0, 1, 2], [30, 20, 10])
    types = np.tile([0, 1], 30)
    y = rng.normal(size=60) + 2 * (plate == 1)
    within = y - pd.Series(y).groupby(types).transform("mean").to_numpy()
    rest = within - pd.Series(within).groupby(plate).transform("mean").to_numpy()
    expected = 1 - (rest @ rest / (60 - 2 - 2)) / (within @ within / (60 - 2))
    assert _explained(y[:, np.newaxis], plate, types) == pytest.approx([expected])
    assert np.isnan(_explained(y[:12, np.newaxis], np.arange(12) % 3, np.zeros(12))).all()


def test_counts_that_are_low_or_not_normalised(clean):
    depth = np.exp2(np.random.default_rng(0).normal(0, 1.5, clean.n_cells))
    counts = np.random.default_rng(0).poisson(clean.counts * depth[:, np.newaxis] / 20)
    [caution] = cautions(changed(clean, counts=counts, X=np.log2(counts + 1)))
    assert "of the genes correlate with the library size" in caution
    assert "counts=True" in caution
    shares = clean.counts / clean.counts.sum(axis=1, keepdims=True)
    scarce = np.random.default_rng(0).poisson(60 * shares)
    scarce[0] *= 1000
    [caution] = cautions(changed(clean, counts=scarce))
    assert re.match(r"the median cell has \d\d counts in these genes", caution)


NORMAL = np.random.default_rng(2).normal(size=(100, 3))


def found(Y, **labels):
    """Cautions about 100 cells with these outputs, called p, q, r and s."""
    cells = [f"c{i}" for i in range(len(Y))]
    table = pd.DataFrame({name: np.resize(given, 100) for name, given in labels.items()}, cells)
    X = np.random.default_rng(1).normal(size=(len(Y), 6))
    names = list("pqrs")[: Y.shape[1]]
    return cautions(as_paired(paired(X, Y, None, names, cells, table)))


def test_outputs_of_few_values_or_mostly_one_value():
    assert found(NORMAL, type=["a", "b", "c"]) == []
    five, six = np.arange(100) % 5, np.arange(100) % 6
    mostly = np.append(np.zeros(81), NORMAL[:19, 0])
    less = np.append(np.ones(80), NORMAL[:20, 1])
    few, constant, _ = found(np.column_stack([five, six, mostly, less]))
    assert few.startswith("outputs with at most 5 different values: p;")
    assert constant.startswith("outputs with the same value in more than 80% of the cells: r;")


def test_outputs_that_are_copies():
    first, second = NORMAL[:, 0], NORMAL[:, 1]
    [caution] = found(np.column_stack([NORMAL, -3 * first + 0.05 * second]))
    assert caution.startswith("outputs that are copies of each other (|r| > 0.999): p and s;")
    assert found(np.column_stack([NORMAL, first + 0.1 * second])) == []


def test_outputs_that_are_dominated_by_one_cell():
    near, far = NORMAL[:, 0] + NORMAL[:, 1], NORMAL[:, 0] + NORMAL[:, 1]
    near[0] = 9.0
    far[0] = 14.0
    assert found(np.column_stack([NORMAL, near])) == []
    [caution] = found(np.column_stack([NORMAL, far]))
    squares = (far - far.mean()) ** 2
    share = squares[0] / squares.sum()
    assert f"'s' (cell 'c0': {share:.0%} of the variance, value 14, median" in caution


def test_types_that_are_rare_or_most_of_the_cells():
    large, rare = found(NORMAL, type=["a"] * 61 + ["b"] * 35 + ["c"] * 4, family=["f", "g"])
    assert large.startswith("61% of the cells are of one type, 'a':")
    assert rare.startswith("types with fewer than 5 cells: 1 of 3 (c);")
    assert found(NORMAL, type=["a"] * 60 + ["b"] * 35 + ["c"] * 5) == []
    [known] = found(NORMAL, type=["unknown"] * 10 + ["a"] * 56 + ["b"] * 34)
    assert known.startswith("62% of the cells are of one type, 'a':")
    [family] = found(NORMAL, family=["a"] * 61 + ["b"] * 39)
    assert family.startswith("61% of the cells are of one family, 'a':")


def test_mouse_m1_gives_a_caution_of_its_rare_types_alone(real_scala):
    assert trust_sentence(results.load(SAVED / "scala" / "halves_default.pickle")) == ""
    [caution] = cautions(real_scala)
    assert caution.startswith("types with fewer than 5 cells: 24 of 77 (")
