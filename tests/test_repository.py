"""The repository keeps what its README promises: pins, versions, notebooks with outputs."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sbnn

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_locked_versions_lie_in_the_ranges():
    wanted = sum(PROJECT["optional-dependencies"].values(), start=PROJECT["dependencies"])
    text = (ROOT / "constraints.txt").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.M))
    for requirement in map(Requirement, wanted):
        if requirement.name != "sbnn":
            assert locked[requirement.name.lower()] in requirement.specifier


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    assert version == sbnn.__version__ == sbnn.results.library_versions()["sbnn"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_data_is_committed():
    tracked = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    assert tracked.stdout.split() == ["data/README.md"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_have_parameters_and_outputs(path):
    cells = json.loads(path.read_text())["cells"]
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["metadata"].get("tags") for cell in cells].count(["parameters"]) == 1
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert "error" not in {output["output_type"] for output in outputs}
    assert any("image/png" in output.get("data", {}) for output in outputs)
