"""Curves of folds that trained in other stages, or for other numbers of epochs, than the rest."""

import numpy as np
import pytest
from made_up import assert_tidy, history, linear_record, network_record, ridge_record, words

from sbnn import plotting
from sbnn.plotting import reading


def uneven(straight=(0,), **options):
    """A record of networks of which some folds were not pretrained, as with few cells."""
    record, rng = network_record(**options), np.random.default_rng(1)
    for point, tables in zip(record.params, record.history, strict=True):
        for fold in straight if point["pretraining"] else ():
            tables[fold] = history(rng, (5,) * 4, False, 0.3)
    return record


@pytest.mark.parametrize("straight", [(0,), (0, 1, 2)])
def test_figures_of_folds_without_pretraining(straight):
    network, srrr = uneven(straight), linear_record()
    assert_tidy(plotting.training_curves(network, srrr, (2, 64)))
    figure = plotting.bottleneck_comparison(network, srrr, ridge_record())
    assert_tidy(figure)
    assert f"pretrained in {3 - len(straight)} of 3 folds" in words(figure)
    assert ("cross-entropy" in words(figure)) == (len(straight) < 3)


def test_the_cross_entropy_is_that_of_the_folds_that_have_one():
    record = uneven((0,))
    point = record.find(n_components=2, group_lasso=0.1, pretraining=True)
    tables = reading.epochs(record, point, "pretraining")
    expected = [t.eval_loss[t.stage == "pretraining"] for t in record.history[point][1:]]
    np.testing.assert_array_equal(reading.curve(tables, "eval_loss"), expected)
    assert len(tables) == 2


def test_stages_that_all_folds_share_begin_together():
    record = network_record(widths=(2,), lassos=(0.1,), variants=(True,))
    rng = np.random.default_rng(0)
    record.history[0][0] = history(rng, (5, 3, 5, 5), False, 0.3)  # straight for 8 epochs
    record.history[0][1] = history(rng, (5, 5, 2, 5), True, 0.3)  # unfrozen for 2 epochs
    tables = reading.epochs(record, 0)
    curves = reading.curve(tables, "eval_r2")
    assert curves.shape == (3, 15)
    missing = np.zeros((3, 15), bool)
    missing[0, 8:10] = missing[1, 7:10] = True
    np.testing.assert_array_equal(np.isnan(curves), missing)
    short = record.history[0][0]
    np.testing.assert_array_equal(curves[0, :8], short.eval_r2[short.stage == "unfrozen"])
    assert reading.regression_stages(tables) == ([(1, "frozen"), (6, "unfrozen"), (11, "fine-tuning")], 15)

    line = plotting.training_curves(record).axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(line[:7], curves[:, :7].mean(0))
    np.testing.assert_allclose(line[7:8], curves[[0, 2], 7:8].mean(0))  # of the folds that trained
