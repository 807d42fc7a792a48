"""A user's own screen from the command line: counts and guides in, tables, figures and a model out."""

import h5py
import joblib
import numpy as np
import pandas as pd
import pytest

from sbnn import cli
from sbnn.data.readers.screens import read_screen
from sbnn.mechanism_shift import own_screen


@pytest.fixture
def tables(screen, tmp_path):
    """Counts of genes and of two guides of each perturbation: DataFrames of cells, and a file for the latter."""
    guides = [f"{name.replace('_', '-')}_{i % 2}" for i, name in enumerate(screen.perturbation)]
    guides = pd.get_dummies(pd.Series(guides, screen.cell_names), dtype=float) * 5
    return (
        pd.DataFrame(screen.counts.toarray(), screen.cell_names, screen.gene_names),
        guides,
        tmp_path / "guides.csv",
    )


def test_the_command_writes_tables_figures_and_the_model(tables, capsys, monkeypatch):
    monkeypatch.setattr(own_screen, "N_GENES", 20)
    counts, guides, path = tables
    guides.iloc[0] = 0
    counts = counts.rename(columns={"gene_5": "perturbation-03"})  # a perturbed gene is kept
    guides.to_csv(path)
    with h5py.File(path.with_name("counts.h5"), "w") as file:  # as 10x writes it
        names = [*counts.columns[[0]], *counts.columns[:-1]]  # symbols may repeat
        file["matrix/features/name"], file["matrix/barcodes"] = names, list(counts.index)
        file["matrix/features/feature_type"] = ["Gene Expression"] * 59 + ["CRISPR Guide Capture"]
        (rows, file["matrix/indices"]), file["matrix/shape"] = (
            np.nonzero(counts.to_numpy()),
            counts.shape[::-1],
        )
        file["matrix/data"] = counts.to_numpy()[np.nonzero(counts.to_numpy())]
        file["matrix/indptr"] = np.searchsorted(rows, np.arange(len(counts) + 1))
    command, out = (
        ["screen", str(path.with_name("counts.h5")), "--guides", str(path)],
        path.with_name("out"),
    )
    with pytest.warns(UserWarning, match="1 of 2500 left out .without a guide.: cell_0"):
        assert (
            cli.main(
                [*command, "--control", "control", "--out", str(out), "--latents", "3", "--fast"]
            )
            == 0
        )
    assert (
        "2499 cells x 21 genes, 41 perturbations" in capsys.readouterr().out
        and len([*out.glob("*.png")]) == 2
    )
    written = {file.stem: pd.read_csv(file) for file in out.glob("*.csv")}
    assert written["left_out"].to_numpy().tolist() == [["cell_0", "without a guide"]]
    assert written["cells"]["cell"].tolist() == counts.index[1:].tolist()
    graph, effects = written["shift_graph"], written["gene_effects"]
    assert len(graph) == 40 * 3 and len(effects) == 40 * 21
    first = effects.loc[effects["direct"].abs().where(effects["edge"]).idxmax()]
    page = (out / "screen.html").read_text()
    words = (
        "1 left out (without a guide): cell_0",
        "may or may not be edges",
        f"<td>{first['lower']:.3f}</td>",
    )
    assert all(part in page for part in words)
    assert page.count("<tr") == 2 + (graph["probability"] > 0.5).sum() + min(
        effects["edge"].sum(), 50
    )
    assert page.count("data:image/png;base64,") == 2
    assert joblib.load(out / "model.joblib").transform(np.ones((5, 21))).shape == (5, 3)


BAD = {
    "2 of 2500 .* .without a guide.: cell_3, cell_7": lambda c, g: g.update(g.iloc[[3, 7]] * 0),
    "1 of 2500 .* .with two guides of equal count.: cell_5": lambda c, g: g.update(
        g.iloc[[5]] * 0 + 1
    ),
    "1 of 2500 .* .without a label.: cell_2": lambda c, g: "labels",
    "only one guide: perturbation-02 ": lambda c, g: g.drop(
        columns="perturbation-02_0", inplace=True
    ),
    "guides: .* first -1.*: 4": lambda c, g: g.update(g.iloc[[4]] - 1),
    "counts: .* the first .*: 9": lambda c, g: c.update(c.iloc[[9]] + 0.5),
    "control: no cell is 'control'": lambda c, g: g.drop(
        columns=["control_0", "control_1"], inplace=True
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_screens_are_explained_in_a_sentence(tables, message):
    counts, guides, path = tables[0].astype(float), *tables[1:]
    if BAD[message](counts, guides):
        guides = guides.idxmax(axis=1).str.rpartition("_")[[0]]
        guides.loc["cell_2"] = " "
    guides.to_csv(path)
    counts.T.to_csv(path.with_name("counts.csv"))  # genes x cells
    with (
        pytest.raises(ValueError, match=message)
        if message[0] in "cg"
        else pytest.warns(match=message)
    ):
        read_screen(path.with_name("counts.csv"), path, "control")
