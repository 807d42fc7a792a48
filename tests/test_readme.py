"""The examples of the README run as they stand, on small tables of the kind they speak of."""

import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from sbnn import DistilledSettings

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.fixture
def tables(data, tmp_path, monkeypatch):
    """The user's files, in the current folder."""
    pd.DataFrame(data.counts, data.cell_names, data.gene_names).to_csv(tmp_path / "counts.csv")
    pd.DataFrame(data.Y, data.cell_names, data.feature_names).to_csv(tmp_path / "ephys.csv")
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    monkeypatch.chdir(tmp_path)


def test_every_example_runs(tables):
    assert len(BLOCKS) == 2
    for block in BLOCKS:
        # Only the time that a network trains is another one.
        block = block.replace("SparseBottleneckRegressor(", "SparseBottleneckRegressor(distillation=MOMENT, ")
        names = {"MOMENT": DistilledSettings(steps_of_teachers=5, steps_of_student=5)}
        with joblib.parallel_config("sequential"):  # worker processes take longer to start than these fits
            exec(compile(block, "README.md", "exec"), names)
    assert names["model"].get_feature_names_out().shape == (25,)
    assert np.isfinite(names["scores"].test_r2).all()
    assert Path("scores.pickle").exists()
