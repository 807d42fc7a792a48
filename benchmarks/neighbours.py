"""How well a two-dimensional map tells the families and types of cells that it has not seen.

    python benchmarks/neighbours.py

Ten folds of the paper, mouse M1, z-scored over all cells: a model is fitted to the training cells, and the family
(type) of every test cell is that of most of its 15 nearest training cells in the latent space. Prints Markdown.
"""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

from sbnn import ReducedRankRegression, SparseBottleneckRegressor, load_dataset, paper_folds
from sbnn.experiments import SEED
from sbnn.report import to_markdown
from sbnn.training import reproducible

NEIGHBOURS = 15
NETWORK = {"standardize": False, "device": "cpu", "random_state": SEED}
MODELS = {
    "sBNN distilled, d=2, 25 genes": SparseBottleneckRegressor(protocol="distilled", **NETWORK),
    "sBNN paper, d=2, 25 genes": SparseBottleneckRegressor(protocol="paper", **NETWORK),
    # Of the penalties 0.3, 1, 2.75 and 10, the one that is best on these very folds.
    "reduced-rank regression, rank 2, all genes": ReducedRankRegression(rank=2, alpha=2.75),
    "PCA, 2 components, all genes": PCA(2, random_state=SEED),
}


def accuracies(model, X, Y, labels, folds):
    """Fraction of the test cells of every fold with the right label, one column per kind of label."""
    rows = []
    for train, test in tqdm(folds, leave=False):
        with reproducible():
            latent = model.fit(X[train] - X[train].mean(0), Y[train] - Y[train].mean(0)).transform
            maps = [latent(X[cells] - X[train].mean(0)) for cells in (train, test)]
        votes = KNeighborsClassifier(NEIGHBOURS)
        rows.append({k: votes.fit(maps[0], labels[k][train]).score(maps[1], labels[k][test]) for k in labels})
    return pd.DataFrame(rows)


def main():
    data = load_dataset("scala")
    X, Y = (StandardScaler().fit_transform(a.astype(np.float64)).astype(np.float32) for a in (data.X, data.Y))
    labels = {kind: data.labels[kind].to_numpy() for kind in ("family", "type")}
    folds = paper_folds(data.n_cells)
    table = {name: accuracies(model, X, Y, labels, folds).mean() for name, model in MODELS.items()}
    print(to_markdown(pd.DataFrame(table).T.rename_axis("map")))


if __name__ == "__main__":
    main()
