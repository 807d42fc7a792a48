"""True against recovered latents of a simulated screen."""

import numpy as np

from sbnn.plotting.colors import GREEN
from sbnn.plotting.common import new_figure, styled

COLUMNS = 5


@styled
def true_and_found(record):
    """Scatter of each true latent and the one matched to it; cells of the first seed.

    Parameters
    ----------
    record : Record
        Of the staged method, from `run_method`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    true, found = record.true_latents, record.latents
    n_rows = -(-true.shape[1] // COLUMNS)
    figure = new_figure(1.35 * n_rows + 0.3)
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False)
    for i, ax in enumerate(axes.flat):
        if i >= true.shape[1]:
            ax.set_axis_off()
            continue
        ax.plot(true[:, i], found[:, i], ".", color=GREEN, ms=2, mew=0, alpha=0.6, rasterized=True)
        ax.set_title(f"latent {i}: r = {np.corrcoef(true[:, i], found[:, i])[0, 1]:.3f}")
    figure.supxlabel("true latent", fontsize="medium")
    figure.supylabel("recovered latent", fontsize="medium")
    return figure
