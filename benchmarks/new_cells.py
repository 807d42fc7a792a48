"""What it costs to place new cells on a map when most genes of the fit were not counted in them.

    python benchmarks/new_cells.py

The default network is fitted to a random half of the cells of citeseq_cd8 and places the other
half: with all genes, with the kept ones and some of the others, and with the kept ones alone;
counts are normalised by the share that the present genes have in the training cells, or (not
corrected) as if they were all. Moves are root mean squared distances on the map, in SD of it.
Prints Markdown.
"""

import copy

import numpy as np
import pandas as pd
from pages import to_markdown
from sklearn.pipeline import make_pipeline

from sbnn import CountNormalizer, DistilledBottleneckRegressor, load_dataset
from sbnn.metrics import pooled_r2

SHARES = {"half": 0.5, "a fifth": 0.2}
N_DRAWS = 5  # of the genes that are there


def main():
    data = load_dataset("citeseq_cd8", verbose=False)
    order = np.random.default_rng(0).permutation(data.n_obs)
    half = data.n_obs // 2
    train, new = data[np.sort(order[:half])], data[np.sort(order[half:])]
    varies = np.ptp(train.X, axis=0) > 0
    train, new = train[:, varies].copy(), new[:, varies].copy()
    network = DistilledBottleneckRegressor(random_state=0)
    model = make_pipeline(CountNormalizer(), network).fit(train, train.obsm["outputs"])
    counts, measured = new.to_df("counts"), new.obsm["outputs"].to_numpy()
    kept = list(network.get_feature_names_out())
    others = np.setdiff1d(new.var_names, kept)
    everywhere = model.transform(counts)
    size = np.sqrt(everywhere.var(0).sum())

    def judged(fitted, genes, **totals):
        cells = fitted[0].transform(counts[genes], **totals)
        moved = np.sqrt(np.square(network.transform(cells) - everywhere).sum(1).mean()) / size
        scaled = [
            (Y - network.y_mean_) / network.y_scale_ for Y in (measured, network.predict(cells))
        ]
        return pooled_r2(*scaled, 0.0), moved

    rows = {f"all {new.n_vars}": [*judged(model, list(new.var_names))] * 2}
    for name, share in SHARES.items():
        draws = [kept + list(drawn(others, share, seed)) for seed in range(N_DRAWS)]
        rows[f"{len(kept)} kept, {name} of the others"] = mean(judged, model, draws)
    rows[f"{len(kept)} kept"] = mean(judged, model, [kept])
    totals = counts.sum(axis=1).to_numpy()
    rows[f"{len(kept)} kept, with `totals`"] = [
        *judged(model, kept, totals=totals),
        np.nan,
        np.nan,
    ]
    columns = ["R2", "move on the map, SD", "R2, not corrected", "move, not corrected"]
    print(
        to_markdown(
            pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis(
                "genes that are there"
            )
        )
    )
    share = model[0].count_share_[np.isin(train.var_names, kept)].sum()
    print(f"\n{half} cells to fit, {new.n_obs} new; the kept genes have {share:.0%} of the counts")


def mean(judged, model, draws):
    """Means over draws of the genes: corrected, then not."""
    found = [[*judged(model, genes), *judged(as_if_all(model, genes), genes)] for genes in draws]
    return np.mean(found, axis=0)


def as_if_all(model, genes):
    """The model with the present genes as all of the counts."""
    normalizer = copy.copy(model[0])
    there = np.isin(normalizer.feature_names_in_, genes)
    shares = np.where(there, normalizer.count_share_, 0)
    normalizer.count_share_ = shares / shares.sum()
    return make_pipeline(normalizer, model[-1])


def drawn(genes, share, seed):
    """Some of the genes."""
    return np.random.default_rng(seed).choice(genes, round(share * len(genes)), replace=False)


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")  # genes that are missing, which is the point
    main()
