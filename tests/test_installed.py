"""The wheel alone, in an environment of its own, does what the README shows."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns, which

import pytest

import sbnn

ROOT = Path(__file__).resolve().parents[1]
SIMULATE = """
from sbnn.data.simulate import simulate_tables
simulate_tables('raw', n_cells=120, n_genes=60)
"""
FIT = "fit --expression raw/counts.csv --outputs raw/outputs.csv --labels raw/labels.csv --fast"


# Without these rights, root may not write where it took write permission away either.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def run(*command, cwd=None, **variables):
    hidden = "PYTHON", "DISPLAY"
    around = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    around |= variables
    ended = subprocess.run(command, cwd=cwd, env=around, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def unwritable(folder):
    """Take write permission of a folder and of all folders in it."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o555)


@pytest.mark.slow
def test_the_wheel_alone_runs_the_quick_start_and_fits_tables(tmp_path):
    """From the source archive, for a user who may write only where they work.

    Dependencies are those of this environment, and the checkout is out of sight.
    """
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, tmp_path)
    copytree(ROOT / "sbnn", tmp_path / "sbnn", ignore=ignore_patterns("__pycache__"))
    (tmp_path / "notebooks").mkdir()
    copy(ROOT / "notebooks" / "08_own_data.ipynb", tmp_path / "notebooks")
    build = "from setuptools.build_meta import *; print(build_sdist('dist'))"
    archive = run(sys.executable, "-c", build, cwd=tmp_path).split()[-1]
    pip = [sys.executable, "-m", "pip"]
    dist = tmp_path / "dist"
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", dist]
    run(*pip, "wheel", *options, dist / archive)
    [wheel] = dist.glob(f"sbnn-{sbnn.__version__}-*.whl")
    files = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "sbnn").rglob("*.*")}
    assert files - {"sbnn/README.md"} <= set(zipfile.ZipFile(wheel).namelist())
    env = tmp_path / "Büro 2" / "env"
    work = tmp_path / "Zellen äöü"
    home = tmp_path / "home"
    for folder in (work, home):
        folder.mkdir()
    venv.create(env, symlinks=True)
    run(*pip, "--python", env / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    [site] = env.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    unwritable(env)
    unwritable(home)

    def as_user(*command):
        powerless = POWERLESS if which("setpriv") and os.getuid() == 0 else []
        around = {
            "HOME": str(home),
            "JUPYTER_PATH": f"{sys.prefix}/share/jupyter",  # where templates of nbconvert are
            "JUPYTER_RUNTIME_DIR": str(work / "runtime"),
            "IPYTHONDIR": str(work / "ipython"),
        }
        return run(*powerless, env / "bin" / command[0], *command[1:], cwd=work, **around)

    python = ["python", "-W", "ignore", "-c"]
    where = as_user(*python, "import sbnn; print(sbnn.__file__)")
    assert Path(where).is_relative_to(site)
    readme = (ROOT / "README.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S)
    [shown] = re.findall(r"^```text\n(.*?)^```$", readme, re.M | re.S)
    printed = as_user(*python, code)
    number = re.compile(r"-?\d\.\d+")
    assert number.sub("", printed) == number.sub("", shown)
    found, expected = ([float(text) for text in number.findall(page)] for page in (printed, shown))
    # another processor rounds sums in another order
    assert found == pytest.approx(expected, abs=0.02)
    as_user(*python, SIMULATE)
    as_user("sbnn", *FIT.split())
    assert "Test R2" in (work / "mine-fast" / "report.html").read_text()
    assert not list(home.iterdir())
