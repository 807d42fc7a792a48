"""A user's own screen from the command line: from counts and guides to tables and a model."""

import re

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from short_recipes import TINY

from sbnn import cli
from sbnn.data.readers.screens import read_screen
from sbnn.mechanism_shift import SparseShiftVAE, model, own_screen


@pytest.fixture
def tables(few, screen):
    """Counts of genes and of two guides of each perturbation, DataFrames with a row per cell."""
    values, labels, _ = few
    cells = [f"cell_{i}" for i in range(len(labels))]
    labels = pd.Series(labels, cells).str.replace("_", "-")
    number = (np.arange(len(labels)) % 2).astype(str)
    guides = pd.get_dummies(labels + "_" + number, dtype=float) * 5
    counts = pd.DataFrame(values.toarray(), cells, screen.gene_names)
    return counts.astype(float), guides


def write_10x(path, counts):
    """Write counts as 10x does, with a guide after the genes, and a repeated symbol."""
    symbols = [*counts.columns[[0]], *counts.columns[:-1]]
    kinds = ["Gene Expression"] * (len(symbols) - 1) + ["CRISPR Guide Capture"]
    values = counts.to_numpy()
    cells, genes = np.nonzero(values)
    with h5py.File(path, "w") as file:
        file["matrix/features/name"] = symbols
        file["matrix/features/feature_type"] = kinds
        file["matrix/barcodes"] = list(counts.index)
        file["matrix/shape"] = values.shape[::-1]
        file["matrix/data"] = values[cells, genes]
        file["matrix/indices"] = genes
        file["matrix/indptr"] = np.searchsorted(cells, np.arange(len(counts) + 1))


def test_the_command_writes_tables_figures_and_the_model(tables, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(own_screen, "N_GENES", 20)
    monkeypatch.setattr(model, "MANY_DOUBTFUL", -1)  # so that all are warned of
    counts, guides = tables
    guides.iloc[0] = 0
    guides.to_csv(tmp_path / "guides.csv")
    # a perturbed gene is kept
    write_10x(tmp_path / "counts.h5", counts.rename(columns={"gene_5": "perturbation-03"}))
    out = tmp_path / "out"
    command = f"screen {tmp_path / 'counts.h5'} --guides {tmp_path / 'guides.csv'} --out {out}"
    with pytest.warns(UserWarning, match="1 of 580 left out .without a guide.: cell_0"):
        code = cli.main(f"{command} --control control --latents 3 --fast".split())
    assert code == 0
    printed = capsys.readouterr().out
    assert "579 cells x 21 genes, 9 perturbations" in printed
    assert "\nperturbation-03: perturbation-03_0, perturbation-03_1\n" in printed
    assert len([*out.glob("*.png")]) == 2
    written = {file.stem: pd.read_csv(file) for file in out.glob("*.csv")}
    assert written["left_out"].to_numpy().tolist() == [["cell_0", "without a guide"]]
    assert written["cells"]["cell"].tolist() == counts.index[1:].tolist()
    graph = written["shift_graph"]
    effects = written["gene_effects"]
    assert len(graph) == 8 * 3
    assert len(effects) == 8 * 21
    edges = effects[effects["edge"]]
    strongest = edges.loc[edges["direct"].abs().idxmax()]
    page = (out / "screen.html").read_text()
    assert "1 left out (without a guide): cell_0" in page
    assert "may or may not be edges" in page
    lower = f"{strongest['lower']:.3f}".replace("-", "−")
    assert f"<td>{lower}</td>" in page
    n_rows = (graph["probability"] > 0.5).sum() + min(len(edges), own_screen.SHOWN_EDGES)
    assert page.count("<tr") == 2 + n_rows
    assert page.count("data:image/png;base64,") == 2
    verdict = (out / "verdict.txt").read_text()
    n_targets = graph[graph["probability"] > 0.5]["perturbation"].nunique()
    assert verdict.startswith(f"{n_targets} of 8 targets shift a latent, ")
    assert verdict.strip() in page
    saved = SparseShiftVAE.load(out / "model.safetensors")
    pd.testing.assert_frame_equal(saved.gene_effects_, effects, check_exact=False)


@pytest.mark.filterwarnings("ignore:.* of the shifts may or may not be edges")
def test_a_screen_from_a_file_is_studied(tables, tmp_path):
    counts, guides = tables
    guides.iloc[:2] = 0
    with pytest.warns(UserWarning, match="2 of 580"):
        given = read(tables, tmp_path)
    given.write_h5ad(tmp_path / "screen.h5ad")
    again = ad.read_h5ad(tmp_path / "screen.h5ad")
    pd.testing.assert_frame_equal(again.uns["sbnn"]["guides"], given.uns["sbnn"]["guides"])
    own_screen.study(again, tmp_path / "out", 3, TINY)
    left_out = pd.read_csv(tmp_path / "out" / "left_out.csv")
    assert left_out["cell"].tolist() == ["cell_0", "cell_1"]
    page = (tmp_path / "out" / "screen.html").read_text()
    assert "2 left out (without a guide): cell_0, cell_1" in page


@pytest.mark.parametrize("latents", [60, [3, 99]])
def test_more_latents_than_genes_are_refused_before_training(adata, tmp_path, latents):
    with pytest.raises(ValueError, match="latents: expected fewer than the genes, 60, got [69]"):
        own_screen.study(adata, tmp_path / "out", latents)
    assert not (tmp_path / "out").exists()


def read(tables, folder):
    counts, guides = tables
    counts.T.to_csv(folder / "counts.csv")  # genes x cells
    guides.to_csv(folder / "guides.csv")
    return read_screen(folder / "counts.csv", folder / "guides.csv", "control")


def test_cells_without_one_clear_guide_are_left_out_by_name(tables, tmp_path):
    _, guides = tables
    guides.iloc[[3, 7]] = 0
    guides.iloc[5] = 1
    with pytest.warns(UserWarning) as caught:
        adata = read(tables, tmp_path)
    messages = " ".join(str(one.message) for one in caught)
    assert re.search("2 of 580 .* .without a guide.: cell_3, cell_7", messages)
    assert re.search("1 of 580 .* .with less than 80% of the guide counts.*: cell_5", messages)
    assert not {"cell_3", "cell_5", "cell_7"} & set(adata.obs_names)


def test_a_label_can_stand_for_guides_and_a_missing_one_is_named(tables, tmp_path):
    counts, guides = tables
    labels = guides.idxmax(axis=1).str.rpartition("_")[[0]]
    labels.loc["cell_2"] = " "
    with pytest.warns(UserWarning, match="1 of 580 .* .without a label.: cell_2"):
        adata = read((counts, labels), tmp_path)
    assert adata.obs["perturbation"].nunique() == 9


def test_a_single_guide_of_a_target_is_named(tables, tmp_path):
    counts, guides = tables
    with pytest.warns(UserWarning, match="only one guide: perturbation-02$"):
        read((counts, guides.drop(columns="perturbation-02_0")), tmp_path)


def test_wrong_counts_guides_and_controls_are_named(tables, tmp_path):
    counts, guides = tables
    fraction = counts.copy()
    fraction.iloc[9] += 0.5
    negative = guides.copy()
    negative.iloc[4] -= 1
    without = guides.drop(columns=["control_0", "control_1"])
    with pytest.raises(ValueError, match="expression: expected raw counts"):
        read((fraction, guides), tmp_path)
    with pytest.raises(ValueError, match="guides: .*: 4"):
        read((counts, negative), tmp_path)
    with pytest.raises(ValueError, match="control: no cell is 'control'"):
        read((counts, without), tmp_path)
