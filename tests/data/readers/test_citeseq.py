import zipfile

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import select_genes
from sbnn.data.readers.citeseq import pair_counts, read_cord_blood

HUMAN = [f"HUMAN_G{i}" for i in range(30)]
PROTEINS = ["CD3", "CD4", "CD19"]


@pytest.fixture
def sample():
    """RNA (with spike-ins and mouse genes), proteins and clustering of 60 cells."""
    rng = np.random.default_rng(0)
    cells = [f"ACGT{i:02d}" for i in range(60)]
    genes = ["ERCC_ERCC-00104", *HUMAN, "MOUSE_Gapdh"]
    # genes that many cells lack although others hold much of them are those that are selected
    rna = pd.DataFrame(
        rng.negative_binomial(0.5, 0.05, (len(genes), 60)), index=genes, columns=cells
    )
    rna.iloc[-1] = 1000  # a mouse gene that would rule the library size
    proteins = pd.DataFrame(rng.poisson(40, (3, 60)), index=PROTEINS, columns=cells)
    clustering = pd.DataFrame(
        {"cell_barcode": cells[::-1], "tsne1": 0.5, "tsne2": 0.25, "cluster": np.arange(60) % 4}
    )
    clustering["type"] = clustering["cluster"].map({0: "B", 1: "NK", 2: "Ery"})
    return rna, proteins, clustering


def test_cord_blood_is_read_from_its_layout(tmp_path, sample):
    rna, proteins, clustering = sample
    paths = [tmp_path / name for name in ("rna.zip", "adt.csv", "clustering.csv")]
    with zipfile.ZipFile(paths[0], "w") as archive:
        archive.writestr("GSE100866_CBMC_8K_13AB_10X-RNA_umi.csv", rna.to_csv())
        archive.writestr("__MACOSX/._GSE100866_CBMC_8K_13AB_10X-RNA_umi.csv", b"\0\5")
    proteins.to_csv(paths[1])
    clustering.to_csv(paths[2], index=False, quoting=2, na_rep="NA")
    data = as_paired(read_cord_blood(*paths, n_genes=12))
    kept = clustering[clustering["type"].isin(["B", "NK"])]
    # in the order of the clustering
    assert data.cell_names.tolist() == kept["cell_barcode"].tolist()
    assert data.labels["type"].tolist() == data.labels["family"].tolist() == kept["type"].tolist()
    assert data.labels["cluster"].tolist() == kept["cluster"].tolist()
    np.testing.assert_array_equal(data.Y, proteins[data.cell_names].T)  # as they are
    assert data.feature_names.tolist() == PROTEINS
    counts = rna.loc[HUMAN, data.cell_names].T
    chosen = counts.columns[select_genes(counts, 12).selected]
    assert data.gene_names.tolist() == [gene.removeprefix("HUMAN_") for gene in chosen]
    np.testing.assert_array_equal(data.counts, counts[chosen])
    library = data.counts.sum(1, keepdims=True)
    np.testing.assert_allclose(
        data.X, np.log2(data.counts / library * np.median(library) + 1), rtol=1e-5
    )

    files = {"rna.zip": "ab" * 32}
    options = [
        {"log_proteins": False},
        {"log_proteins": True},
        {"log_proteins": True, "n_genes": 11},
    ]
    read = [
        as_paired(read_cord_blood(*paths, **{"n_genes": 12, "files": files} | o)) for o in options
    ]
    np.testing.assert_allclose(read[1].Y, np.log2(1 + read[0].Y), rtol=1e-5)
    assert len({data.sha256 for data in read}) == 3
    assert read[0].about["files"] == files


def test_all_genes_are_those_with_counts(rng):
    counts = rng.poisson(2.0, (12, 5)) + np.eye(12, 5, dtype=int)
    counts[:, 3] = 0
    proteins = pd.DataFrame(
        rng.poisson(9.0, (12, 2)), [f"cell{i}" for i in range(12)], ["CD3", "CD8"]
    )
    about = {"log_proteins": True, "name": "tiny", "source": "a test", "files": {}}
    data = as_paired(
        pair_counts(
            sparse.csr_array(counts), pd.Index(list("abcde")), proteins, n_genes=None, **about
        )
    )
    assert data.gene_names.tolist() == ["a", "b", "c", "e"]
    np.testing.assert_array_equal(data.counts, counts[:, [0, 1, 2, 4]])
