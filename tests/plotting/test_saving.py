"""Files of figures: the same bytes everywhere, few colours."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from material.records import fit_record
from matplotlib.colors import to_rgb
from PIL import Image

from sbnn import plotting
from sbnn.plotting.common import in_few_colors

USER_STYLE = {"font.size": 20, "axes.facecolor": "yellow", "savefig.dpi": 50}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Path of a figure in a new folder."""
    figure = plotting.latent_subplots(fit_record())
    folder = tmp_path_factory.mktemp("figures")
    return plotting.save_figure(figure, folder / "a" / "b.v2")


def test_bytes_do_not_depend_on_users_style(saved, tmp_path):
    with mpl.rc_context(USER_STYLE):
        figure = plotting.latent_subplots(fit_record())
        again = plotting.save_figure(figure, tmp_path / "c")
    assert again.read_bytes() == saved.read_bytes()


def test_places_of_subplots_have_few_digits():
    """As the last digits of a layout depend on addresses in memory."""
    figure = plotting.latent_subplots(fit_record())
    places = [ax.get_position(original=True).get_points() for ax in figure.axes]
    places += [part.bbox_relative.get_points() for part in figure.subfigs[0].subfigs]
    np.testing.assert_array_equal(places, np.round(places, 6))
    assert all(ax.get_in_layout() for ax in figure.axes)


def test_style_of_the_user_stays():
    with mpl.rc_context(USER_STYLE):
        plotting.latent_subplots(fit_record())
        assert mpl.rcParams["font.size"] == 20


def test_dots_in_a_name_are_no_extension(saved):
    assert saved.name == "b.v2.png"


def test_a_saved_figure_has_few_colours_and_is_two_columns_wide(saved):
    with Image.open(saved) as image:
        assert image.mode == "P"
        assert image.width == round(7.2 * 200)


def test_text_in_a_pdf_can_be_edited():
    with plotting.style():
        assert mpl.rcParams["pdf.fonttype"] == 42


def as_bytes(colors):
    return np.round(255 * np.asarray(colors)[..., :3]).astype(np.uint8)


def test_few_colours_keep_ground_gradients_and_rare_colours():
    """Such as those of a legend beside small maps, which are of many colours."""
    pixels = as_bytes(mpl.colormaps["inferno"](np.random.default_rng(0).random((200, 300))))
    pixels[:20] = 255
    pixels[20:30] = as_bytes(mpl.colormaps["viridis"](np.linspace(0, 1, 300)))
    marks = as_bytes([to_rgb(f"C{i}") for i in range(10)])
    places = [np.s_[40:44, 12 * i : 12 * i + 4] for i in range(10)]
    for place, color in zip(places, marks, strict=True):
        pixels[place] = color
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "png")
    with Image.open(io.BytesIO(in_few_colors(png.getvalue()))) as image:
        assert image.mode == "P"
        reduced = np.asarray(image.convert("RGB"), int)
    assert (reduced[:20] == 255).all()
    assert len(np.unique(reduced[20], axis=0)) > 80
    for place, color in zip(places, marks, strict=True):
        assert np.abs(reduced[place] - color).max() < 20
