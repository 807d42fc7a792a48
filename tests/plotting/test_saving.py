"""Files of figures: the same bytes everywhere, text as text, few colours."""

import io
import re
import zlib

import matplotlib as mpl
import numpy as np
import pytest
from made_up import assert_tidy, fit_record
from PIL import Image

from sbnn import plotting
from sbnn.plotting.common import draw_scores, finish, headline, in_few_colors, new_panels

USER = {"font.size": 20, "axes.facecolor": "yellow", "savefig.dpi": 50, "pdf.fonttype": 3}


def test_the_same_record_gives_the_same_bytes_whatever_the_users_style(tmp_path):
    record = fit_record()
    saved = plotting.save_figure(plotting.latent_panels(record), tmp_path / "a" / "b.v2", pdf=True)
    with mpl.rc_context(USER):
        again = plotting.save_figure(plotting.latent_panels(record), tmp_path / "c", pdf=True)
        assert mpl.rcParams["font.size"] == 20
    [alone] = plotting.save_figure(plotting.latent_panels(record), tmp_path / "d")
    assert [path.name for path in saved] == ["b.v2.png", "b.v2.pdf"]
    png, pdf = (path.read_bytes() for path in saved)
    assert [path.read_bytes() for path in again] == [png, pdf]
    assert alone.read_bytes() == png
    with Image.open(saved[0]) as image:
        assert image.mode == "P"
        assert image.width == round(7.2 * 200)
    # objects may be packed in streams
    packed = re.findall(rb"/FlateDecode.*?stream\n(.*?)\nendstream", pdf, re.S)
    pdf += b"".join(zlib.decompressobj().decompress(part) for part in packed)
    assert b"/FontFile2" in pdf, "a TrueType font"
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_a_colour_bar_keeps_all_its_colours(tmp_path):
    figure, ax = new_panels(1)
    image = ax.imshow(np.linspace(0, 1, 1000)[np.newaxis], aspect="auto")
    figure.colorbar(image)
    [path] = plotting.save_figure(figure, tmp_path / "bar")
    with Image.open(path) as image:
        assert len(image.convert("RGB").getcolors(10_000)) > 256


def test_an_image_in_few_colours_looks_as_before():
    across, down = np.meshgrid(np.arange(200), np.arange(150))
    before = np.dstack([across, down, 120 + across // 8])
    before[:50] = 255
    before[10:12, 10:12] = [100, 75, 140]  # a rare colour, one step from a frequent one
    before = before.repeat(2, axis=0).repeat(2, axis=1)
    png = io.BytesIO()
    Image.fromarray(before.astype(np.uint8)).save(png, "png")
    with Image.open(io.BytesIO(in_few_colors(png.getvalue()))) as image:
        after = np.asarray(image.convert("RGB"), int)
    assert (after[:100] == before[:100]).all()
    assert np.abs(after - before).mean() < 4
    assert (after[::2, ::2] == after[1::2, 1::2]).all(), "no dots of other colours"


def test_a_finding_stays_within_the_figure():
    for finding in ("short", 30 * "a long finding "):
        figure, _ = new_panels(1)
        headline(figure, finding)
        assert_tidy(figure)
        assert figure.get_suptitle()[:5] == finding[:5]


def test_letters_stand_above_the_left_edge_of_the_panels():
    figure, panels = new_panels(3, 2, 2)
    finish(figure, panels)
    letters = {text.get_text(): text.get_window_extent() for text in figure.texts}
    assert sorted(letters) == list("abcd")
    for letter, ax in zip("abcd", panels.flat, strict=True):
        box = ax.get_tightbbox()
        assert letters[letter].x0 == pytest.approx(box.x0, abs=1)
        assert letters[letter].y1 == pytest.approx(box.y1, abs=5)


def test_scores_are_dots_in_a_row_and_a_stroke_at_their_mean():
    _, ax = new_panels(1)
    draw_scores(ax, 7, [0.0, 0.0, 3.0], "k")
    dots, mean = ax.lines
    assert dots.get_xydata().tolist() == [[0, 7], [0, 7], [3, 7]]
    assert mean.get_xydata().tolist() == [[1, 7]]
