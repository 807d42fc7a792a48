"""The wheel alone, in an environment of its own, does what the README shows."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

import sbnn

ROOT = Path(__file__).resolve().parents[1]
SIMULATE = "from sbnn import simulate_tables\nsimulate_tables('raw', n_cells=120, n_genes=60)"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder of an environment with the wheel, which sees the dependencies of this one but not the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, folder)
    copytree(ROOT / "sbnn", folder / "sbnn", ignore=ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "dist", folder]
    subprocess.run(build, check=True, env=os.environ | {"PYTHONPATH": ""})
    [wheel] = (folder / "dist").glob(f"sbnn-{sbnn.__version__}-*.whl")
    venv.create(folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    [site] = (folder / "env").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    return folder


def run(folder, *command):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    command = [folder / "env" / "bin" / command[0], *command[1:]]
    ended = subprocess.run(command, cwd=folder / "env", env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_the_wheel_alone_runs_the_quick_start_and_fits_tables(installed):
    [wheel] = (installed / "dist").iterdir()
    files = {path.relative_to(installed).as_posix() for path in (installed / "sbnn").rglob("*") if path.is_file()}
    assert files - {"sbnn/README.md"} <= set(zipfile.ZipFile(wheel).namelist())
    where, version = run(installed, "python", "-c", "import sbnn; print(sbnn.__file__, sbnn.__version__)").split()
    assert Path(where).is_relative_to(installed / "env") and version == sbnn.__version__
    readme = (ROOT / "README.md").read_text()
    [code], [shown] = (re.findall(rf"^```{kind}\n(.*?)^```$", readme, re.M | re.S) for kind in ("python", "text"))
    assert run(installed, "python", "-W", "ignore", "-c", code) == shown
    run(installed, "python", "-c", SIMULATE)
    tables = "--expression raw/counts.csv --outputs raw/outputs.csv --labels raw/labels.csv --missing cells"
    assert "Test R2" in run(installed, "sbnn", "fit", "mine", *tables.split(), "--groups", "donor", "--fast")
    made = {path.suffix for path in (installed / "env" / "saved_models" / "mine-fast").iterdir()}
    assert {".html", ".safetensors", ".pickle"} <= made
