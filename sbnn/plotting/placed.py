"""New cells on the map of a fitted model."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from sbnn.plotting.common import headline, new_figure, styled
from sbnn.plotting.labels import counted
from sbnn.results import Record


@styled
def new_cells(fit: Record, places: pd.DataFrame, predicted: pd.DataFrame) -> Figure:
    """New cells on the map of a fit, coloured by their first predicted output.

    Parameters
    ----------
    fit : Record
        From `sbnn.fit_full`, with two units.
    places : DataFrame, shape (m, k)
        Positions, with the columns ``sbnn_1`` and ``sbnn_2``.
    predicted : DataFrame, shape (m, q)
        Predicted outputs.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_default_2d.pickle")
    >>> places = pd.DataFrame(fit.latent[:20], columns=["sbnn_1", "sbnn_2"])
    >>> predicted = pd.DataFrame(fit.predictions[:20], columns=fit.feature_names)
    >>> figure = plotting.new_cells(fit, places, predicted)
    """
    figure = new_figure(3.2)
    figure.set_figwidth(4)
    ax = figure.subplots()
    ax.scatter(fit.latent[:, 0], fit.latent[:, 1], s=4, color="0.8")
    first = predicted.iloc[:, 0]
    xy = places[["sbnn_1", "sbnn_2"]].to_numpy()
    dots = ax.scatter(*xy.T, s=12, c=first, cmap="viridis")
    figure.colorbar(dots, label=f"predicted {first.name}")
    ax.set(xlabel="unit 1 (grey: cells of the fit)", ylabel="unit 2", box_aspect=1)
    span = f"{first.min():.3g} to {first.max():.3g}".replace("-", "−")
    headline(figure, f"Predicted {first.name} of {counted(len(xy), 'new cell')}: {span}")
    return figure
