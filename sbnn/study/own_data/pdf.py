"""A page as one sheet of paper, to send to a colleague."""

from pathlib import Path

import matplotlib
from fpdf import FPDF, FontFace
from PIL import Image

from sbnn.study.own_data.html import shown

WIDTH, HEIGHT, MARGIN = 210, 297, 14  # A4, in mm
LINE, ROW = 4.2, 3.7
FOOTER, TITLE_AND_NOTE = 6, 16
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
    for name, text in page.facts.items():
        _text(sheet, f"{name}: {text}", 7, line=3.3)
    sheet.ln(1)
    for picture in page.pictures[:1]:
        _place(sheet, picture)
    for i, table in enumerate(page.tables):
        room = HEIGHT - MARGIN - FOOTER - sheet.get_y()
        _table(sheet, table, room / (len(page.tables) - i))
    sheet.set_y(HEIGHT - MARGIN - 4)
    _text(sheet, page.footer, 6.5, line=3)
    return bytes(sheet.output())


def _text(sheet, text, size, style="", line=LINE):
    sheet.set_font("text", style, size)
    sheet.multi_cell(0, line, text, new_x="LMARGIN", new_y="NEXT", align="L")


def _few(texts, most, rest):
    return texts if len(texts) <= most else [*texts[: most - 1], f"{len(texts) - most + 1} {rest}"]


def _place(sheet, picture):
    """A picture as wide as the sheet, of at most a third of its height."""
    with Image.open(picture.path) as image:
        width = min(WIDTH - 2 * MARGIN, HEIGHT / 3 * image.width / image.height)
    sheet.image(picture.path, x=(WIDTH - width) / 2, w=width, alt_text=picture.alternative)
    sheet.ln(2)


def _table(sheet, table, room):
    """A table with as many rows as there is room for."""
    _text(sheet, table.title, 9, "B")
    frame = table.frame.reset_index()
    shown_rows = frame.head(max(0, int((room - TITLE_AND_NOTE) / ROW) - 1))
    if len(shown_rows):
        sheet.set_font("text", "", 7)
        align = ("LEFT", *["RIGHT"] * (frame.shape[1] - 1))
        layout = {"borders_layout": "HORIZONTAL_LINES", "line_height": ROW, "padding": 0, "text_align": align}
        with sheet.table(headings_style=FontFace(emphasis="BOLD"), **layout) as grid:
            grid.row([_cut(str(name)) for name in frame])
            for row in shown_rows.itertuples(index=False):
                grid.row([_cut(shown(value)) for value in row])
    rest = len(frame) - len(shown_rows)
    note = " ".join(text for text in (f"{rest} more in the HTML page." if rest else "", table.note) if text)
    if note:
        _text(sheet, note, 6.5, line=3)
    sheet.ln(1.5)


def _cut(text):
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
