"""Which records a figure of the study is drawn from."""

from pathlib import Path
from shutil import copy

from sbnn.study import figures

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


def test_figures_are_drawn_if_all_records_exist(tmp_path):
    """The curve of genes also needs a fit."""
    (tmp_path / "simulated").mkdir()
    for name in ("gene_selection.pickle.xz", "tsne.pickle.xz"):
        copy(SAVED / "simulated" / name, tmp_path / "simulated")
    drawn = figures.draw_study_figures("simulated", tmp_path, tmp_path / "figures")
    assert drawn.keys() == {"figure7_tsne"}
    assert {path.stem for path in tmp_path.glob("figures/*/*.png")} == drawn.keys()
