"""The repository keeps what its README promises: pins, versions, notebooks with outputs."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import sbnn

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def pins(lines):
    return {name.lower(): version for name, version in (line.split("==") for line in lines)}


def test_conda_and_pip_install_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = pins(sum(extras, start=project["dependencies"]))
    listed = pins(re.findall(r"^\s+- (\S+==\S+)$", (ROOT / "environment.yml").read_text(), re.M))
    assert listed == wanted
    assert wanted["torch"] == "2.13.0"


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version == sbnn.__version__ == sbnn.results.library_versions()["sbnn"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "docs" / "changelog.md").read_text()


def test_no_data_is_committed():
    tracked = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    assert tracked.stdout.split() == ["data/README.md"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_explain_and_show_what_they_do(path):
    notebook = json.loads(path.read_text())
    code, text = (
        [cell for cell in notebook["cells"] if cell["cell_type"] == kind]
        for kind in ("code", "markdown")
    )
    assert [cell["metadata"].get("tags") for cell in code].count(["parameters"]) == 1
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert sum(len("".join(cell["source"]).split()) for cell in text) >= 350
    for cell in code:
        source = "".join(cell["source"])
        assert source.count("\n") < 27
        assert not re.search(r"\brun_\w+\(|STUDY", source), "the experiment is in the cell"
    assert "papermill" not in notebook["metadata"]
