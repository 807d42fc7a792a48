"""The site of the documentation; `make docs` builds it to build/docs, offline.

The source folder is the whole checkout, so that the links between pages, notebooks and figures are
the same on GitHub and in the site; `include_patterns` lists what belongs to the site. docs/api is
written by the build.
"""

import doctest
import importlib.metadata
import inspect
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from docutils.nodes import SkipNode, Text, entry, image, inline, raw, reference, row, table
from latex2mathml.converter import convert
from sphinx.addnodes import download_reference

import sbnn

HERE = Path(__file__).parent
WIDE_TABLE = 6  # columns, from which on standard deviations stand below their means
#: Text of a cell without words, lists and intervals, in which a line may end.
NUMBERS = re.compile(r"(?=.*\d)(?:[^A-Za-z,;[]|e[-+]\d)+")
WITH_SD_BELOW = re.compile(r"(\[[-+]?[\d.]+, [-+]?[\d.]+\]|± [\d.]+)")
WITH_SD_BESIDE = re.compile(r"(\[[-+]?[\d.]+, [-+]?[\d.]+\]|[-+]?[\d.]+ ± [\d.]+)")
shutil.rmtree(HERE / "api", ignore_errors=True)  # pages of names that are gone would stay

project = "sbnn"
release = version = importlib.metadata.version("sbnn")
copyright = "the authors of sbnn, BSD 3-Clause"
language = "en"

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "C*.md",
    "notebooks/*.ipynb",
    "benchmarks/README.md",
    "data/README.md",
    "sbnn/README.md",
]
exclude_patterns = ["docs/_templates", "**/.ipynb_checkpoints"]

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
templates_path = [str(HERE / "_templates")]

# Markdown and notebooks. Notebooks are shown as they are committed, nothing is run.
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # would be fetched from the network; there is no widget
nb_merge_streams = True
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
# which browsers draw themselves; scripts that do it would be fetched from the network
html_math_renderer = "mathml"
myst_heading_anchors = 4

# API pages. Names in single backticks become links where they have a page.
for name in sbnn.__all__:
    if inspect.ismodule(getattr(sbnn, name)):  # sphinx can only import `sbnn.metrics` and the like
        sys.modules[f"sbnn.{name}"] = getattr(sbnn, name)
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings have more detail
default_role = "py:obj"
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_xref_param_type = False
# A name in single backticks is as often a parameter or a column, which has no page.
nitpick_ignore_regex = [("py:obj", ".*")]


def setup(app):
    """Document our methods of classes, not inherited ones; write formulas as MathML.

    Links of pictures to themselves open the picture. Numbers in tables stay on one line. Links to
    sections of a notebook, which Jupyter names by their words, take the form that GitHub has.
    Examples of `sbnn.plotting` run from the root of the checkout, where ``make docs`` is called.
    """

    def is_of_others(app, what, name, obj, skip, options):
        home = getattr(getattr(obj, "fget", obj), "__module__", None)
        return True if home is not None and not home.startswith("sbnn") else None

    def with_own_anchors(app, page, source):
        def slug(link):
            return re.sub(r"[^\w()#\]-]", "", link[0].lower())

        if page.startswith("notebooks/"):
            source[0] = re.sub(r"\]\(#[^)]*\)", slug, source[0])

    def with_drawn_figure(app, what, name, obj, options, lines):
        is_drawn = what == "function" and inspect.signature(obj).return_annotation == "Figure"
        if is_drawn and ">>> figure = " in obj.__doc__:
            names = {}
            for example in doctest.DocTestParser().get_examples(obj.__doc__):
                exec(example.source, names)
            names["figure"].savefig(HERE / "api" / f"{name}.png", dpi=100)
            lines += ["", f".. image:: {name}.png"]

    def with_open_pictures(app, doctree, page):
        for link in list(doctree.findall(download_reference)):
            for picture in link.findall(image):
                name = app.env.images[picture["uri"]][1]
                to_top = "../" * page.count("/")
                open_ = reference("", "", picture, refuri=f"{to_top}_images/{name}")
                link.replace_self(open_)

    app.connect("doctree-resolved", with_open_pictures)
    app.connect("doctree-resolved", keep_numbers_whole)
    app.connect("autodoc-skip-member", is_of_others)
    app.connect("autodoc-process-docstring", with_drawn_figure)
    app.connect("source-read", with_own_anchors)
    in_line, block = ((formula(display), None) for display in ("inline", "block"))
    app.add_html_math_renderer("mathml", in_line, block)


def keep_numbers_whole(app, doctree, page):
    """Mark numbers of tables that stay on one line by site.css: cells, intervals and SDs."""
    for whole_table in doctree.findall(table):
        is_wide = len(whole_table.next_node(row).children) >= WIDE_TABLE
        kept_whole = WITH_SD_BELOW if is_wide else WITH_SD_BESIDE
        if is_wide:
            whole_table["classes"].append("wide")
        for cell in whole_table.findall(entry):
            if NUMBERS.fullmatch(cell.astext()):
                cell["classes"].append("number")
            for text in list(cell.findall(Text)):
                mark_numbers(text, kept_whole)
    for output in list(doctree.findall(raw)):
        if "<table" in output.astext():
            marked = mark_cells_of_pandas(output.astext())
            output.replace_self(raw("", marked, **output.attributes))


def mark_numbers(text, kept_whole):
    """Put the numbers of a text that match into elements of their own."""
    parts = []
    for part in kept_whole.split(text):
        if part.startswith("±"):
            parts.append(inline("", part, classes=["below"]))
        elif kept_whole.fullmatch(part):
            parts.append(inline("", part, classes=["number"]))
        elif part:
            parts.append(Text(part))
    text.parent.replace(text, parts)


def mark_cells_of_pandas(html):
    """Put the numbers of cells of a notebook's table into elements of their own."""
    is_wide = html.partition("</tr>")[0].count("<th") >= WIDE_TABLE

    def mark(cell):
        start, text, end = cell.groups()
        if NUMBERS.fullmatch(text):
            if is_wide:
                text = re.sub(r"± \S+", r'<span class="below">\g<0></span>', text)
            text = f'<span class="number">{text}</span>'
        return start + re.sub(r"\[.*?\]", r'<span class="number">\g<0></span>', text) + end

    return re.sub(r"(<td[^>]*>)([^<]*)(</td>)", mark, html)


def formula(display):
    """What writes a formula into a page."""

    def write(page, node):
        written = convert(node.astext(), display=display)
        # bars of norms have the same height, and lines over words their length
        written = written.replace("<mo>&#x02016;", '<mo stretchy="false">&#x02016;')
        page.body.append(written.replace("&#x02015;", "&#x0203E;"))
        raise SkipNode

    return write


html_theme = "pydata_sphinx_theme"
html_title = "sbnn"
# with a font for formulas, as not every machine has one
html_static_path = ["_static", str(files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf")]
toc_object_entries_show_parents = "hide"
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
# the pages stand in folders, as in the checkout
html_additional_pages = {"index": "to_first_page.html"}
html_theme_options = {
    "logo": {"text": f"sbnn {version}"},
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    # notebooks have tables that are wider than what a list of their sections leaves
    "secondary_sidebar_items": {"[!n]**": ["page-toc"], "notebooks/*": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
