"""Notebooks are executed by this Python, wherever they are."""

import sys

import pytest

from sbnn.notebook import run_notebook


@pytest.fixture
def write_notebook(tmp_path):
    """Write a notebook with lines of code, one in each cell, and return its path."""
    pytest.importorskip("papermill")
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}

    def write(name, *lines):
        notebook = new_notebook(cells=[new_code_cell(line) for line in lines], metadata=kernel)
        nbformat.write(notebook, tmp_path / name)
        return tmp_path / name

    return write


def test_a_notebook_runs_in_this_python(write_notebook, tmp_path, monkeypatch):
    other = tmp_path / "kernels" / "python3" / "kernel.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"argv": ["no-python"], "display_name": "Python 3", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    source = write_notebook("name.ipynb", "import sys; print(sys.executable)")
    target = tmp_path / "run.ipynb"
    run_notebook(source, target, {})
    assert sys.executable in target.read_text(encoding="utf-8")


def test_files_beside_a_user_are_not_imported(write_notebook, tmp_path, monkeypatch):
    (tmp_path / "safetensors.py").write_text("raise SystemError")
    monkeypatch.chdir(tmp_path)
    source = write_notebook("name.ipynb", "import safetensors")
    run_notebook(source, tmp_path / "run.ipynb", {})


def test_a_killed_kernel_is_one_sentence(write_notebook, tmp_path):
    source = write_notebook("kill.ipynb", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ValueError, match=r"kill\.ipynb: Kernel died; the memory may have run out"):
        run_notebook(source, tmp_path / "run.ipynb", {})


def test_folders_may_have_braces(write_notebook, tmp_path):
    source = write_notebook("empty{0}.ipynb")
    target = tmp_path / "run{1}" / "a{b}.ipynb"
    run_notebook(source, target, {})
    assert target.exists()
