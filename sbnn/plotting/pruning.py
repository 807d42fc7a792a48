"""One network that is pruned to few genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbnn.plotting.colors import MODELS
from sbnn.plotting.common import finish, headline, legend_above, new_panels, styled
from sbnn.plotting.labels import name_line, signed

N_NAMED = 12  # genes


@styled
def gene_norms(
    norms: ArrayLike,
    genes: Sequence[str],
    n_kept: int,
    curves: Mapping[str, ArrayLike],
    pruned_after: int,
) -> Figure:
    """Weight norms of the genes before the pruning, and test R2 over the epochs.

    Parameters
    ----------
    norms : array-like, shape (p,)
    genes : sequence of str, shape (p,)
    n_kept : int
    curves : dict of str to array-like, shape (n_epochs,)
        R2 of the same network, by what computed it.
    pruned_after : int
        Number of epochs before the pruning.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn import plotting
    >>> norms = 1 / np.arange(1, 101)
    >>> r2 = 0.5 - 0.5 / np.arange(1, 51)
    >>> genes = [f"gene{i}" for i in range(100)]
    >>> figure = plotting.gene_norms(norms, genes, 25, {"sBNN": r2}, pruned_after=30)
    """
    norms = np.asarray(norms, float)
    order = np.argsort(-norms, kind="stable")
    figure, (left, right) = new_panels(2.6, 1, 2)
    places = np.arange(1, len(norms) + 1)
    kept = places <= n_kept
    look = {"marker": ".", "ls": "", "ms": 3}
    left.plot(places[kept], norms[order][kept], color=MODELS["paper"], label="kept", **look)
    left.plot(places[~kept], norms[order][~kept], color="0.6", label="pruned", **look)
    names = "\n".join(str(genes[gene]) for gene in order[:N_NAMED])
    left.text(0.04, 0.04, names, transform=left.transAxes, va="bottom", fontstyle="italic")
    left.set(xscale="log", yscale="log", xlabel="gene, by norm", ylabel="norm of the weights")
    legend_above(left, ncols=2)
    looks = ({"lw": 3, "color": "0.75"}, {"lw": 1, "color": MODELS["paper"]})
    for (name, r2), look in zip(curves.items(), looks, strict=False):
        right.plot(np.arange(1, len(r2) + 1), r2, label=name, **look)
    name_line(right, pruned_after + 0.5, "pruning")
    right.set(xlabel="epoch", ylabel="test R²", xlim=(0, len(r2)))
    legend_above(right, ncols=2)
    before, after = (signed(r2, 3) for r2 in np.asarray(r2)[[pruned_after - 1, -1]])
    headline(figure, f"Test R² {before} before the pruning to {n_kept} genes, {after} at the end")
    return finish(figure, [[left, right]])
