import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn import load_dataset
from sbnn.data.readers.papalexi import read_papalexi

COUNTS = np.array([[1, 0], [0, 2], [3, 0], [0, 4]])
GENES = ["IRF1", "CTD-2196E14.4"]


@pytest.fixture
def paths(tmp_path):
    """The three files in their layout, of four cells."""
    cells = pd.DataFrame(
        {
            "guide": ["STAT2g2", "NTg1", "STAT2g1", "NTg3"],
            "target": ["STAT2", "non-targeting", "STAT2", "non-targeting"],
            "guide_umi": [433.0, 66.0, 5.0, 7.0],
            "guide_frac": [0.93, 0.84, 0.6, 0.99],
            "confident": [True, True, False, True],
            "bio_rep": ["rep_1", "rep_2", "rep_1", "rep_3"],
        }
    )
    paths = [tmp_path / name for name in ("response_cells_x_genes.npz", "genes.txt", "cells.csv.gz")]
    sparse.save_npz(paths[0], sparse.csr_matrix(COUNTS.astype(float)))
    paths[1].write_text("\n".join(GENES) + "\n")
    cells.to_csv(paths[2], index=False)
    return paths


def test_confident_cells_are_read(paths):
    screen = read_papalexi(*paths)
    np.testing.assert_array_equal(screen.counts.toarray(), COUNTS[[0, 1, 3]])
    assert screen.perturbation.tolist() == ["STAT2", "non-targeting", "non-targeting"]
    assert screen.control == "non-targeting" and screen.gene_names.tolist() == GENES
    assert screen.cell_names.tolist() == ["cell_0", "cell_1", "cell_3"]
    assert screen.labels["guide"].tolist() == ["STAT2g2", "NTg1", "NTg3"]
    assert screen.labels.loc["cell_3", "bio_rep"] == "rep_3"
    assert screen.dropped == {"guide without 80 % of the guide counts": 1}


def test_all_cells_have_the_same_names(paths):
    screen = read_papalexi(*paths, confident_only=False)
    np.testing.assert_array_equal(screen.counts.toarray(), COUNTS)
    assert screen.cell_names.tolist() == [f"cell_{i}" for i in range(4)] and screen.dropped == {}
    files = {"genes.txt": "12"}
    known = [read_papalexi(*paths, confident_only=only, files=files) for only in (True, False)]
    assert known[0].sha256 != known[1].sha256 and known[0].files == files
    assert known[0].sha256 != read_papalexi(*paths, files={"genes.txt": "13"}).sha256


def test_files_that_do_not_go_together_are_refused(paths):
    counts_path, genes_path, cells_path = paths
    genes_path.write_text("IRF1\n")
    with pytest.raises(ValueError, match=r"has shape \(4, 2\), expected 4 cells as .* and 1 genes as .*genes.txt has"):
        read_papalexi(*paths)
    genes_path.write_text("\n".join(GENES))
    cells = pd.read_csv(cells_path)
    cells.iloc[1:].to_csv(cells_path, index=False)
    with pytest.raises(ValueError, match="expected 3 cells as .*cells.csv.gz has rows"):
        read_papalexi(*paths)
    cells.assign(confident=["yes", "yes", "no", "yes"]).to_csv(cells_path, index=False)
    with pytest.raises(ValueError, match="column 'confident' must be True or False, got object"):
        read_papalexi(*paths)
    cells.drop(columns=["target", "bio_rep"]).to_csv(cells_path, index=False)
    with pytest.raises(ValueError, match=r"lacks the column\(s\) \['target', 'bio_rep'\]; it has \['guide', "):
        read_papalexi(*paths)
    cells.to_csv(cells_path, index=False)
    sparse.save_npz(counts_path, sparse.csr_matrix(COUNTS / 2))
    with pytest.raises(ValueError, match="fractional values"):
        read_papalexi(*paths)


def test_the_published_screen():
    try:
        screen = load_dataset("papalexi", download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip("the data of papalexi are not on this machine")
    assert screen.counts.shape == (16093, 299) and screen.dropped == {"guide without 80 % of the guide counts": 4636}
    sizes = pd.Series(screen.perturbation).value_counts()
    assert sizes["non-targeting"] == 1912 and sizes["IFNGR1"] == 1056 and sizes["SPI1"] == 33
    assert len(screen.targets) == 25
    guides = screen.labels["guide"].str.replace(r"g\d+$", "", regex=True)
    assert (guides.replace("NT", "non-targeting") == screen.perturbation).all()
    assert screen.labels["bio_rep"].value_counts().to_dict() == {"rep_1": 6099, "rep_2": 5270, "rep_3": 4724}
    assert (screen.labels["guide_frac"] > 0.8).all()
    everyone = load_dataset("papalexi", download=False, verbose=False, confident_only=False)
    assert everyone.n_cells == 20729 and everyone.sha256 != screen.sha256
    part = everyone.subset(screen.cell_names)
    assert (part.counts != screen.counts).nnz == 0 and part.perturbation.tolist() == screen.perturbation.tolist()
    # A knocked-out receptor of interferon gamma silences what interferon induces.
    expression = pd.DataFrame(screen.counts.toarray(), columns=screen.gene_names).groupby(screen.perturbation).mean()
    assert (expression.loc["IFNGR1"] < expression.loc["non-targeting"] / 2).sum() > 5
