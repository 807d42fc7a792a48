"""The distilled protocol far from mouse M1: few cells, many genes, one or many outputs, proteins.

    python benchmarks/robustness.py

Three folds each, scaled inside the fold, 25 genes and two units; beside it ridge on the same genes and on all genes.
The CITE-seq data (GEO GSE100866, CD8 sample, two gzipped count tables) are used where a folder ``citeseq`` in one of
the places that `sbnn.registry` searches holds them. Prints Markdown.
"""

import numpy as np
import pandas as pd

from sbnn import LeaveOneOutRidge, PairedData, SparseBottleneckRegressor, cross_validate, paper_folds, simulate_patchseq
from sbnn.preprocessing import log2p1, normalize_library_size, select_genes
from sbnn.registry import search_places
from sbnn.report import to_markdown

SHAPES = (
    (80, 24_000, 80, 25),
    (80, 500, 16, 25),
    (200, 1000, 1, 25),
    (500, 300, 5, 10),
)  # cells, genes, outputs, true genes
MODEL = SparseBottleneckRegressor(protocol="distilled", standardize=False, device="cpu", random_state=0)


def citeseq_cd8():
    """CD8 sample: 1000 selected genes and the logarithms of 5 proteins; None where the files are not found."""
    for place in filter(None, search_places().values()):
        rna, proteins = (place / "citeseq" / f"GSE100866_CD8_merged-{kind}_umi.csv.gz" for kind in ("RNA", "ADT"))
        if rna.is_file() and proteins.is_file():
            rna, proteins = (pd.read_csv(path, index_col=0).T for path in (rna, proteins))
            counts = rna.loc[:, select_genes(rna, 1000).selected]
            counts = counts[counts.sum(axis=1) > 0]
            outputs = np.log2(1 + proteins.loc[counts.index].astype(float))
            return PairedData(log2p1(normalize_library_size(counts)), outputs, counts=counts)
    return None


def compare(data):
    """Mean test R2 of the network, of ridge on its genes and of ridge on all genes, and CPU seconds of a fit."""
    folds = paper_folds(data.n_cells, 10 if data.n_cells > 1000 else 5)[:3]
    network = cross_validate(MODEL, data, folds, verbose=False)
    same = []
    for f, fold in enumerate(folds):
        chosen = data.subset(genes=network.selected[f, 0])
        same.append(cross_validate(LeaveOneOutRidge(), chosen, [fold], verbose=False).test_r2)
    every = cross_validate(LeaveOneOutRidge(), data, folds, verbose=False)
    scores = {"distilled": network, "ridge, same genes": None, "ridge, all genes": every}
    row = {name: np.mean(same) if r is None else r.test_r2.mean() for name, r in scores.items()}
    return row | {"CPU seconds": network.seconds.mean()}


def main():
    rows = {}
    cd8 = citeseq_cd8()
    if cd8 is not None:
        rows[f"CITE-seq CD8, {cd8.n_cells} cells, 1000 genes -> log of 5 proteins"] = compare(cd8)
    for n, p, q, true in SHAPES:
        data = simulate_patchseq(n_cells=n, n_genes=p, n_outputs=q, n_true_genes=true, random_state=3)
        rows[f"simulated, {n} cells, {p} genes -> {q} output(s)"] = compare(data)
    print(to_markdown(pd.DataFrame(rows).T.rename_axis("data")))


if __name__ == "__main__":
    main()
