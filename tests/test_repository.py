"""The repository keeps what its README promises: pins, commands, notebooks with outputs, no data in git."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

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


def test_the_versions_of_python_are_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "Python 3.11 to 3.13" in (ROOT / "README.md").read_text()
    assert "python=3.11" in (ROOT / "environment.yml").read_text()


@pytest.mark.parametrize(
    ("version", "is_taken"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_make_refuses_a_python_that_the_package_does_not_install_on(version, is_taken, tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not on this machine")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"  # claims to be of this version, and stops where the environment would be made
    python.write_text(
        f"""#!/bin/sh
if [ "$1" = -c ]; then exec "{sys.executable}" -c "import sys; sys.version_info = {version}; exec(sys.argv[1])" "$2"; fi
echo "it goes on with $*"; exit 3
"""
    )
    python.chmod(0o755)
    ended = subprocess.run(["make", ".venv/ready", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode != 0
    assert ("it goes on with -m venv" in ended.stdout) == is_taken
    if not is_taken:
        said = f"sbnn needs Python 3.11 to 3.13, {python} is 3.{version[1]}; name another: make PYTHON=python3.13"
        assert said in ended.stderr


def test_every_file_of_the_package_is_installed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    taken = {Path(pattern).suffix for pattern in setuptools["package-data"]["*"]} | {".py"}
    files = [path for path in (ROOT / "sbnn").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files if path.name != "README.md"} == taken
    assert all((path.parent / "__init__.py").exists() for path in files)


def test_continuous_integration_runs_the_command_of_the_readme():
    assert "make test" in (ROOT / ".ci/run").read_text()
    readme = (ROOT / "README.md").read_text()
    assert "make reproduce" in readme and "make test" in readme


def test_no_data_is_committed():
    tracked = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    assert tracked.stdout.split() == ["data/README.md"]


def test_committed_results_are_small():
    for folder in (ROOT / "saved_models").iterdir():
        assert sum(path.stat().st_size for path in folder.glob("*.pickle")) < 20e6, folder.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_thin_and_committed_with_outputs(path):
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["metadata"].get("tags") for cell in code].count(["parameters"]) == 1
    assert any(cell["outputs"] for cell in code)
    for cell in code:
        assert not any(output["output_type"] == "error" for output in cell["outputs"])
        source = "".join(cell["source"])
        assert source.count("\n") < 20 and "def " not in source
    assert "papermill" not in notebook["metadata"]


def test_readme_shows_every_notebook_and_its_page_every_figure():
    readme, page = ((ROOT / name).read_text() for name in ("README.md", "docs/bottleneck.md"))
    for path in NOTEBOOKS:
        assert path.stem in readme
    for path in (ROOT / "figures" / "scala").glob("*.png"):
        assert path.stem in page
