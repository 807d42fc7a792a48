"""The wheel alone, in an environment of its own, does what the README shows."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from shutil import copy, copytree, ignore_patterns, which

import pytest
from material.paths import ROOT

import sbnn

pytestmark = pytest.mark.slow

SIMULATE = """
from sbnn.data.simulate import simulate_tables
simulate_tables('raw', n_cells=120, n_genes=60)
"""
FIT = "fit --expression raw/counts.csv --outputs raw/outputs.csv --labels raw/labels.csv --fast"
# Without these rights, root may not write where it took write permission away either.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
PIP = [sys.executable, "-m", "pip"]


def run(*command, cwd=None, **variables):
    """Run a command without variables of Python or a display; what it prints."""
    hidden = "PYTHON", "DISPLAY"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    ended = subprocess.run(
        command, cwd=cwd, env=environment | variables, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def take_write_permission(folder):
    """Of a folder and of all folders in it."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o555)


@dataclass
class User:
    """Works with the installed package, and may write only in the folder `work`."""

    site: Path
    scripts: Path
    work: Path
    home: Path

    def run(self, script, *arguments):
        powerless = POWERLESS if which("setpriv") and os.getuid() == 0 else []
        return run(
            *powerless,
            self.scripts / script,
            *arguments,
            cwd=self.work,
            HOME=str(self.home),
            JUPYTER_PATH=f"{sys.prefix}/share/jupyter",  # where templates of nbconvert are
            JUPYTER_RUNTIME_DIR=str(self.work / "runtime"),
            IPYTHONDIR=str(self.work / "ipython"),
        )

    def run_code(self, code):
        return self.run("python", "-W", "ignore", "-c", code)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """What the source archive is made of."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, folder)
    copytree(ROOT / "sbnn", folder / "sbnn", ignore=ignore_patterns("__pycache__"))
    (folder / "notebooks").mkdir()
    copy(ROOT / "notebooks" / "08_own_data.ipynb", folder / "notebooks")
    return folder


@pytest.fixture(scope="module")
def wheel(sources):
    """The wheel, built from the source archive."""
    build = "from setuptools.build_meta import *; print(build_sdist('dist'))"
    archive = run(sys.executable, "-c", build, cwd=sources).split()[-1]
    dist = sources / "dist"
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", dist]
    run(*PIP, "wheel", *options, dist / archive)
    [path] = dist.glob(f"sbnn-{sbnn.__version__}-*.whl")
    return path


@pytest.fixture(scope="module")
def user(wheel, tmp_path_factory):
    """Of an environment with the dependencies of this one, and without the checkout."""
    folder = tmp_path_factory.mktemp("user")
    environment = folder / "Büro 2" / "env"
    work = folder / "Zellen äöü"
    home = folder / "home"
    work.mkdir()
    home.mkdir()
    venv.create(environment, symlinks=True)
    scripts = environment / "bin"
    run(*PIP, "--python", scripts / "python", "install", "--no-deps", "--no-index", wheel)
    [site] = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    take_write_permission(environment)
    take_write_permission(home)
    return User(site=site, scripts=scripts, work=work, home=home)


def test_the_wheel_holds_every_file(sources, wheel):
    files = (path.relative_to(sources) for path in (sources / "sbnn").rglob("*.*"))
    names = {path.as_posix() for path in files} - {"sbnn/README.md"}
    assert "sbnn/py.typed" in names
    assert names <= set(zipfile.ZipFile(wheel).namelist())


def test_the_installed_package_is_imported(user):
    path = user.run_code("import sbnn; print(sbnn.__file__)")
    assert Path(path).is_relative_to(user.site)


def test_the_quick_start_prints_what_the_readme_shows(user):
    readme = (ROOT / "README.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S)
    [shown] = re.findall(r"^```text\n(.*?)^```$", readme, re.M | re.S)
    printed = user.run_code(code)
    number = re.compile(r"-?\d\.\d+")
    assert number.sub("", printed) == number.sub("", shown)
    expected = [float(text) for text in number.findall(shown)]
    # another processor rounds sums in another order
    assert [float(text) for text in number.findall(printed)] == pytest.approx(expected, abs=0.02)


def test_tables_are_fitted_and_nothing_is_written_elsewhere(user):
    user.run_code(SIMULATE)
    user.run("sbnn", *FIT.split())
    assert "test R²" in (user.work / "mine" / "report.html").read_text()
    assert not list(user.home.iterdir())
