"""A page as one sheet of paper, to send to a colleague."""

from pathlib import Path

import matplotlib
from fpdf import FPDF, FontFace
from PIL import Image

from sbnn.study.own_data.html import shown

WIDTH, HEIGHT, MARGIN = 210, 297, 14  # A4, in mm
LINE = 4.2
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # names of cells and genes may have letters of any language
WIDEST = 28  # letters of a name in a table
MOST_CAUTIONS = 6


def to_pdf(page):
    """Write a page as PDF.

    Parameters
    ----------
    page : Page
        Of its tables the first rows, of its pictures the first; the HTML has all.

    Returns
    -------
    bytes
        One sheet of A4.
    """
    sheet = FPDF(format="A4")
    sheet.set_auto_page_break(False)
    sheet.set_margins(MARGIN, MARGIN)
    sheet.set_title(page.title)
    for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
        sheet.add_font("text", style, FONTS / name)
    sheet.add_page()
    _text(sheet, page.title, 13, "B", 6)
    _text(sheet, page.verdict, 9.5, "B")
    for caution in _few(page.cautions, MOST_CAUTIONS, "more in the HTML page"):
        _text(sheet, f"! {caution}", 7.5, line=3.4)
    sheet.ln(1)
    _text(sheet, "   ".join(f"{name}: {text}" for name, text in page.facts.items()), 7, line=3.3)
    sheet.ln(1)
    below = sum(_height(table) for table in page.tables) + 8
    for picture in page.pictures[:1]:
        _place(sheet, picture, HEIGHT - MARGIN - sheet.get_y() - below)
    for table in page.tables:
        _table(sheet, table)
    sheet.set_y(HEIGHT - MARGIN - 4)
    _text(sheet, page.footer, 6.5, line=3)
    return bytes(sheet.output())


def _text(sheet, text, size, style="", line=LINE):
    sheet.set_font("text", style, size)
    sheet.multi_cell(0, line, text, new_x="LMARGIN", new_y="NEXT", align="L")


def _few(texts, most, rest):
    return texts if len(texts) <= most else [*texts[: most - 1], f"{len(texts) - most + 1} {rest}"]


def _place(sheet, picture, room):
    """A picture as wide as the sheet, or as high as there is room."""
    if room < 25:
        return
    with Image.open(picture.path) as image:
        ratio = image.height / image.width
    width = min(WIDTH - 2 * MARGIN, (room - 3) / ratio)
    sheet.image(picture.path, x=(WIDTH - width) / 2, w=width, alt_text=picture.alternative)
    sheet.ln(3)


def _height(table):
    """Room that a table needs, in mm."""
    rows = min(len(table.frame), table.first)
    return LINE + (rows + bool(rows)) * 3.7 + bool(table.note) * 7 + 3


def _table(sheet, table):
    _text(sheet, table.title, 9, "B")
    frame = table.frame.reset_index().head(table.first)
    if len(frame):
        sheet.set_font("text", "", 7)
        align = ("LEFT", *["RIGHT"] * (frame.shape[1] - 1))
        layout = {"borders_layout": "HORIZONTAL_LINES", "line_height": 3.7, "padding": 0, "text_align": align}
        with sheet.table(headings_style=FontFace(emphasis="BOLD"), first_row_as_headings=True, **layout) as grid:
            grid.row([_cut(str(name)) for name in frame])
            for row in frame.itertuples(index=False):
                grid.row([_cut(shown(value)) for value in row])
    rest = len(table.frame) - len(frame)
    note = " ".join(text for text in (f"{rest} more in the HTML page." if rest else "", table.note) if text)
    if note:
        _text(sheet, note, 6.5, line=3)
    sheet.ln(1.5)


def _cut(text):
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
