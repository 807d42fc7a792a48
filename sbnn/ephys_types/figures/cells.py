"""The cells by their sparse principal components and on a t-SNE of all of them."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.ephys_types.figures.looks import type_color
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled

HEIGHT = 2.75  # inches


@styled
def cells_by_type(record):
    """Two sparse principal components that part the types best, and the t-SNE, in the colours of the types.

    Parameters
    ----------
    record : Record
        From `sbnn.ephys_types.study.run_cells`.

    Returns
    -------
    matplotlib.figure.Figure
        The components of two families that have the largest share of their variance between types, one each.
    """
    types = record.labels["type"].to_numpy(str)
    if "type5" in record.labels:
        types = record.labels["type5"].to_numpy(str)
    names, counts = np.unique(types, return_counts=True)
    places = parting_components(record.components, types, record.component_names)
    figure = new_figure(HEIGHT)
    axes = figure.subplots(1, 2)
    drawn = (record.components[:, places] if len(places) == 2 else record.components[:, [0, 0]], record.tsne)
    order = np.random.default_rng(0).permutation(len(types))
    colors = np.array([type_color(name) for name in types])
    for ax, xy in zip(axes, drawn, strict=True):
        size = np.clip(6000 / len(xy), 1.5, 12)
        ax.scatter(*xy[order].T, s=size, c=colors[order], lw=0, alpha=0.8, rasterized=len(xy) > 5000)
    low, high = np.percentile(drawn[0], [0.3, 99.7], axis=0)
    pad = 0.08 * (high - low)
    axes[0].set(xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]))
    labels = [record.component_names[i] for i in places] or [record.component_names[0]] * 2
    axes[0].set(xlabel=labels[0], ylabel=labels[-1], title="sparse principal components (SD)")
    axes[1].set(title=f"t-SNE of all {record.components.shape[1]} sparse components", xticks=[], yticks=[])
    axes[1].spines[:].set_visible(False)
    entries = [
        Line2D([], [], marker="o", ms=4, ls="", color=type_color(name), label=f"{name} ({count})")
        for name, count in zip(names, counts, strict=True)
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), handletextpad=0.1)
    freeze_layout(figure)
    letter_panels(figure, [list(axes)])
    return figure


def parting_components(components, types, names):
    """Positions of the component that parts the types best, and of one of another family that adds most to it.

    Parameters
    ----------
    components : ndarray, shape (n, k)
    types : ndarray of str, shape (n,)
    names : list of str, length k
        Each a family, a blank and a number.

    Returns
    -------
    list of int
        Two, or one where there is but one component. The second parts the types best once what it shares with the
        first is taken off.
    """
    first = int(np.argmax(_between(components, types)))
    families = [name.rpartition(" ")[0] for name in names]
    others = [i for i, family in enumerate(families) if family != families[first]]
    others = others or [i for i in range(len(names)) if i != first]
    if not others:
        return [first]
    x = components[:, first] - components[:, first].mean()
    rest = components - components.mean(axis=0)
    slopes = x @ rest / (x @ x or 1)
    # Shares of the whole variance, so that a remainder of next to nothing does not win.
    total = (rest**2).sum(axis=0)
    left = rest - np.outer(x, slopes)
    share = _between(left, types) * (left**2).sum(axis=0) / np.where(total == 0, 1, total)
    return [first, others[int(np.argmax(share[others]))]]


def _between(values, types):
    """Share of the variance of each column that lies between types."""
    centred = values - values.mean(axis=0)
    total = (centred**2).sum(axis=0)
    between = sum((types == name).sum() * centred[types == name].mean(axis=0) ** 2 for name in np.unique(types))
    return between / np.where(total == 0, 1, total)
