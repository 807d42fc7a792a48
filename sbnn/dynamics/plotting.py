"""The figure of gene-regulatory dynamics, drawn from saved records only."""

from sbnn.dynamics.report import METHODS, PUBLISHED, scores_of
from sbnn.plotting.colors import METHODS as METHOD_COLORS
from sbnn.plotting.common import finish, headline, new_panels, styled

COLORS = METHOD_COLORS["dynamics"]


@styled
def accuracy_by_sparsity(records):
    """Accuracy of edges against sparsity, with 5 % noise; squares are published values.

    Parameters
    ----------
    records : dict of str to Record
    """
    scores = scores_of(records, "noise_5")[["sparsity", "balanced_accuracy"]]
    scores = scores.groupby(level="method", sort=False)
    means = scores.mean()
    sds = scores.std().fillna(0)
    figure, ax = new_panels(3.3)
    ax.axhline(means.loc["prior", "balanced_accuracy"], ls="--", color=COLORS["prior"], lw=0.8)
    look = {"fmt": "o", "ms": 4, "lw": 0.8, "zorder": 3}
    for name in means.index.drop("prior"):
        sparsity, accuracy = sds.loc[name]
        label = {"label": METHODS[name], "color": COLORS[name]}
        ax.errorbar(*means.loc[name], accuracy, sparsity, **label, **look)
    if records["noise_5_prior"].dataset == "grn_350":
        square = {"marker": "s", "ls": "", "mfc": "none", "ms": 4.5, "mew": 0.9}
        for name, published in PUBLISHED.items():
            ax.plot(*published, color=COLORS[name], **square)
        ax.plot([], [], color="k", label="published", **square)
    ax.set(xlabel="sparsity of the weights", ylabel="balanced accuracy of edges")
    ax.set(xlim=(-0.03, 1.03), ylim=(0.48, 1.02))
    headline(figure, "Means over seeds; bars: SD; dashed: the prior")
    figure.legend(loc="outside right upper", fontsize=6.5)
    return finish(figure)
