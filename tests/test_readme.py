"""README and the pages it leads to are short and true: examples run, tables are those of the committed results."""

import re
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from sbnn import DistilledSettings, load_dataset, simulate_perturbations
from sbnn.dynamics import report as dynamics
from sbnn.dynamics import study as dynamics_study
from sbnn.ephys_types import report as types
from sbnn.mechanism_shift import report as screens
from sbnn.study import report
from sbnn.tables import to_markdown

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.fixture
def tables(data, tmp_path, monkeypatch):
    """The user's files, in the current folder."""
    pd.DataFrame(data.counts, data.cell_names, data.gene_names).to_csv(tmp_path / "counts.csv")
    pd.DataFrame(data.Y, data.cell_names, data.feature_names).to_csv(tmp_path / "ephys.csv")
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    monkeypatch.chdir(tmp_path)


def test_every_example_runs(tables):
    assert len(BLOCKS) == 2
    made = {}
    for block in BLOCKS:
        # Only the time that a network trains is another one.
        block = block.replace("SparseBottleneckRegressor(", "SparseBottleneckRegressor(distillation=MOMENT, ")
        names = {"MOMENT": DistilledSettings(steps_of_teachers=5, steps_of_student=5)}
        with joblib.parallel_config("sequential"):  # worker processes take longer to start than these fits
            exec(compile(block, "README.md", "exec"), names)
        made |= names
    assert made["model"].get_feature_names_out().shape == (25,)
    assert np.isfinite(made["scores"].test_r2).all()
    assert Path("scores.pickle").exists()


def test_it_is_short_and_says_how_to_install():
    assert len(README.splitlines()) <= 180
    assert "\npip install . " in README


def test_the_table_is_that_of_the_committed_results():
    table = report.to_markdown(report.overview_table(ROOT / "saved_models"))
    assert table.strip() in README


def test_numbers_beside_the_table_are_those_of_the_committed_results():
    scala, proteins = (report.all_tables(ROOT / "saved_models" / name) for name in ("scala", "citeseq_cd8"))
    _, mice, dates = scala["Test R2 on cells held apart"].to_numpy().tolist()
    [numbers] = [table for title, table in proteins.items() if title.startswith("Test R2 by the number of genes")]
    text = " ".join(README.split())
    assert f"it is {mice[0]} (ridge {mice[2].split()[0]})" in text
    assert f"dates {dates[0]} (ridge {dates[2]})" in text
    enough = numbers.index[numbers.suffices == "yes"][0]
    assert f"needs {enough} genes: {numbers.test_r2[enough]:.3f}" in text


def test_the_table_of_types_is_that_of_the_committed_results():
    if not list((ROOT / "saved_models").glob("*/types_lightgbm.pickle")):
        pytest.skip("no results of electrophysiology to types are committed")
    assert to_markdown(types.overview_table(ROOT / "saved_models")).strip() in README


def test_the_table_of_screens_is_that_of_the_committed_results():
    assert to_markdown(screens.overview_table(ROOT / "saved_models")).strip() in README


def test_the_table_of_dynamics_is_that_of_the_committed_results():
    records = dynamics_study.load_records(ROOT / "saved_models" / "grn_350")
    assert to_markdown(dynamics.overview_table(records)).strip() in README


def test_tables_of_the_page_of_dynamics_are_those_of_the_committed_results():
    page = (ROOT / "docs" / "dynamics.md").read_text()
    folders = ("grn_350", "simulated_grn", "yeast_pramila", "breast_desmedt")
    records = {name: dynamics_study.load_records(ROOT / "saved_models" / name) for name in folders}
    tables = [dynamics.methods_table(records["grn_350"], condition) for condition in ("noise_5", "noise_10")]
    tables += [dynamics.methods_table(records[name], "real") for name in ("yeast_pramila", "breast_desmedt")]
    tables += [dynamics.sparsities_table(records["grn_350"]), dynamics.sizes_table(records["simulated_grn"])]
    assert all(to_markdown(table).strip() in page for table in tables)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_are_there(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text())
    assert len(targets) >= (4 if page.name == "README.md" else 1)
    for target, heading in targets:
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)", file.read_text(), re.M)
            assert heading in {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings}, heading


def test_every_page_of_the_docs_is_linked():
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name}" in README


def test_the_example_of_types_runs(tmp_path, monkeypatch):
    cells = load_dataset("simulated_ephys", verbose=False)
    cells.table.to_csv(tmp_path / "features.csv")
    cells.labels[["type"]].to_csv(tmp_path / "types.csv")
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ephys_types.md").read_text(), re.S)
    made = {}
    exec(compile(block.replace("random_state=0", "n_steps=2, random_state=0"), "ephys_types.md", "exec"), made)
    assert made["model"].predict(made["data"].X).shape == (cells.n_cells,)


def test_the_example_of_screens_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = {"adata": simulate_perturbations(20, 10, 3, 40, n_control=30).to_anndata("gene")}
    made["adata"].obs["gene"] = made["adata"].obs["gene"].cat.rename_categories({"control": "non-targeting"})
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "mechanism_shift.md").read_text(), re.S)
    quick = block.replace(
        "n_latent=10", "n_latent=3, recipe=Recipe(hidden=8, epochs=2, least_updates=0, updates_per_pair=0)"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile("from sbnn.mechanism_shift import Recipe\n" + quick, "mechanism_shift.md", "exec"), made)
    assert made["latents"].shape == (230, 3)


def test_the_example_of_dynamics_runs():
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dynamics.md").read_text(), re.S)
    quick = block.replace("random(350", "random(30").replace("simulate(150", "simulate(20")
    made = {}
    exec(compile(quick.replace("sparsity=0.955", "sparsity=0.7"), "dynamics.md", "exec"), made)
    assert made["model"].edge_scores_.shape == (30, 30) and made["dash"].sparsity_ > 0.69
