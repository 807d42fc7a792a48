"""Cautions come where there is reason, and only there."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import changed
from sklearn.linear_model import Ridge

from sbnn import cross_validate, grouped_folds, results, simulate_patchseq
from sbnn.data.paired import as_paired
from sbnn.evaluation.stability import trust_sentence
from sbnn.study.own_data.cautions import batch_index, cautions

SAVED = Path(__file__).parents[2] / "saved_models"


@pytest.fixture(scope="module")
def clean():
    """300 cells without a rare type."""
    return as_paired(
        simulate_patchseq(300, 100, 6, n_true_genes=10, n_families=3, n_types=5, random_state=5)
    )


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
    few, enough = (cautions((clean.X[:n], clean.Y[:n])) for n in (99, 100))
    assert few[0].startswith("99 cells are few: ") and not any(
        "cells are few" in caution for caution in enough
    )


@pytest.mark.parametrize("n", [2, 4])
def test_cells_of_a_batch_that_are_alike_beyond_their_types(clean, n):
    donors = batches(clean, n)
    moved = shifted(clean, donors, 0.25)
    [caution] = cautions(labelled(moved, donor_id=donors.astype(str)))
    assert (
        caution.startswith("cells of the same 'donor_id' (batch index 0.")
        and "than their types explain" in caution
    )
    assert "`--groups donor_id`" in caution
    assert cautions(labelled(moved, note=donors.astype(str))) == []
    [caution] = cautions(
        labelled(moved, donor_id=donors.astype(str), run_number=donors.astype(str))
    )
    assert (
        "'run_number' (batch index" in caution
        and "`--groups donor_id`, `--groups run_number`" in caution
    )
    [caution] = cautions(moved, groups=donors)
    assert "hold out whole groups (grouped_folds)" in caution
    assert cautions(moved, groups=np.where(donors, "", "a")) == [], "the others are unknown"
    assert cautions(labelled(moved, donor=np.where(donors, None, "a"))) == []


def test_types_are_no_batch(clean, rng):
    family = np.unique(clean.labels.type, return_inverse=True)[1]
    donors = np.where(
        np.random.default_rng(0).random(300) < 0.8, family, batches(clean, family.max() + 1)
    ).astype(str)
    assert batch_index(clean.X, donors)[0] > 0.15, "each donor has mostly one type"
    assert abs(batch_index(clean.X, donors, clean.labels.type)[0]) < 0.05
    assert cautions(labelled(clean, donor=donors)) == []
    [caution] = cautions(changed(clean, labels=pd.DataFrame({"donor": donors}, clean.cell_names)))
    assert "unknown types may be the reason" in caution
    plate = np.repeat(np.arange(6), 10)
    index, deviations = batch_index(
        rng.normal(size=(60, 9)) + 50 * rng.normal(size=(6, 9))[plate], plate
    )
    assert index == pytest.approx(1) and deviations > 20, (
        "batches that lie apart have an index of one"
    )


def test_a_batch_that_folds_hold_apart_needs_no_caution(clean):
    donors = batches(clean, 4)
    moved = labelled(shifted(clean, donors, 0.5), donor=donors.astype(str))
    split, apart = (
        cross_validate(Ridge(9.0), moved, f, verbose=False) for f in (2, grouped_folds(donors, 4))
    )
    assert len(cautions(moved, split)) == 1
    assert cautions(moved, apart) == []
    with pytest.raises(ValueError, match="record: expected a cross-validation of"):
        cautions(clean, apart)


def test_outputs_that_are_a_function_of_the_batch(clean):
    plates = batches(clean, 3)
    noise = np.random.default_rng(1).normal(size=clean.n_cells)
    [caution] = cautions(
        labelled(with_outputs(clean, 2, plates + 0.3 * noise), plate=plates.astype(str))
    )
    assert re.match(
        r"most of the variance of some outputs within types is explained by 'plate' \(\S+ 90%\)",
        caution,
    )
    assert clean.feature_names[2] in caution
    assert (
        cautions(labelled(with_outputs(clean, 2, plates + 3 * noise), plate=plates.astype(str)))
        == []
    )


def test_counts_that_are_low_or_not_normalised(clean):
    depth = np.exp2(np.random.default_rng(0).normal(0, 1.5, clean.n_cells))
    counts = np.random.default_rng(0).poisson(clean.counts * depth[:, np.newaxis] / 20)
    [caution] = cautions(changed(clean, counts=counts, X=np.log2(counts + 1)))
    assert "of the genes correlate with the library size" in caution and "counts=True" in caution
    scarce = np.random.default_rng(0).poisson(
        60 * clean.counts / clean.counts.sum(1, keepdims=True)
    )
    scarce[0] *= 1000
    [caution] = cautions(changed(clean, counts=scarce))
    assert re.match(r"the median cell has \d\d counts in these genes", caution)


def test_mouse_m1_gives_a_caution_of_its_rare_types_alone(real_scala):
    assert trust_sentence(results.load(SAVED / "scala" / "halves_default.pickle")) == ""
    [caution] = cautions(real_scala)
    assert caution.startswith("types with fewer than 5 cells: 24 of 77 (")
