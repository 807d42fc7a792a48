"""Gene-regulatory dynamics: every method on networks with known truth and on real data, and solvers; prints tables.

    python benchmarks/dynamics.py [--datasets grn_350,...] [--only dash,sparse] [--fresh] [--fast]
    python benchmarks/dynamics.py --solvers     what an epoch costs: this solver beside those of torchdiffeq

What is saved in saved_models is loaded, unless --fresh asks to measure it anew. Data sets that cannot be had are named.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

from sbnn.data.datasets import DYNAMICS, load_dataset, names_of
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.solver import advance, advance_exactly, step_factors
from sbnn.dynamics.study import STUDY
from sbnn.dynamics.training import Intervals
from sbnn.results import results_folder
from sbnn.tables import print_tables

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 3


def measure(saved_models, datasets, only=None, fast=False, fresh=False):
    """Run, or load, the study of data sets; dict of tables by title."""
    tables = {}
    for name in datasets:
        try:
            load_dataset(name, verbose=False)
        except FileNotFoundError as error:
            print(f"{name} cannot be had: {error}")
            continue
        folder = results_folder(saved_models, name, fast)
        STUDY.run(name, folder, only=only, fast=fast, fresh=fresh)
        tables |= {f"{name}: {title}": t for title, t in STUDY.tables(STUDY.load(folder)).items()}
    return tables


def solvers(n_genes=350, n_hidden=40, n_samples=140, repeats=REPEATS):
    """Seconds of an epoch, loss and gradient of every interval of all samples, by solver; and their errors; DataFrame.

    torchdiffeq follows one sample, from one observed time to the next, per step, as the published training does; ours
    takes four samples with all their intervals. Errors are of the values at the ends of the intervals of one sample,
    against dopri5 at a tolerance of 1e-10 in float64. dopri5 is timed on a few samples.
    """
    from torchdiffeq import odeint, odeint_adjoint

    trajectories = GeneNetwork.random(n_genes, random_state=0).simulate(n_samples, 0.025, 0)
    samples = Intervals(as_trajectories(trajectories), range(n_samples))
    network = Phoenix(n_genes, n_hidden, torch.Generator().manual_seed(0))

    class Rates(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, _, x):
            return self.network.decay() * (self.network.targets(x) - x)

    def ours(n_steps):
        def ends(rows):
            factors = step_factors(network.decay(), samples.length[rows] / n_steps)
            return advance(network.targets, samples.before[rows], factors, n_steps)

        return ends, 4, n_samples

    def theirs(solve, **how):
        def ends(rows):
            parts = [
                solve(Rates(), before, torch.tensor([0.0, float(length)]), **how)[-1]
                for row in rows
                for before, length in zip(samples.before[row], samples.length[row], strict=True)
            ]
            return torch.stack(parts)[None]

        return ends, 1, 4

    candidates = {
        "exponential, 3 steps (the default)": ours(3),
        "exponential, 6 steps": ours(6),
        "dopri5, tolerance 1e-4": theirs(odeint, method="dopri5", rtol=1e-4, atol=1e-4),
        "dopri5, default tolerance": theirs(odeint, method="dopri5"),
        "dopri5, default tolerance, adjoint (published)": theirs(odeint_adjoint, method="dopri5"),
    }
    with torch.no_grad():
        exact = Phoenix(n_genes, n_hidden).double()
        exact.load_state_dict(network.state_dict())
        length = samples.length[0].double()
        true = torch.stack(
            [
                odeint(
                    lambda _, x: exact.decay() * (exact.targets(x) - x),
                    x,
                    torch.tensor([0.0, float(t)]),
                    rtol=1e-10,
                    atol=1e-10,
                )[-1]
                for x, t in zip(samples.before[0].double(), length, strict=True)
            ]
        )
        errors = {name: float((ends([0])[0] - true).abs().max()) for name, (ends, *_) in candidates.items()}
        adaptive = advance_exactly(exact, samples.before[0].double(), length, 1e-6)
    rows = {"exponential, steps halved (predict)": {"largest error": f"{float((adaptive - true).abs().max()):.0e}"}}
    seconds = {name: [] for name in candidates}
    for _ in range(repeats):  # in turn, so that whatever else the machine does is shared
        for name, (ends, batch, n_timed) in candidates.items():
            started = time.perf_counter()
            for rows_of in torch.arange(n_timed).split(batch):
                network.zero_grad()
                (ends(rows_of) - samples.after[rows_of]).square().mean().backward()
            seconds[name].append((time.perf_counter() - started) * n_samples / n_timed)
    for name, taken in seconds.items():
        rows[name] = {"seconds per epoch": min(taken), "200 epochs, minutes": min(taken) * 200 / 60}
        rows[name]["largest error"] = f"{errors[name]:.0e}"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("solver")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default=",".join(names_of(DYNAMICS)))
    parser.add_argument("--only", help="methods, with commas between")
    parser.add_argument("--saved-models", default=ROOT / "saved_models", type=Path)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--solvers", action="store_true")
    options = parser.parse_args(arguments)
    if options.solvers:
        with reproducible():
            print_tables({"Solvers": solvers()})
        return
    only = options.only.split(",") if options.only else None
    how = {"fast": options.fast, "fresh": options.fresh}
    print_tables(measure(options.saved_models, options.datasets.split(","), only, **how))
    print(f"\n{STUDY.note}")


if __name__ == "__main__":
    main()
