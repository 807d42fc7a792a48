"""What needs a package that is not installed says which extra installs it; the rest works."""

import subprocess
import sys
import tomllib

import numpy as np
import pytest
from material.paths import ROOT
from packaging.requirements import Requirement

from sbnn.errors import EXTRAS, require
from sbnn.models.sparse_linear import SparseReducedRankRegression

CORE = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))  # as if they were not installed
import sbnn

def forget():
    for module in [module for module in sys.modules if module.startswith("sbnn")]:
        del sys.modules[module]

for name in sbnn.__all__:
    forget()
    exec(f"from sbnn import {name}")
forget()
from sbnn import *
from sbnn.dynamics import *
from sbnn.ephys_types import *
from sbnn.mechanism_shift import *
data = simulate_patchseq(n_cells=60, n_genes=30, random_state=0)
SparseReducedRankRegression(rank=2, alpha=0.1).fit(data.X, data.obsm["outputs"])
model = SparseBottleneckRegressor(epochs=(0, 0, 1, 1), random_state=0)
print(cross_validate(model, data, folds=2, verbose=False).test_r2.shape)
"""


def test_models_of_two_measurements_need_no_optional_package():
    """And every public name can be the first that is imported."""
    command = [sys.executable, "-W", "ignore", "-c", CORE, *EXTRAS]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.stdout == "(2, 1)\n", ended.stderr


def test_every_optional_package_is_in_the_extra_that_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {"glmnet": "python-glmnet", "imblearn": "imbalanced-learn"}
    extras = project["optional-dependencies"]
    for package, extra in EXTRAS.items():
        name = names.get(package, package.lower())
        assert name in [Requirement(text).name for text in extras[extra]]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    missing = dict.fromkeys(["bokeh", "glmnet", "openTSNE"])
    monkeypatch.setattr(sys, "modules", sys.modules | missing)
    with pytest.raises(ImportError, match=r"bokeh, openTSNE; pip install 'sbnn\[explorer,maps\]'"):
        require("bokeh", "numpy", "openTSNE")
    elementwise = SparseReducedRankRegression(rank=1, alpha=0.1, penalty="element")
    with pytest.raises(ImportError, match=r"glmnet.*sbnn\[glmnet\].*3\.14"):
        elementwise.fit(np.random.default_rng(0).normal(size=(20, 4)), np.arange(40).reshape(20, 2))
