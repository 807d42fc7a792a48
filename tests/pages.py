"""Reading the tables of Markdown pages."""

import re

from sbnn.tables import to_markdown


def rows(table):
    """Lines of a table as `to_markdown` prints it."""
    return to_markdown(table).splitlines()


def contradictions(page, table):
    """Rows of a page that stand below the header of a table and are none of its rows; a page may leave some out."""
    header, *shown = rows(table)
    blocks = re.findall(rf"^{re.escape(header)}\n((?:\|.*\n?)*)", page, re.M)
    return [row for block in blocks for row in block.splitlines() if row not in shown]
