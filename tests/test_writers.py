"""A full disk or a kill while a file is written leaves the old file, whatever writes it."""

import ast
import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from entries import cells, network, two_folds
from matplotlib.figure import Figure

import sbnn
from sbnn import CountNormalizer, explore, store
from sbnn.data.simulate import simulate_patchseq, simulate_tables
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import fit_full
from sbnn.plotting import save_figure
from sbnn.results import save

PACKAGE = Path(sbnn.__file__).parent
FULL = OSError(errno.ENOSPC, "No space left on device")


def write_record(folder, seed):
    return save(fit_full(network(random_state=seed), cells()), folder / "record.pickle.xz")


def write_result(folder, seed):
    path = folder / "result.pickle.xz"
    options = {"results": path, "overwrite": True, "verbose": False}
    cross_validate(network(random_state=seed), cells(), two_folds(80)[:1], **options)
    return path


def write_model(folder, seed):
    model = network(random_state=seed).fit(cells().to_df(), cells().obsm["outputs"])
    return model.save(folder / "model.safetensors")


def write_model_of_counts(folder, seed):
    counts = cells().to_df("counts")
    normalizer = CountNormalizer().fit(counts)
    model = network(random_state=seed).fit(normalizer.transform(counts), cells().obsm["outputs"])
    return model.save(folder / "counted.safetensors", normalizer)


def write_fit(folder, seed):
    path = folder / "fit.safetensors"
    fit_full(network(random_state=seed), cells(), model_file=path)
    return path


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
    store.write_with(adata.write_h5ad, folder / "cells.h5ad")
    return folder / "cells.h5ad"


WRITERS = [value for name, value in sorted(vars().items()) if name.startswith("write_")]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize(("step", "error"), [("fsync", FULL), ("replace", KeyboardInterrupt())])
def test_a_failed_write_leaves_the_old_file(write, step, error, tmp_path, monkeypatch):
    path = write(tmp_path, seed=1)
    before = path.read_bytes()
    with monkeypatch.context() as patches:
        patches.setattr(os, step, Mock(side_effect=error))
        with pytest.raises(type(error)):
            write(tmp_path, seed=2)
    assert path.read_bytes() == before
    assert list(tmp_path.rglob("*.tmp")) == []
    assert write(tmp_path, seed=2).read_bytes() != before


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
    assert {name: calls for name, calls in found.items() if calls} == {"store.py": ["open"]}
