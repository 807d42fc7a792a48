"""A full disk or a kill while a file is written leaves the old file, whatever writes it."""

import ast
import errno
import os
import stat
from pathlib import Path
from unittest.mock import Mock

import pytest
from material.cells import cells
from material.estimators import network
from matplotlib.figure import Figure

import sbnn
from sbnn import CountNormalizer, explore, files
from sbnn.data.simulate import simulate_patchseq, simulate_tables
from sbnn.evaluation.fits import fit_full
from sbnn.notebook import run_notebook
from sbnn.plotting import save_figure
from sbnn.results import save

PACKAGE = Path(sbnn.__file__).parent
FULL = OSError(errno.ENOSPC, "No space left on device")


def write_record(folder, seed):
    return save(fit_full(network(random_state=seed), cells()), folder / "record.pickle.xz")


def write_model(folder, seed):
    model = network(random_state=seed).fit(cells().to_df(), cells().obsm["outputs"])
    return model.save(folder / "model.safetensors")


def write_model_of_counts(folder, seed):
    counts = cells().to_df("counts")
    normalizer = CountNormalizer().fit(counts)
    model = network(random_state=seed).fit(normalizer.transform(counts), cells().obsm["outputs"])
    return model.save(folder / "counted.safetensors", normalizer)


def write_page(folder, seed):
    path = folder / "explorer.html"
    explore(fit_full(network(random_state=seed), cells()), path=path)
    return path


def write_figure(folder, seed):
    figure = Figure()
    figure.text(0.5, 0.5, str(seed))
    return save_figure(figure, folder / "figure")


def write_table(folder, seed):
    return simulate_tables(folder, n_cells=20, n_new=2, n_genes=30, random_state=seed)["counts"]


def write_annotated(folder, seed):
    adata = simulate_patchseq(n_cells=20, n_genes=9, n_true_genes=3, random_state=seed)
    if not files.read_summary(folder):
        files.write_summary(folder, {})
    with files.replacing(folder / "cells.h5ad", files.LISTED) as temporary:
        adata.write_h5ad(temporary)
    return folder / "cells.h5ad"


def write_notebook(folder, seed):
    import nbformat

    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    metadata = kernel | {"language_info": {"name": "python"}}
    new = nbformat.v4.new_notebook(metadata=metadata)
    nbformat.write(new, folder / "source.ipynb")
    run_notebook(folder / "source.ipynb", folder / "executed.ipynb", {"seed": seed})
    return folder / "executed.ipynb"


WRITERS = [value for name, value in sorted(vars().items()) if name.startswith("write_")]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_only_files_of_the_same_writer_are_replaced(write, tmp_path):
    path = write(tmp_path, seed=1)
    path.chmod(0o600)
    before = path.read_bytes()
    write(tmp_path, seed=2)
    assert path.read_bytes() != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("mine")
    with pytest.raises(ValueError, match=path.name):
        write(tmp_path, seed=3)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(("home", "step"), [(Path, "write_bytes"), (os, "fsync"), (os, "replace")])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full disk", "kill"])
def test_a_failed_write_leaves_the_old_file(home, step, error, tmp_path, monkeypatch):
    """Of anything, as all is written in one place."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    with monkeypatch.context() as patches:
        patches.setattr(home, step, Mock(side_effect=error))
        with pytest.raises(type(error)):
            files.write_atomically(b"new", path, beginning=b"old")
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]
    files.write_atomically(b"new", path, beginning=b"old")
    assert path.read_bytes() == b"new"


def direct_writes(path):
    """Calls in a module that write to a path, by name; `write_atomically` opens its own file."""
    calls = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        texts = [word.value for word in node.args if isinstance(word, ast.Constant)]
        opens_to_write = name == "open" and {"w", "wb", "a", "x"} & {*map(str, texts)}
        if opens_to_write or name in ("write_text", "write_bytes", "write_h5ad", "to_excel"):
            calls.append(name)
    return calls


def test_files_are_written_in_one_place():
    found = {path.name: direct_writes(path) for path in PACKAGE.rglob("*.py")}
    assert {name: calls for name, calls in found.items() if calls} == {
        "files.py": ["write_bytes", "write_text"]
    }
