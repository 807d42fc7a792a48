"""A PDF is rewritten without loss: every object is found by its table, text is as it was, and places are as exact."""

import io
import re

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from made_up import pdf_objects
from matplotlib.figure import Figure

from sbnn.plotting.common import style
from sbnn.plotting.pdf import lean, rounded


@pytest.fixture(scope="module")
def files():
    rng = np.random.default_rng(0)
    with style():
        figure = Figure(figsize=(3, 3))
        ax = figure.subplots()
        ax.scatter(*rng.normal(size=(2, 500)), c=rng.uniform(size=500), s=4, lw=0)
        ax.text(0, 0, r"a (b) \ 0.1234567 ±", family="DejaVu Sans")
        ax.imshow(np.repeat(np.arange(16), 16).reshape(16, 16), extent=(-1, 1, -1, 1), interpolation="none")
        figure.savefig(content := io.BytesIO(), format="pdf", metadata={"CreationDate": None})
    before = content.getvalue()
    return before, lean(before)


def page_of(pdf):
    """What is drawn on the page, as it stands in the file."""
    objects = pdf_objects(pdf)
    page = next(entries for entries, _ in objects.values() if re.search(rb"/Type /Page\b", entries))
    return objects[int(re.search(rb"/Contents (\d+) 0 R", page)[1])][1]


def numbers(content):
    """All numbers outside of texts."""
    bare = re.sub(rb"\((?:\\.|[^\\()])*\)", b"", content)
    return [float(word) for word in bare.split() if re.fullmatch(rb"-?[\d.]+", word)]


def test_the_file_is_small_and_repeats(files):
    before, after = files
    assert len(after) < 0.7 * len(before)
    assert lean(before) == after and after.startswith(b"%PDF-1.5")


def test_numbers_are_as_exact_as_they_are_seen_and_texts_are_untouched(files):
    before, after = (page_of(pdf) for pdf in files)
    assert len(after) < 0.8 * len(before)
    old, new = numbers(before), numbers(after)
    assert len(old) == len(new) > 1000
    np.testing.assert_allclose(new, old, atol=5.1e-4)
    texts = [re.findall(rb"\((?:\\.|[^\\()])*\)", content) for content in (before, after)]
    assert texts[0] == texts[1] and len(texts[0]) > 10
    found = rounded(rb"[ (0.1234567 \) -1.23456) ] TJ 0.1234567 w -12.00001 0.0012345678 cm /F1.23456 Tf")
    assert found == rb"[ (0.1234567 \) -1.23456) ] TJ 0.123 w -12 0.001235 cm /F1.23456 Tf"


def test_fonts_keep_their_outlines_and_lose_their_hints(files):
    fonts = []
    for pdf in files:
        objects = pdf_objects(pdf).values()
        entries, content = next(found for found in objects if b"/Length1" in found[0])
        assert b"/Length1 %d" % len(content) in entries
        fonts.append(TTFont(io.BytesIO(content)))
    old, new = fonts
    assert "fpgm" in old and "fpgm" not in new
    assert len(old.getGlyphOrder()) == len(new.getGlyphOrder()) > 5
    for one, other in zip(old.getGlyphOrder(), new.getGlyphOrder(), strict=True):
        assert old["glyf"][one].getCoordinates(old["glyf"])[0] == new["glyf"][other].getCoordinates(new["glyf"])[0]
        assert old["hmtx"][one] == new["hmtx"][other]


def test_images_and_their_palettes_are_the_same(files):
    pictures = []
    for pdf in files:
        objects = pdf_objects(pdf)
        [(entries, pixels)] = [found for found in objects.values() if b"/Subtype /Image" in found[0]]
        reference = re.search(rb"/ColorSpace (\d+) 0 R", entries)
        palette = objects[int(reference[1])][0] if reference else entries
        pictures.append((pixels, re.search(rb"/Indexed.*\)", palette, re.DOTALL)[0]))
    assert pictures[0] == pictures[1]


def test_another_file_is_refused():
    with pytest.raises(ValueError, match="pdf: expected a PDF of matplotlib"):
        lean(b"%PDF-1.4\nnothing")
