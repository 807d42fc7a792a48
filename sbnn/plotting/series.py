"""A series of figures, each from the results it needs: one that fails does not stop the others."""

import warnings
from pathlib import Path

from sbnn.plotting.common import save_figure


def with_results(entries, records):
    """Those of the entries (name, names of the results, function that draws) whose results are all there."""
    for name, needed, draw in entries:
        if all(record in records for record in needed):
            yield name, needed, draw


def drawn(entries, records):
    """Draw figures one after the other.

    Parameters
    ----------
    entries : iterable of (str, list of str, callable)
        Name of the figure, names of the records that it needs, and the function that draws it from them.
    records : dict of str to Record

    Yields
    ------
    name : str
    figure : matplotlib.figure.Figure

    Warns
    -----
    UserWarning
        If a figure cannot be drawn, with its name and the reason; the others are.
    """
    for name, needed, draw in with_results(entries, records):
        try:
            figure = draw(*(records[record] for record in needed))
        except Exception as error:  # whatever it is, the other figures can do without this one
            _warn(name, error)
            continue
        yield name, figure


def save_all(figures, folder):
    """Save figures as PDF and PNG.

    Parameters
    ----------
    figures : iterable of (str, Figure)
        From `drawn`.
    folder : path-like

    Returns
    -------
    list of Path
        Of the PNG files that could be drawn.

    Raises
    ------
    OSError
        If a file cannot be written.

    Warns
    -----
    UserWarning
        As in `drawn`.
    """
    paths = []
    for name, figure in figures:
        path = Path(folder) / f"{name}.png"
        try:
            save_figure(figure, path.with_suffix(""))
        except OSError:
            raise
        except Exception as error:  # as in `drawn`: some texts are read when they are drawn only
            _warn(name, error)
            continue
        paths.append(path)
    return paths


def _warn(name, error):
    reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    warnings.warn(f"{name} could not be drawn: {reason}", stacklevel=3)
