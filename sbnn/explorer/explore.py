"""The explorer of a fitted model: shown in a notebook, or written to one file that works offline."""

from dataclasses import dataclass, field
from html import escape

from sbnn.explorer.columns import page_data
from sbnn.explorer.page import page
from sbnn.results import results_path, write_atomically

HEIGHT = 900  # pixels in a notebook


@dataclass(frozen=True)
class Explorer:
    """A page that explores a fitted model; the last line of a notebook's cell shows it.

    Parameters
    ----------
    html : str
        The page, with all that it needs.
    """

    html: str = field(repr=False)

    def save(self, path):
        """Write the page to a file, all of it or nothing; gives its path."""
        write_atomically(self.html.encode(), path)
        return results_path(path)

    def _repr_html_(self):
        return (
            f'<iframe title="Explorer of a fitted model" srcdoc="{escape(self.html)}" width="100%" height="{HEIGHT}" '
            'style="border: 0"></iframe>'
        )


def explore(fit_record, cv_record=None, path=None):
    """Explore a fitted model: its map by type, genes, outputs and errors; what sets a selection of cells apart.

    Parameters
    ----------
    fit_record : Record
        From `sbnn.fit_full`, or loaded by `sbnn.results.load`.
    cv_record : Record, optional
        From `sbnn.cross_validate`, of the same model and data: the page then also shows what was predicted of every
        cell while it was held out, which is more honest than what was fitted.
    path : str or path-like, optional
        File to write, such as ``"map.html"``. It needs no network and no server.

    Returns
    -------
    Explorer
        Shows itself in a notebook; ``save(path)`` writes it.

    Raises
    ------
    ValueError
        If a record is of another kind, of other data or of another model; if `path` is a folder.
    OSError
        If the file cannot be written.
    """
    explorer = Explorer(page(page_data(fit_record, cv_record)))
    if path is not None:
        explorer.save(path)
    return explorer
