"""Are edges right that are not in the prior, and are probabilities calibrated? Prints tables.

    python benchmarks/dynamics_new_edges.py [--fresh]

Five laws of regulation other than that of `GeneNetwork.simulate`; priors of four qualities.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from pages import to_markdown
from scipy.integrate import solve_ivp
from scipy.special import expit

from sbnn.data.gene_network import TIMES, GeneNetwork
from sbnn.data.trajectories import trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics import SparseRegulationRegressor

NEW_EDGES = Path(__file__).with_suffix(".csv")
LAWS = ("sum of Hill terms", "thermodynamic", "lagged sigmoid", "linear", "mass action")
RIGHT = (0.5, 0.7, 0.9, 1.0)  # shares of the edges of the prior that are true


def samples_of(law, network, n, noise, seed):
    """Samples of a network whose genes decay at different rates and follow one of `LAWS`.

    The laws and their parameters differ from those of `GeneNetwork.simulate`; effects are steeper.
    """
    random = np.random.default_rng([seed, 7])
    names = list(network.gene_names)
    source, target, sign = network.edges.T
    n_genes, n_edges = len(names), len(sign)
    activates = sign[:, None] > 0
    half = random.uniform(0.3, 0.7, (n_edges, 1))
    power = random.uniform(2, 4, (n_edges, 1))
    size = random.uniform(0.5, 1.5, (n_edges, 1))
    decay = np.exp(random.normal(0, 0.3, (n_genes, 1)))
    base = random.uniform(0, 0.2, (n_genes, 1))
    signed = np.where(activates, size, -size)

    def summed(effects):
        of_genes = np.zeros((n_genes, effects.shape[1]))
        np.add.at(of_genes, target, effects)
        return of_genes

    def drawn_to(x, acting):
        level = np.maximum(acting, 0)[source]
        bound = (level / half) ** power
        if law == "sum of Hill terms":
            share = bound / (1 + bound)
            effects = size * np.where(activates, share, 1 - share)
            return base + summed(effects) / np.maximum(summed(size), 1e-9)
        if law == "thermodynamic":
            helps = 0.3 + base + summed(np.where(activates, size * bound, 0))
            hinders = summed(np.where(activates, 0, size * bound))
            return helps / (1 + helps + hinders)
        if law == "lagged sigmoid":
            return expit(5 * base - 0.5 + summed(6 * signed * (level - 0.5)))
        if law == "linear":
            return 0.5 + summed(signed * (level - 0.5)) / np.maximum(summed(size), 1)
        made = base + 0.2 + 0.6 * summed(np.where(activates, size * level, 0))
        return made - x * summed(np.where(activates, 0, 2 * size * level))

    def rates(_, state):
        x, proteins = state.reshape(2, n_genes, n)
        acting = proteins if law == "lagged sigmoid" else x
        change = decay * (drawn_to(x, acting) - x)
        change[network.is_input] = 0
        return np.concatenate([change, (x - proteins) / 1.5]).ravel()

    random = np.random.default_rng([seed, 11])
    start = network.start(n, random).T
    times = np.array(TIMES, dtype=float)
    solved = solve_ivp(
        rates, (0, times[-1]), np.tile(start.ravel(), 2), t_eval=times, rtol=1e-6, atol=1e-7
    )
    values = solved.y.T.reshape(len(times), 2, n_genes, n)[:, 0].transpose(2, 0, 1)
    return trajectories(values + noise * random.standard_normal(values.shape), times, names)


def edges_and_probabilities(law, right, seed, n_genes=40, n_samples=60):
    """Numbers of edges inside and outside the prior, of right ones, and of those called sure."""
    network = GeneNetwork.random(n_genes, random_state=seed)
    prior = network.misplaced_prior(1 - right, seed)
    model = SparseRegulationRegressor().fit(samples_of(law, network, n_samples, 0.025, seed), prior)
    true = network.graph.to_numpy() != 0
    given = prior.to_numpy() != 0
    found = model.edge_scores_.to_numpy() != 0
    p = model.edge_probabilities_.to_numpy()
    row = {"law": law, "prior_right": right, "seed": seed, "missing": (true & ~given).sum()}
    for name, part in (("prior", given), ("new", ~given)):
        row[f"{name}_edges"] = (found & part).sum()
        row[f"{name}_edges_right"] = true[found & part].sum()
        for said, chosen in (("sure", p >= 0.9), ("likely", (p >= 0.8) & (p < 0.95))):
            row[f"{name}_{said}"] = (chosen & part).sum()
            row[f"{name}_{said}_right"] = true[chosen & part].sum()
            row[f"{name}_{said}_said"] = p[chosen & part].sum()
    return row


def new_edges(seeds=range(10), fresh=False):
    """Rows of `edges_and_probabilities` for all laws, priors and seeds; saved ones are loaded."""
    if NEW_EDGES.exists() and not fresh:
        return pd.read_csv(NEW_EDGES)
    rows = []
    with reproducible():
        for seed, law, right in product(seeds, LAWS, RIGHT):
            rows.append(edges_and_probabilities(law, right, seed))
            pd.DataFrame(rows).round(4).to_csv(NEW_EDGES, index=False)
    return pd.DataFrame(rows)


def new_edges_table(rows):
    """By law and quality of the prior: precision of all edges, and of new ones; seeds are pooled."""
    sums = rows.groupby(["law", "prior_right"], sort=False).sum()
    n_new = sums["new_edges"]
    right = sums["prior_edges_right"] + sums["new_edges_right"]
    precision = right / (sums["prior_edges"] + n_new)
    of_new = sums["new_edges_right"] / n_new
    table = pd.DataFrame(index=pd.Index(LAWS, name="law"))
    for law, share in sums.index:
        text = f"{precision[law, share]:.2f}; none new"
        if n_new[law, share]:
            text = f"{precision[law, share]:.2f}; {of_new[law, share]:.2f} of {n_new[law, share]}"
        table.loc[law, f"prior {share:.0%} right"] = text
    return table


def calibration_table(rows):
    """What edges called probable are worth: mean probability and share that is right, by law."""
    sums = rows.groupby("law", sort=False).sum()
    table = pd.DataFrame(index=sums.index)
    for part, said in product(("new", "prior"), ("likely", "sure")):
        n = sums[f"{part}_{said}"]
        name = f"{part}, {'0.8 to 0.95' if said == 'likely' else '0.9 or more'}"
        said_right = zip(
            n, sums[f"{part}_{said}_said"] / n, sums[f"{part}_{said}_right"] / n, strict=True
        )
        table[name] = [f"{mean:.2f}: {share:.2f} of {k}" for k, mean, share in said_right]
    return table


if __name__ == "__main__":
    found = new_edges(fresh="--fresh" in sys.argv)
    print(to_markdown(new_edges_table(found)))
    print(to_markdown(calibration_table(found)))
