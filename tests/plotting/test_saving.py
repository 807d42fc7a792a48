"""Files of figures: the same bytes everywhere, few colours."""

import matplotlib as mpl
import numpy as np
from made_up import fit_record
from PIL import Image

from sbnn import plotting
from sbnn.plotting.common import new_panels

USER = {"font.size": 20, "axes.facecolor": "yellow", "savefig.dpi": 50}


def test_the_same_record_gives_the_same_bytes_whatever_the_users_style(tmp_path):
    record = fit_record()
    saved = plotting.save_figure(plotting.latent_panels(record), tmp_path / "a" / "b.v2")
    with mpl.rc_context(USER):
        again = plotting.save_figure(plotting.latent_panels(record), tmp_path / "c")
        assert mpl.rcParams["font.size"] == 20
    assert saved.name == "b.v2.png"
    assert again.read_bytes() == saved.read_bytes()
    with Image.open(saved) as image:
        assert image.mode == "P"
        assert image.width == round(7.2 * 200)


def test_text_in_a_pdf_can_be_edited():
    with plotting.style():
        assert mpl.rcParams["pdf.fonttype"] == 42


def test_an_image_in_few_colours_looks_as_before(tmp_path):
    """A white ground stays white, and a rare colour is not merged with a frequent one."""
    figure, ax = new_panels(1)
    ax.imshow(np.linspace(0, 1, 1000)[np.newaxis], aspect="auto")
    ax.add_patch(mpl.patches.Rectangle((100, -0.4), 20, 0.2, color="#00FF00", lw=0))
    path = plotting.save_figure(figure, tmp_path / "few")
    with Image.open(path) as image:
        few = np.asarray(image.convert("RGB"), int)
    assert (few[0] == 255).all()
    is_rare = np.abs(few - (0, 255, 0)).max(-1) < 10
    assert is_rare.sum() > 300
    assert len(np.unique(few.reshape(-1, 3), axis=0)) > 200
