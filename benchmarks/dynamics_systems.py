"""Which method ranks edges best under the five laws of `GeneNetwork.simulate`? Prints a table.

python benchmarks/dynamics_systems.py [--jobs N]
python benchmarks/dynamics_systems.py --seeds 2
    measure one more seed
python benchmarks/dynamics_systems.py --refresh SparseRegulation
    measure one method again, on the seeds that are saved or given
"""

import argparse
import time
from itertools import product

import numpy as np
import pandas as pd
from dynamics_rivals import (
    changes,
    importances,
    lasso,
    probability_then_strength,
    saved,
    saved_rows,
)
from joblib import Parallel, delayed
from pages import to_markdown
from sklearn.metrics import average_precision_score

from sbnn.data.gene_network import KINDS, GeneNetwork
from sbnn.dynamics import SparseRegulationRegressor

SYSTEMS = saved("systems")
PRIORS = {"no prior": None, "90 % right": 0.1, "50 % right": 0.5}
LASSO = {"alphas": 25, "max_iter": 2000, "tol": 1e-3}
FACTORS = (2, 5, 10)  # by which penalties may be lower for edges of the prior
N_GENES = 100
N_SAMPLES = 150


def sparse(train, prior, true):
    """Ranks of SparseRegulation, and scores of the edges it finds."""
    started = time.process_time()
    model = SparseRegulationRegressor().fit(train, prior)
    seconds = time.process_time() - started
    found = model.edge_scores_.to_numpy() != 0
    new = found if prior is None else found & (prior.to_numpy() == 0)
    scores = {
        "precision": (found & true).sum() / found.sum(),
        "recall": found[true].mean(),
        "seconds": seconds,
        "new": new.sum(),
        "new_right": (new & true).sum() / max(new.sum(), 1),
    }
    return probability_then_strength(model), scores


def plain_lasso(train, prior, true):
    """Ranks of the lasso on derivatives, which ignores the prior."""
    return lasso(train, **LASSO)[0], {}


def forest(train, prior, true):
    """Ranks of a forest on derivatives (like dynGENIE3), which ignores the prior."""
    before, rates = changes(train)
    return importances(before, rates + before), {}


def the_prior(train, prior, true):
    return prior.to_numpy() != 0, {}


def prior_first(train, prior, true):
    """Ranks of the lasso, behind all edges of the prior."""
    plain, _ = lasso(train, **LASSO)
    return plain / plain.max() + (prior.to_numpy() != 0), {}


def weighted_lasso(train, prior, true):
    """Ranks of the lasso with lower penalties for the prior, by a cross-validated factor."""
    given = prior.to_numpy() != 0
    fits = [lasso(train, 1 + given * (factor - 1), **LASSO) for factor in FACTORS]
    return min(fits, key=lambda fit: fit[1])[0], {}


METHODS = {
    "SparseRegulation": sparse,
    "lasso on derivatives": plain_lasso,
    "forest on derivatives": forest,
    "the prior": the_prior,
    "lasso, the prior first": prior_first,
    "lasso, penalties by the prior": weighted_lasso,
}
NEED_PRIOR = (the_prior, prior_first, weighted_lasso)


def found_edges(kind, seed, method):
    """Rows of one method on samples of one law, by prior: AUPR over all pairs, and more scores."""
    network = GeneNetwork.random(N_GENES, random_state=seed)
    train = network.simulate(N_SAMPLES, 0.025, seed, kind=kind)
    pairs = ~np.eye(N_GENES, dtype=bool)
    true = network.graph.to_numpy() != 0
    rank = METHODS[method]
    rows = []
    for name, wrong in PRIORS.items():
        prior = None
        if wrong is not None:
            prior = network.misplaced_prior(wrong, seed)
        elif rank in NEED_PRIOR:
            continue
        ranks, scores = rank(train, prior, true)
        aupr = average_precision_score(true[pairs], ranks[pairs])
        row = {"kind": kind, "seed": seed, "prior": name, "method": method, "aupr": aupr}
        rows.append(row | scores)
    return rows


def systems(seeds=(), refresh=(), n_jobs=1):
    """Rows of `found_edges` for all laws: saved ones, and those of further seeds.

    Rows of the methods in `refresh` are measured again.
    """
    rows = [row for row in saved_rows(SYSTEMS, fresh=False) if row["method"] not in refresh]
    done = {(row["kind"], row["seed"], row["method"]) for row in rows}
    seeds = sorted({seed for _, seed, _ in done} | set(seeds))
    tasks = [task for task in product(KINDS, seeds, METHODS) if task not in done]
    parallel = Parallel(n_jobs, return_as="generator")
    for new in parallel(delayed(found_edges)(*task) for task in tasks):
        rows += new
        pd.DataFrame(rows).round(5).to_csv(SYSTEMS, index=False)
    return pd.DataFrame(rows)


def systems_table(scores):
    """Mean AUPR by law and prior, of SparseRegulation and of the best other method.

    Also the difference by seed, and precision and recall of SparseRegulation.
    """
    rows = []
    groups = scores.groupby(["kind", "prior"])
    for kind, prior in product(KINDS, PRIORS):
        of = groups.get_group((kind, prior))
        aupr = of.pivot_table("aupr", "seed", "method")
        ours = aupr.pop("SparseRegulation")
        best = aupr.mean().idxmax()
        gains = ours - aupr[best]
        row = {"law": kind, "prior": prior, "SparseRegulation": ours.mean(), "best other": best}
        row["its AUPR"] = aupr[best].mean()
        row["difference by seed"] = ", ".join(f"{gain:+.3f}" for gain in gains)
        means = of.loc[of["method"] == "SparseRegulation", ["precision", "recall", "new_right"]]
        row |= means.mean().rename({"new_right": "new edges right"}).to_dict()
        rows.append(row)
    return pd.DataFrame(rows).set_index("law")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--refresh", choices=METHODS, nargs="*", default=[], metavar="METHOD")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    print(to_markdown(systems_table(systems(options.seeds, options.refresh, options.jobs))))


if __name__ == "__main__":
    main()
