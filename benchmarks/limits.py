"""How well 25, 50 or 100 genes can predict at all: the network beside larger models, and beside
genes that leak.

    python benchmarks/limits.py [--only NAME ...] [--folds N] [--jobs N]    # resumes after a kill
    python benchmarks/limits.py --report-only    # the committed numbers, limits.csv, and
    figures/benchmarks/limits

Paper folds, scaled inside the training cells. The genes of the default network are given to ridge,
a Gaussian process, gradient boosting and the network's own teacher (trees and wide networks, no
bottleneck), which says what the bottleneck costs. Genes chosen on all cells, test cells included,
and genes chosen one by one for the least error of a linear model on the very test cells are no
predictions: they bound what a better choice of genes could give. Writes the rows of a data set to
limits.csv when it is done, prints Markdown, and draws the figure.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from pages import to_markdown
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor

from sbnn import DistilledBottleneckRegressor, LeaveOneOutRidge, load_dataset, paper_folds
from sbnn.data.paired import as_paired
from sbnn.evaluation.verdict import corrected_difference
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import few_cells
from sbnn.models.bottleneck.protocols.distilled import HIDDEN_LAYERS, Teacher
from sbnn.models.bottleneck.protocols.gaussian_process import RelevanceProcess
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.bottleneck.training import Run
from sbnn.plotting import save_figure
from sbnn.plotting.colors import MODELS as KINDS
from sbnn.plotting.common import finish, headline, new_panels, styled

DATASETS = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein")
NUMBERS = (25, 50, 100)
RIDGE, NETWORK = "ridge, all genes", "network, d=2"
TEACHER = "teacher, no bottleneck"
LEAK, ORACLE = (
    f"{NETWORK}, genes chosen on all cells (leaks)",
    f"{NETWORK}, genes chosen on the test cells (leaks)",
)
LOOKS = {
    NETWORK: (KINDS["distilled"], "o-"),
    TEACHER: (KINDS["teacher"], "s-"),
    "Gaussian process": (KINDS["Gaussian process"], "^-"),
    "gradient boosting": (KINDS["trees"], "D-"),
    "ridge on the genes": (KINDS["linear"], "v-"),
    LEAK: (KINDS["distilled"], "P--"),
    ORACLE: (KINDS["distilled"], "X:"),
}
TEST_SHARE = 1 / 9  # test cells of a fold for each training cell
ROOT = Path(__file__).resolve().parents[1]
TABLE, FIGURE = ROOT / "benchmarks" / "limits.csv", ROOT / "figures" / "benchmarks" / "limits"


def network(n_genes=None, d=2):
    return DistilledBottleneckRegressor(
        n_components=d, n_genes=n_genes, standardize=False, device="cpu", random_state=0
    )


def fold_arrays(data, train, test):
    """Training and test cells z-scored by the training cells, genes clipped to their range."""
    X, Y = data.X.astype(np.float64), data.Y
    scale = X[train].std(0)
    X = (X - X[train].mean(0)) / np.where(scale > 0, scale, 1)
    X = np.clip(X, X[train].min(0), X[train].max(0)).astype(np.float32)
    Y = ((Y - Y[train].mean(0)) / Y[train].std(0)).astype(np.float32)
    return X[train], Y[train], X[test], Y[test]


def oracle(X, Y, X_test, Y_test, n_genes):
    """Genes, each the one that lowers the test error of least squares on the training cells most;
    uses the test cells.

    Orthogonalises the genes on the training cells, and combines those of the test cells in the same
    way.
    """
    X, X_test, left, left_test = (
        X.astype(float),
        X_test.astype(float),
        Y.astype(float),
        Y_test.astype(float),
    )
    usable, penalty, chosen = np.square(X).sum(0) > 0, 0.03 * len(X), []
    for _ in range(n_genes):
        length = np.square(X).sum(0) + penalty
        slopes = X.T @ left / length[:, None]
        error = (np.square(slopes).sum(1) * np.square(X_test).sum(0)) - 2 * (
            slopes * (X_test.T @ left_test)
        ).sum(1)
        error[~usable] = np.inf
        gene = int(error.argmin())
        chosen.append(gene)
        usable[gene] = False
        left, left_test = (
            left - np.outer(X[:, gene], slopes[gene]),
            left_test - np.outer(X_test[:, gene], slopes[gene]),
        )
        weights = X[:, gene] @ X / length[gene]
        direction, direction_test = X[:, gene].copy(), X_test[:, gene].copy()
        X, X_test = X - np.outer(direction, weights), X_test - np.outer(direction_test, weights)
    return np.sort(chosen)


def larger_models(X, Y, X_test):
    """Predictions of models without a bottleneck, by name."""
    x, y, new = map(torch.as_tensor, (X, Y, X_test))
    run = Run(DistilledSettings(), np.random.RandomState(0), torch.Generator().manual_seed(0))
    wide = partial(
        BottleneckNetwork,
        X.shape[1],
        Y.shape[1],
        16,
        HIDDEN_LAYERS,
        "silu",
        generator=run.generator,
    )
    boosted = HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=150, max_leaf_nodes=8, min_samples_leaf=10
    )
    yield "ridge on the genes", LeaveOneOutRidge().fit(X, Y).predict(X_test)
    yield "Gaussian process", RelevanceProcess(x, y, run.settings).fit(40).predict(new).numpy()
    yield "gradient boosting", MultiOutputRegressor(boosted).fit(X, Y).predict(X_test)
    if len(X) <= run.settings.few_cells:
        teacher = few_cells.Teacher(wide, x, y, run, run.settings.n_teachers)
    else:
        teacher = Teacher(wide, x, y, run)
    yield TEACHER, teacher.predict(new).numpy()


def fold_scores(data, train, test):
    """Test R2 of every model with every number of genes, in one fold."""
    torch.set_num_threads(1)
    X, Y, X_test, Y_test = fold_arrays(data, train, test)
    rows = []

    def note(model, genes, predicted):
        r2 = 1 - np.square(Y_test - predicted).sum() / np.square(Y_test).sum()
        rows.append((model, str(genes), float(r2)))

    note(RIDGE, "all", LeaveOneOutRidge().fit(X, Y).predict(X_test))
    everyone = fold_arrays(data, np.r_[train, test], test)[:2]
    for k in [k for k in NUMBERS if k < X.shape[1]]:
        fitted = network(k).fit(X, Y)
        kept = np.flatnonzero(fitted.get_support())
        note(NETWORK, k, fitted.predict(X_test))
        for model, predicted in larger_models(X[:, kept], Y, X_test[:, kept]):
            note(model, k, predicted)
        leaking = np.flatnonzero(network(k).fit(*everyone).get_support())
        cheating = oracle(X, Y, X_test, Y_test, k)
        for model, genes in ((LEAK, leaking), (ORACLE, cheating)):
            note(model, k, network().fit(X[:, genes], Y).predict(X_test[:, genes]))
    return rows


def summary(scores):
    """Mean and SD over the folds of every model, and the difference to ridge on all genes with its 95 % interval."""
    table = pd.concat([pd.Series({row[:2]: row[2] for row in rows}) for rows in scores], axis=1)
    ahead = table - table.loc[RIDGE, "all"].to_numpy()
    differences = [
        corrected_difference(row, TEST_SHARE) if len(scores) > 1 else "" for row in ahead.to_numpy()
    ]
    means = pd.DataFrame(
        {"R2": table.mean(axis=1).round(4), "SD": table.std(axis=1).round(4), "folds": len(scores)}
    )
    means["minus_ridge"] = list(map(str, differences))
    return means.rename_axis(["model", "genes"]).reset_index()


@styled
def draw(table):
    """Test R2 against the number of genes, a panel for each data set."""
    names = [name for name in DATASETS if name in set(table.dataset)]
    figure, axes = new_panels(2.8, 1, len(names), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        of = table[table.dataset == name].set_index("model")
        ax.axhline(of.R2[RIDGE], color=KINDS["all genes"], lw=1, label=RIDGE)
        for model, (color, line) in LOOKS.items():
            ax.plot(
                of.genes[model].astype(int),
                of.R2[model],
                line,
                color=color,
                ms=3.5,
                lw=1,
                label=model,
            )
        ax.set(xscale="log", xlabel="genes", xlim=(22, 114))
        # the letter stands above the highest tick
        ax.set_title(f"{name}, {of.folds.iloc[0]} folds", pad=9)
        ax.set_xticks(NUMBERS, NUMBERS)
        ax.minorticks_off()
    axes[0, 0].set_ylabel("test R²")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    fewest = table[table.genes == str(NUMBERS[0])].set_index(["dataset", "model"]).R2.unstack()
    gains = fewest[TEACHER] - fewest[NETWORK]
    ends = " to ".join(f"{gain:+.3f}".replace("-", "−") for gain in (gains.min(), gains.max()))
    headline(figure, f"With {NUMBERS[0]} genes, a network without a bottleneck gains {ends} R²")
    return finish(figure, axes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report-only", action="store_true")
    options = parser.parse_args()
    table = pd.read_csv(TABLE, keep_default_na=False, na_values={"SD": ""})
    scores = Memory(ROOT / "build" / "limits", verbose=0).cache(fold_scores)
    for name in [] if options.report_only else options.only:
        data = as_paired(load_dataset(name, verbose=False))
        folds = paper_folds(data.n_cells)[: options.folds]
        new = summary(
            Parallel(options.jobs)(delayed(scores)(data, *fold) for fold in folds)
        ).assign(dataset=name)
        table = pd.concat([table[table.dataset != name], new])[["dataset", *new.columns[:-1]]]
        table.to_csv(TABLE, index=False)
    for name, of in table.groupby("dataset", sort=False):
        texts = [
            f"{r2:.3f} ± {sd:.3f}".removesuffix(" ± nan")
            for r2, sd in zip(of.R2, of.SD, strict=True)
        ]
        of = of.assign(R2=texts)
        for column in ("R2", "minus_ridge"):
            print(f"\n## {name}, {of.folds.iloc[0]} folds: {column}\n")
            print(to_markdown(of.pivot_table(column, "model", "genes", "first", sort=False)))
    save_figure(draw(table), FIGURE)


if __name__ == "__main__":
    main()
