"""A series of figures, each from the results it needs: one that fails does not stop the others."""

import warnings
from pathlib import Path

from sbnn.plotting.common import save_figure


class FigureSeries:
    """The figures of a study.

    Parameters
    ----------
    entries : callable
        Gives, from records by name, for each figure its name, the names of the records that it needs, and the function
        that draws it from these.
    """

    def __init__(self, entries):
        self._entries = entries

    def names(self, records):
        """Names of the figures of which the results are there, in the order in which they are drawn.

        Parameters
        ----------
        records : dict of str to Record

        Returns
        -------
        list of str
        """
        return [name for name, *_ in self._with_results(records)]

    def draw(self, records):
        """Draw the figures one after the other.

        Parameters
        ----------
        records : dict of str to Record
            A figure is drawn where its results are there.

        Yields
        ------
        name : str
            Of the file, without ending.
        figure : matplotlib.figure.Figure

        Warns
        -----
        UserWarning
            If a figure cannot be drawn, with its name and the reason; the others are.
        """
        for name, needed, draw in self._with_results(records):
            try:
                figure = draw(*(records[record] for record in needed))
            except Exception as error:  # whatever it is, the other figures can do without this one
                _warn(name, error)
                continue
            yield name, figure

    def save(self, records, folder):
        """Draw all figures and save them as PDF and PNG.

        Parameters
        ----------
        records : dict of str to Record
        folder : path-like

        Returns
        -------
        list of Path
            Of the PNG files. Those of `names` that are not among them could not be drawn.

        Raises
        ------
        OSError
            If a file cannot be written.

        Warns
        -----
        UserWarning
            As in `draw`.
        """
        paths = []
        for name, figure in self.draw(records):
            path = Path(folder) / f"{name}.png"
            try:
                save_figure(figure, path.with_suffix(""))
            except OSError:
                raise
            except Exception as error:  # as in `draw`: some texts are read when they are drawn only
                _warn(name, error)
                continue
            paths.append(path)
        return paths

    def save_and_tell(self, records, folder):
        """Draw and save all figures, and print their paths.

        Raises
        ------
        ValueError
            If a figure could not be drawn; the others are saved.
        """
        paths = self.save(records, folder)
        for path in paths:
            print(path)
        drawn = {path.stem for path in paths}
        failed = [name for name in self.names(records) if name not in drawn]
        if failed:
            raise ValueError(f"could not draw {', '.join(failed)}; the warnings say why")

    def _with_results(self, records):
        return [entry for entry in self._entries(records) if all(record in records for record in entry[1])]


def _warn(name, error):
    reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    warnings.warn(f"{name} could not be drawn: {reason}", stacklevel=3)
