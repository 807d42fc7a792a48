"""The examples of the README run as they stand, on small tables of the kind they speak of."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sbnn import SparseBottleneckRegressor

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.fixture
def tables(data, tmp_path, monkeypatch):
    """The user's files, in the current folder, and networks that train for a moment only."""
    pd.DataFrame(data.counts, data.cell_names, data.gene_names).to_csv(tmp_path / "counts.csv")
    pd.DataFrame(data.Y, data.cell_names, data.feature_names).to_csv(tmp_path / "ephys.csv")
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    monkeypatch.chdir(tmp_path)
    init = SparseBottleneckRegressor.__init__
    defaults = list(init.__defaults__)
    defaults[defaults.index((50, 50, 50, 100))] = (1, 1, 1, 1)
    monkeypatch.setattr(init, "__defaults__", tuple(defaults))


def test_every_example_runs(tables):
    assert len(BLOCKS) == 2
    for block in BLOCKS:
        names = {}
        exec(compile(block, "README.md", "exec"), names)
    assert names["model"].get_feature_names_out().shape == (25,)
    assert np.isfinite(names["scores"].test_r2).all()
    assert Path("scores.pickle").exists()
