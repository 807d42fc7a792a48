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
SIMULATE = """
from sbnn.data.simulate import simulate_tables
simulate_tables('raw', n_cells=120, n_genes=60)
"""
FIT = (
    "fit mine --expression raw/counts.csv --outputs raw/outputs.csv --labels raw/labels.csv "
    "--missing cells --fast"
)


def run(*command, cwd=None):
    around = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    ended = subprocess.run(command, cwd=cwd, env=around, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_the_wheel_alone_runs_the_quick_start_and_fits_tables(tmp_path):
    """Dependencies are those of this environment, and the checkout is out of sight."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, tmp_path)
    copytree(ROOT / "sbnn", tmp_path / "sbnn", ignore=ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip"]
    dist = tmp_path / "dist"
    env = tmp_path / "env"
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", dist, tmp_path)
    [wheel] = dist.glob(f"sbnn-{sbnn.__version__}-*.whl")
    files = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "sbnn").rglob("*.*")}
    assert files - {"sbnn/README.md"} <= set(zipfile.ZipFile(wheel).namelist())
    venv.create(env, symlinks=True)
    run(*pip, "--python", env / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    [site] = env.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    python = [env / "bin" / "python", "-W", "ignore", "-c"]
    where, version = run(
        *python, "import sbnn; print(sbnn.__file__, sbnn.__version__)", cwd=env
    ).split()
    assert Path(where).is_relative_to(site)
    assert version == sbnn.__version__
    readme = (ROOT / "README.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S)
    [shown] = re.findall(r"^```text\n(.*?)^```$", readme, re.M | re.S)
    assert run(*python, code, cwd=env) == shown
    run(*python, SIMULATE, cwd=env)
    assert "Test R2" in run(env / "bin" / "sbnn", *FIT.split(), cwd=env)
    assert (env / "saved_models" / "mine-fast" / "report.html").exists()
