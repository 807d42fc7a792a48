"""Which solver takes the W-step of sparse reduced-rank regression: ``python
benchmarks/linear_solvers.py``.

Solves the group lasso of the first training fold of Scala M1 (1092 cells x 1000 genes; simulated
cells of that size where the data cannot be found) along the published path, alpha = 1.9, 1.8, ...,
0.1: once for 2 responses, as in the W-step of rank 2, and once for all 16. All solvers run after
each other in this process on one thread, each at its default tolerance and at a tight one, and
report the CPU time and the largest relative excess of the objective over the best one found
(tolerances mean something else for each). A peer that is not installed is named as such. At the end
stands the time of that fold with the complete model, alternation and relaxed refit included.
"""

import time
import warnings
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from sklearn.linear_model import enet_path
from threadpoolctl import threadpool_limits

from sbnn import load_dataset, paper_folds
from sbnn.data.paired import as_paired
from sbnn.models.sparse_linear import SparseReducedRankRegression

ALPHAS = np.arange(19, 0, -1) / 10
CHOICE = """
Chosen: scikit-learn on a working set of genes in triangular form, at any tolerance the one with the best objective and
at a tight one the fastest. Alone, scikit-learn and skglm need about the same time, but skglm is one more package, and
compiles for seconds in a new environment. adelie 1.1.52 is the fastest at its default tolerance (0.03 and 0.19 s for 2
and 16 responses where this package takes 0.07 and 0.44 s), with a larger error (excess 8e-06 and 5e-05), and not at a
tight one (0.13 and 1.54 s, 2e-10 and 2e-09); it requires numpy < 2, so these numbers are from an environment of its
own. skglm and adelie are not dependencies: install them to see their rows.
"""


def objective(X, Z, W, alpha):
    return ((Z - X @ W) ** 2).sum() / (2 * len(X)) + alpha * np.linalg.norm(W, axis=1).sum()


def working_set(X, Z, tol):
    """`SparseReducedRankRegression` of full rank: no bottleneck, one W-step is the whole solution."""
    model = SparseReducedRankRegression(rank=Z.shape[1], relaxed=False, tol=tol)
    return [fitted.coef_.T for fitted in model.fit_path(X, Z, ALPHAS)]


def scikit_learn(X, Z, tol):
    _, coef, _ = enet_path(
        X, np.asfortranarray(Z), l1_ratio=1.0, alphas=ALPHAS, tol=tol, max_iter=100_000
    )
    return list(coef.transpose(2, 1, 0))


def skglm(X, Z, tol):
    from skglm import MultiTaskLasso

    model = MultiTaskLasso(fit_intercept=False, warm_start=True, tol=tol)
    return [model.set_params(alpha=alpha).fit(X, Z).coef_.T.copy() for alpha in ALPHAS]


def adelie(X, Z, tol):
    import adelie

    n_responses = Z.shape[1]
    state = adelie.grpnet(
        X,
        adelie.glm.multigaussian(np.ascontiguousarray(Z)),
        lmda_path=ALPHAS / n_responses,  # adelie divides the loss by the number of responses
        penalty=np.ones(X.shape[1]),
        intercept=False,
        tol=tol,
        n_threads=1,
        early_exit=False,
        progress_bar=False,
    )
    return list(state.betas.toarray().reshape(-1, X.shape[1], n_responses))


SOLVERS = {
    "sbnn: scikit-learn on a working set,": (working_set, "scikit-learn", (1e-4, 1e-6)),
    "enet_path of scikit-learn": (scikit_learn, "scikit-learn", (1e-4, 1e-12)),
    "MultiTaskLasso of skglm": (skglm, "skglm", (1e-4, 1e-8)),
    "grpnet of adelie": (adelie, "adelie", (1e-7, 1e-12)),
}


def main():
    try:
        data = load_dataset("scala", download=False)
    except FileNotFoundError:
        data = load_dataset("simulated", n_cells=1213, n_genes=1000, n_outputs=16)
    data = as_paired(data)
    X, Y = (
        (a - a.mean(axis=0)) / a.std(axis=0) for a in (data.X.astype(float), data.Y.astype(float))
    )
    train, _ = paper_folds(len(X))[0]
    X, Y = np.asfortranarray(X[train] - X[train].mean(axis=0)), Y[train] - Y[train].mean(axis=0)
    V = np.linalg.svd(X.T @ Y, full_matrices=False)[2][:2].T
    for Z in (Y @ V, Y):
        compare(X, Z)
    print(CHOICE)
    for rank in (2, 16):
        started = time.process_time()
        models = list(SparseReducedRankRegression(rank).fit_path(X, Y, ALPHAS))
        print(
            f"SparseReducedRankRegression(rank={rank}), the same path: {time.process_time() - started:.2f} CPU s"
        )
        print("  genes:", *(model.get_support().sum() for model in models))


def compare(X, Z):
    """Run all solvers on one problem and print a table."""
    print(
        f"\n{len(X)} cells x {X.shape[1]} genes -> {Z.shape[1]} responses, {len(ALPHAS)} penalties\n"
    )
    rows, missing, values = [], [], []
    for name, (solve, package, tolerances) in SOLVERS.items():
        try:
            label = f"{name} {version(package)}"
        except PackageNotFoundError:
            missing.append(f"| {name} | not installed | | | | |")
            continue
        solve(np.asfortranarray(X[:50]), Z[:50], 1e-2)  # imports and compiles
        for tol in tolerances:
            started = time.process_time()
            path = solve(X, Z, tol)
            rows.append((label, tol, time.process_time() - started))
            values.append(
                [objective(X, Z, W, alpha) for W, alpha in zip(path, ALPHAS, strict=True)]
            )
    values = np.array(values)
    print(
        "| solver | tolerance | CPU s | largest excess | objective at 0.4 | at 0.1 |\n|---|---|---|---|---|---|"
    )
    for (label, tol, seconds), row in zip(rows, values, strict=True):
        excess = max((row / values.min(axis=0) - 1).max(), 0)
        print(
            f"| {label} | {tol:.0e} | {seconds:.2f} | {excess:.0e} | {row[15]:.7f} | {row[18]:.7f} |"
        )
    print(*missing, sep="\n")


if __name__ == "__main__":
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        main()
