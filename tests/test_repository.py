"""The repository keeps what its README promises: pins, versions, notebooks with outputs."""

import re
import subprocess
import tomllib

import pytest
from material.notebooks import read_cells
from material.paths import NOTEBOOKS, ROOT
from packaging.requirements import Requirement

import sbnn

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def code_cells(path):
    return [cell for cell in read_cells(path) if cell["cell_type"] == "code"]


def test_locked_versions_lie_in_the_ranges():
    texts = sum(PROJECT["optional-dependencies"].values(), start=PROJECT["dependencies"])
    requirements = [Requirement(text) for text in texts]
    constraints = (ROOT / "constraints.txt").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", constraints, re.M))
    for requirement in requirements:
        if requirement.name != "sbnn":
            assert locked[requirement.name.lower()] in requirement.specifier


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    assert version == sbnn.__version__ == sbnn.results.library_versions()["sbnn"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def tracked():
    """Paths of all files that git tracks, from the root."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.rstrip("\0").split("\0")


def test_no_data_is_committed(tracked):
    assert [name for name in tracked if name.startswith("data/")] == ["data/README.md"]


def test_tracked_files_stay_below_the_limit(tracked):
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    [limit] = re.findall(r"limit: (\d+) MB tracked", contributing)
    paths = [ROOT / name for name in tracked]
    size = sum(path.stat().st_size for path in paths if path.exists())
    assert size < int(limit) * 1e6


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebooks_have_one_cell_of_parameters(path):
    tags = [cell["metadata"].get("tags") for cell in code_cells(path)]
    assert tags.count(["parameters"]) == 1


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebooks_have_pictures_and_no_error(path):
    outputs = [output for cell in code_cells(path) for output in cell["outputs"]]
    assert "error" not in {output["output_type"] for output in outputs}
    assert any("image/png" in output.get("data", {}) for output in outputs)
