"""How the cost of DASH and SparseRegulation grows with the number of genes; prints a table.

python benchmarks/dynamics_sizes.py [--fresh]
    random networks of 50 to 1400 genes, 150 samples at five times (saved)
python benchmarks/dynamics_sizes.py --course 60 120 250 529
    one course of 1,800 times, not averaged, with these numbers of genes (not saved)
"""

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from pages import to_markdown
from sklearn.base import clone

from sbnn.data.datasets import load_dataset
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics import PhoenixRegressor, Recipe, SparseRegulationRegressor, evaluation, report
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
SIZED = SAVED / "simulated_grn" / "dynamics_sizes.pickle"
SIZES = (50, 100, 200, 350, 700, 1400)
N_TIMES = 1800


def sizes(path=SIZED, fresh=False):
    """Record with a row for each number of genes and method."""
    methods = {
        "dash": PhoenixRegressor(recipe=Recipe(), random_state=0),
        "sparse": SparseRegulationRegressor(),
    }
    samples = {"noise": 0.025, "wrong": 0.05, "random_state": 0}

    def compute():
        rows = []
        for genes, method in product(SIZES, methods):
            data = load_dataset("simulated_grn", n_genes=genes, verbose=False, **samples)
            row = evaluation.fit_and_score(clone(methods[method]), data)
            rows.append({"method": method, "genes": genes} | row)
        return {"scores": pd.DataFrame(rows)}

    settings = {"sizes": list(SIZES), "version": 1}
    params = [{"methods": list(methods)}]
    wanted = Record(
        "dynamics sizes",
        "simulated_grn",
        fingerprint_parameters(samples),
        params,
        settings=settings,
    )
    return load_or_compute(
        wanted, compute, path, fresh, estimator=PhoenixRegressor(recipe=Recipe())
    )


def course(n_genes, noise=0.05, seed=0):
    """A network, and one course in which levels change every five times."""
    network = GeneNetwork.random(n_genes, random_state=seed)
    samples = as_trajectories(network.simulate(N_TIMES // 5, noise, seed))
    values = np.concatenate([of_sample[:5] for of_sample in samples.values])
    times = np.arange(N_TIMES, dtype=float)
    return network, trajectories(values[None], times, list(network.gene_names))


def course_table(sizes):
    """CPU seconds of SparseRegulation on one long course, by number of genes."""
    seconds = {}
    for n_genes in sizes:
        network, data = course(n_genes)
        prior = network.misplaced_prior(0.1)
        started = time.process_time()
        SparseRegulationRegressor().fit(data, prior)
        seconds[n_genes] = time.process_time() - started
    return pd.Series(seconds, name="CPU s").rename_axis("genes").to_frame()


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--course", type=int, nargs="+", metavar="GENES")
    options = parser.parse_args(arguments)
    if options.course:
        print(to_markdown(course_table(options.course)))
    else:
        print(to_markdown(report.sizes_table({"sizes": sizes(fresh=options.fresh)})))


if __name__ == "__main__":
    main()
