"""Figures of gene-regulatory dynamics, drawn from saved records only."""

import numpy as np

from sbnn.dynamics.report import COLUMNS, METHODS, PUBLISHED, by_sparsity, scores_of
from sbnn.plotting.colors import METHODS as METHOD_COLORS
from sbnn.plotting.common import finish, headline, new_panels, styled

COLORS = METHOD_COLORS["dynamics"]
LEGEND = {"loc": "outside right upper", "fontsize": 6.5}
SHOWN_GENES = 6


@styled
def accuracy_by_sparsity(records):
    """Accuracy of edges against sparsity, and error of predictions against accuracy of edges.

    All with 5 % noise. Dashed lines are the accuracy of the prior, and the dotted one the error of
    no change; squares are published values and lines other sparsities.

    Parameters
    ----------
    records : dict of str to Record
    """
    scores = scores_of(records, "noise_5").groupby(level="method", sort=False)
    columns = ["sparsity", "balanced_accuracy", "mse_ahead"]
    means = scores[columns].mean()
    sds = scores[columns].std().fillna(0)
    figure, (left, right) = new_panels(3.3, 1, 2)
    for name in means.index.drop("prior"):
        sparsity, accuracy, error = means.loc[name]
        of_sparsity, of_accuracy, of_error = sds.loc[name]
        look = {"fmt": "o", "color": COLORS[name], "ms": 4, "lw": 0.8, "zorder": 3}
        left.errorbar(sparsity, accuracy, of_accuracy, of_sparsity, label=METHODS[name], **look)
        right.errorbar(accuracy, error, of_error, of_accuracy, **look)
    _, accuracy, error = means.loc["prior"]
    line = {"color": COLORS["prior"], "lw": 0.8}
    left.axhline(accuracy, ls="--", **line)
    right.axvline(accuracy, ls="--", **line)
    right.axhline(error, ls=":", **line)
    if "sparsities" in records:
        square = {"marker": "s", "ls": "", "mfc": "none", "ms": 4.5, "mew": 0.9}
        for name, of_method in by_sparsity(records).groupby("method", sort=False):
            curve = of_method.groupby("asked")[columns[:2]].mean()
            left.plot(*curve.to_numpy().T, color=COLORS[name], lw=1, alpha=0.7)
        for name, published in PUBLISHED.items():
            left.plot(*published, color=COLORS[name], **square)
        left.plot([], [], color="k", label="published", **square)
        left.plot([], [], color="0.3", lw=1, label="other sparsities")
    accuracy = "balanced accuracy of edges"
    left.set(xlabel="sparsity of the weights", ylabel=accuracy)
    left.set(xlim=(-0.03, 1.03), ylim=(0.48, 1.02))
    right.set(xlabel=accuracy, ylabel=f"test {COLUMNS['mse_ahead']}")
    right.set(xlim=(0.48, 1.02), yscale="log")
    headline(figure, "Means over seeds; bars: SD; dashed: the prior; dotted: no change")
    figure.legend(**LEGEND)
    return finish(figure, [[left, right]])


@styled
def predicted_paths(of_prior, records):
    """A test trajectory and its predictions from the first time, of the genes that change most.

    Parameters
    ----------
    of_prior : Record
        With ``test``, ``times`` and ``gene_names``.
    records : dict of str to Record
        By method, with ``predicted``.
    """
    figure, axes = new_panels(3, 2, SHOWN_GENES // 2, sharex=True)
    times = of_prior.times[0]
    test = of_prior.test[0]
    most = np.argsort(-np.ptp(test, axis=0), kind="stable")
    for ax, gene in zip(axes.flat, most, strict=False):
        ax.plot(times, test[:, gene], "o", color="k", ms=3.5, label="test sample")
        for name, record in records.items():
            path = record.predicted[0, :, gene]
            ax.plot(times, path, ".-", color=COLORS[name], lw=1, ms=3, label=METHODS[name])
        ax.set_title(of_prior.gene_names[gene], fontsize=7, pad=2)
    for ax in axes[-1]:
        ax.set_xlabel("time")
    for ax in axes[:, 0]:
        ax.set_ylabel("expression")
    headline(figure, f"{of_prior.dataset}, predicted from the first time")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), **LEGEND)
    return finish(figure)
