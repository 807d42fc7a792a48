"""Files of figures: the same bytes everywhere, few colours."""

import matplotlib as mpl
import numpy as np
import pytest
from material.records import fit_record
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from PIL import Image

from sbnn import plotting
from sbnn.plotting.common import new_subplots

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


def test_a_saved_figure_has_a_palette(saved):
    with Image.open(saved) as image:
        assert image.mode == "P"


def test_a_saved_figure_is_two_columns_wide(saved):
    with Image.open(saved) as image:
        assert image.width == round(7.2 * 200)


def test_text_in_a_pdf_can_be_edited():
    with plotting.style():
        assert mpl.rcParams["pdf.fonttype"] == 42


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """A colour gradient on white with a small green mark, (height, width, 3)."""
    figure, ax = new_subplots(1, "data")
    gradient = np.linspace(0, 1, 1000)
    ax.imshow(gradient[np.newaxis], aspect="auto")
    ax.add_patch(Rectangle((100, -0.4), 20, 0.2, color="#00FF00", lw=0))
    path = plotting.save_figure(figure, tmp_path_factory.mktemp("few") / "few")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), int)


def test_a_white_ground_stays_white(pixels):
    assert (pixels[0] == 255).all()


def test_a_rare_colour_is_kept(pixels):
    distance = np.abs(pixels - (0, 255, 0)).max(axis=-1)
    assert (distance < 10).sum() > 300


def test_colours_of_few_pixels_are_kept(tmp_path):
    """Such as those of a legend beside small maps."""
    figure, ax = new_subplots(3, "data")
    noise = np.random.default_rng(0).random((300, 400))
    ax.imshow(noise, cmap="inferno", interpolation="bilinear")
    for i in range(10):
        ax.plot(10 + 20 * i, 100, "o", color=f"C{i}", ms=2)
    path = plotting.save_figure(figure, tmp_path / "legend")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), int)
    for i in range(10):
        color = 255 * np.array(to_rgb(f"C{i}"))
        assert (np.abs(pixels - color).max(axis=-1) < 20).sum() > 25


def test_a_gradient_stays_smooth(pixels):
    shades = np.unique(pixels.reshape(-1, 3), axis=0)
    assert len(shades) > 200
