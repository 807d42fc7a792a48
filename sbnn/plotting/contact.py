"""All figures of a data set on one page, as thumbnails with their names."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sbnn.plotting.common import WIDTH, new_figure, styled
from sbnn.plotting.latent import fit_text, place_panel

SHEET = "contact_sheet"
DPI = 100  # of the thumbnails: to recognise a figure, not to read it
GAP, NAME = 0.12, 0.2  # inches: between thumbnails, and for a name above each


@styled
def contact_sheet(source, columns=None, title=None):
    """Thumbnails of saved figures on one page.

    Parameters
    ----------
    source : str, path-like, or sequence of them
        A folder, of which all PNG files are taken but a contact sheet, or the files themselves, drawn in their order.
    columns : int, optional
        By default two for up to four figures, else three.
    title : str, optional
        By default the name of the folder of the first figure.

    Returns
    -------
    matplotlib.figure.Figure
        Save it as "contact_sheet" into the folder of the figures.

    Raises
    ------
    FileNotFoundError
        If a file does not exist, or the folder holds no figure.
    ValueError
        If a file is not an image.
    """
    paths = _paths(source)
    columns = min(len(paths), columns or (2 if len(paths) <= 4 else 3))
    width = (WIDTH - GAP * (columns + 1)) / columns
    images = [_thumbnail(path, round(width * DPI)) for path in paths]
    heights = [image.shape[0] / image.shape[1] * width for image in images]
    rows = [range(start, min(start + columns, len(paths))) for start in range(0, len(paths), columns)]
    tall = [max(heights[i] for i in row) for row in rows]
    page = 0.3 + sum(tall) + len(rows) * (NAME + GAP)
    figure = new_figure(page)
    figure.set_layout_engine("none")
    heading = paths[0].resolve().parent.name if title is None else title
    figure.text(GAP / WIDTH, 1 - 0.2 / page, heading, fontsize=9, fontweight="bold")
    top = page - 0.3
    for row, height in zip(rows, tall, strict=True):
        for place, i in enumerate(row):
            left = GAP + place * (width + GAP)
            name = figure.text(left / WIDTH, (top - NAME + 0.05) / page, paths[i].stem.replace("_", " "))
            fit_text(name, width)
            ax = place_panel(figure, left, top - NAME - heights[i], width, heights[i])
            ax.imshow(images[i], extent=(0, 1, 0, 1), aspect="auto", interpolation="nearest")
        top -= height + NAME + GAP
    return figure


def _paths(source):
    if isinstance(source, str | Path):
        folder = Path(source)
        # Numbers by their value: figure10 after figure9.
        paths = [path for path in folder.glob("*.png") if not path.stem.startswith(SHEET)]
        paths.sort(key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem)])
        if not paths:
            raise FileNotFoundError(f"source: no figures (*.png) in {folder}")
        return paths
    paths = [Path(path) for path in source]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        raise FileNotFoundError(f"source: expected PNG files, got {len(paths)}, of which do not exist: {missing}")
    return paths


def _thumbnail(path, pixels):
    try:
        with Image.open(path) as image:
            image = image.convert("RGB")
            image.thumbnail((pixels, 4 * pixels), Image.Resampling.LANCZOS)
            return np.asarray(image)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"source: {path} is not an image: {error}") from None
