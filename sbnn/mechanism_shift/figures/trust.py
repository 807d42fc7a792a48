"""What can be trusted of a screen without known truth."""

import numpy as np

from sbnn.mechanism_shift.graph import first_fit
from sbnn.plotting.colors import BLUE, GREEN, VERMILLION
from sbnn.plotting.common import new_figure, styled


@styled
def trust(sizes, bootstraps, permuted, fits):
    """Number of latents, how often edges come back, and effects under labels that mean nothing.

    Parameters
    ----------
    sizes, bootstraps, permuted, fits : Record
        From `run_sizes`, `run_bootstraps`, `run_permuted` and `run_fits`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(2.7)
    left, middle, right = figure.subplots(1, 3)
    table = sizes.sizes
    left.plot(table["n_latent"], table["elbo"], "o-", color=BLUE, ms=3)
    left.set(xlabel="latents of the model", ylabel="held-out ELBO per cell (nats)")
    moved = left.twinx()
    moved.plot(table["n_latent"], table["moved"], "s--", color=GREEN, ms=3)
    moved.set_ylabel("latents that are moved", color=GREEN)
    moved.set_ylim(0, None)
    found = bootstraps.stability.sort_values(["found", "share"], ascending=False)
    names = [f"{row.perturbation} {row.latent.removeprefix('latent_')}" for row in found.itertuples()]
    colors = [GREEN if there else "0.7" for there in found["found"]]
    middle.barh(np.arange(len(found)), found["share"], color=colors)
    middle.set_yticks(np.arange(len(found)), names, fontsize="small")
    middle.invert_yaxis()
    middle.set(xlim=(0, 1), xlabel="share of bootstraps with the edge", title="green: in the fit to all cells")
    effects = np.sort(np.abs(first_fit(fits)[0].to_numpy()).ravel())[::-1]
    null = np.sort(permuted.null)[::-1]
    right.plot(np.arange(1, len(effects) + 1) / len(effects), effects, color=GREEN, label="true labels")
    right.plot(np.arange(1, len(null) + 1) / len(null), null, color=VERMILLION, label="permuted labels")
    right.set(xscale="log", yscale="log", xlabel="share of effects that are larger", ylabel="|effect| (SD)")
    right.set_ylim(1e-3, None)
    right.legend()
    return figure
