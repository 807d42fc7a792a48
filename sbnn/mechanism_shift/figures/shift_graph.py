"""The shift graph as a heat map: perturbations by latents, colour the effect, a dot where there is an edge."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.mechanism_shift.graph import first_fit
from sbnn.plotting.common import new_figure, styled

COLORS = "PuOr_r"


@styled
def found_and_true(record):
    """Shift graphs of a simulated screen, the true one and that found; wrong edges are marked.

    Parameters
    ----------
    record : Record
        Of the staged method, from `run_method`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    true, effects, edges = record.true_shifts, record.effects, record.edges.to_numpy()
    order = np.lexsort(tuple(-np.abs(true.to_numpy()).T[::-1]))
    figure = new_figure(4.2)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    most = float(np.abs(true.to_numpy()).max())
    for ax, table, title in ((axes[0], true, "true shifts"), (axes[1], effects, "found (staged)")):
        image = ax.imshow(table.to_numpy()[order], cmap=COLORS, vmin=-most, vmax=most, aspect="auto", rasterized=True)
        ax.set(title=title, xlabel="latent")
    wrong = edges != (true.to_numpy() != 0)
    y, x = np.nonzero(wrong[order])
    axes[1].plot(
        x, y, "x", color="k", ms=5, label=f"wrong edges: {len(x)}; true ones: {int((true.to_numpy() != 0).sum())}"
    )
    figure.legend(loc="outside lower right")
    axes[0].set(ylabel="perturbation, by its shifts", yticks=[])
    figure.colorbar(image, ax=axes, label="shift (SD within a perturbation)", shrink=0.6)
    return figure


@styled
def graph_of_screen(record):
    """Shift graph of a screen, of the first seed: perturbations that move the same latents stand together.

    Parameters
    ----------
    record : Record
        From `run_fits`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    effects, edges = first_fit(record)
    strength = np.abs(effects.to_numpy()) * edges.to_numpy()
    order = leaves_list(linkage(effects.to_numpy(), "average", optimal_ordering=True)) if len(effects) > 2 else [0, 1]
    order = sorted(order, key=lambda i: -strength[i].max())  # stable: of equal strength the tree decides
    effects, edges = effects.iloc[order], edges.iloc[order].to_numpy()
    figure = new_figure(0.8 + 0.16 * len(effects))
    ax = figure.subplots()
    most = float(np.abs(effects.to_numpy()).max())
    image = ax.imshow(effects, cmap=COLORS, vmin=-most, vmax=most, aspect="auto")
    y, x = np.nonzero(edges)
    ax.plot(x, y, "o", color="k", ms=3, label="edge")
    ax.set_xticks(range(effects.shape[1]), [name.removeprefix("latent_") for name in effects.columns])
    ax.set_yticks(range(len(effects)), effects.index)
    ax.set(xlabel="latent", title=f"{record.dataset}: shifts against the control")
    figure.legend(loc="outside lower right")
    figure.colorbar(image, ax=ax, label="shift (SD)", shrink=0.5)
    return figure
