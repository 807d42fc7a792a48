"""The figure of gene-regulatory dynamics, drawn from saved records only."""

from sbnn.dynamics.report import METHODS, PUBLISHED, scores_of
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import draw_headline, finish, new_panels, place_names, with_style

COLORS = METHOD_COLORS["dynamics"]


@with_style
def accuracy_by_sparsity(records):
    """Accuracy of edges against sparsity, with 5 % noise; lines lead to published values.

    Parameters
    ----------
    records : dict of str to Record
    """
    scores = scores_of(records, "noise_5")[["sparsity", "balanced_accuracy"]]
    scores = scores.groupby("method", sort=False)
    means = scores.mean()
    sds = scores.std().fillna(0)
    figure, ax = new_panels(4)
    ax.set(xlim=(-0.03, 1.19), xlabel="sparsity of the weights")
    ax.set(ylim=(0.47, 1.02), ylabel="balanced accuracy of edges")
    ax.axhline(means.loc["prior", "balanced_accuracy"], xmax=0.81, ls="--", lw=0.8, color="black")
    named = means.drop("prior")
    for name in named.index:
        sparsity, accuracy = sds.loc[name]
        ax.errorbar(*means.loc[name], accuracy, sparsity, color=COLORS[name], fmt="o", lw=0.8)
    if records["noise_5_prior"].dataset == "grn_350":
        square = {"marker": "s", "mfc": "white", "ms": 4.5, "markevery": [1], "lw": 0.6}
        for name, published in PUBLISHED.items():
            ax.plot(*zip(means.loc[name], published, strict=True), color=COLORS[name], **square)
    title = "Means over seeds; bars: SD over seeds; squares: published; dashed: the prior"
    draw_headline(figure, title)
    finish(figure)
    below = named.to_numpy() + (0.01, -0.01)
    place_names(
        ax, below, map(METHODS.get, named.index), beside=False, leader=None, ha="left", fontsize=6
    )
    return figure
