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
            assert requirement.name == "ruff" or ">=" in str(requirement.specifier)
    assert locked["torch"] == "2.13.0"


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
def test_notebooks_explain_and_show_what_they_do(path):
    notebook = json.loads(path.read_text())
    assert "papermill" not in notebook["metadata"]
    n_words = n_pictures = n_parameters = 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            n_words += len(source.split())
            continue
        assert source.count("\n") < 27
        assert not re.search(r"\brun_\w+\(|STUDY", source), "the experiment is in the cell"
        n_parameters += cell["metadata"].get("tags") == ["parameters"]
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            n_pictures += "image/png" in output.get("data", {})
    assert n_parameters == 1
    assert n_words >= 350
    assert n_pictures >= 3
