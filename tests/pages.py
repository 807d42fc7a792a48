"""Reading the tables of Markdown pages."""

from sbnn.study.report import to_markdown


def rows(table):
    """Lines of a table as `sbnn.study.report.to_markdown` prints it."""
    return to_markdown(table).splitlines()


def contradictions(page, table):
    """Rows of a page that have as many cells as those of a table and begin like one of them, but are another."""
    shown = {_beginning(row): row for row in rows(table)}
    return [line for line in page.splitlines() if shown.get(_beginning(line), line) != line]


def _beginning(row):
    cells = row.split("|")
    return "".join(cells[1:2]), len(cells)
