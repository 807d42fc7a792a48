"""The figures of all data sets show the means of the published arrays."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from sbnn.study.published import STRATEGIES
from sbnn.study.published_figures import published_bottleneck_comparison, published_training

EPOCHS = (1, 2, 3)


def made_up(columns, **levels):
    """A row for each combination of levels, and random numbers in columns."""
    table = pd.DataFrame(product(*levels.values()), columns=[*levels])
    rng = np.random.default_rng(0)
    return table.assign(**{name: rng.uniform(size=len(table)) for name in columns})


@pytest.fixture
def curves():
    table = made_up(
        ["test_r2"],
        strategy=STRATEGIES,
        n_components=(2, 64),
        group_lasso=(0.01, 0.1),
        fold=range(10),
        epoch=EPOCHS,
    )
    return {"first": table, "second": table.assign(test_r2=table["test_r2"] / 2)}


@pytest.fixture
def paths():
    """A path without its last penalty in one fold; every other penalty has too many genes."""
    table = made_up(["test_r2"], rank=(2, 16), fold=range(10), penalty=range(4))
    table["n_genes"] = np.where(table["penalty"] % 2, 20, 30)
    table = table[(table["fold"] > 0) | (table["penalty"] < 3)]
    return {"first": table, "second": table}


def test_lines_are_means_of_networks_that_were_frozen_first(curves, paths):
    ax = published_training(curves, paths).axes[1]
    shown = curves["second"].query("strategy == 'pretrained, then frozen' and n_components == 2")
    means = shown.groupby(["group_lasso", "epoch"])["test_r2"].mean()
    for lasso, line in zip((0.01, 0.1), ax.lines, strict=False):
        np.testing.assert_allclose(line.get_xydata(), list(means[lasso].items()))


def test_levels_are_the_best_penalties_with_few_genes_in_all_folds(curves, paths):
    ax = published_training(curves, paths).axes[0]
    found = [line.get_ydata()[0] for line in ax.lines[2:]]
    of_penalty = paths["first"].query("penalty == 1").groupby("rank")["test_r2"].mean()
    np.testing.assert_allclose(found, of_penalty)


def test_each_strategy_is_drawn_where_its_folds_are(curves, paths):
    entropy = made_up(
        ["training", "held_out"],
        n_components=(2, 64),
        group_lasso=(0.01, 0.1),
        fold=range(10),
        epoch=EPOCHS,
    )
    figure = published_bottleneck_comparison(curves, {"first": entropy, "second": entropy}, paths)
    by_genes, pretraining, regression = figure.axes[0::2]
    usual = curves["first"].query("group_lasso == 0.1")
    ends = usual.query("epoch == 3").groupby(["strategy", "n_components"])["test_r2"].mean()
    drawn = [container.lines[0].get_ydata()[0] for container in by_genes.containers]
    np.testing.assert_allclose(drawn, ends)
    labels = [line.get_label() for line in regression.lines]
    assert labels == [f"{strategy}, d = {width}" for strategy, width in ends.index]
    np.testing.assert_allclose([line.get_ydata()[-1] for line in regression.lines], ends)
    held_out = entropy.query("group_lasso == 0.1 and n_components == 64").groupby("epoch")
    np.testing.assert_allclose(pretraining.lines[3].get_ydata(), held_out["held_out"].mean())
