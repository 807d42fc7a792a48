"""What an epoch of PHOENIX costs with our solver and with those of torchdiffeq; prints a table.

python benchmarks/dynamics_solvers.py
"""

import time

import pandas as pd
import torch
from pages import to_markdown
from torchdiffeq import odeint, odeint_adjoint

from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.solver import advance, advance_exactly, step_factors
from sbnn.dynamics.training import Intervals

REPEATS = 3


def solvers(n_genes=350, n_hidden=40, n_samples=140, repeats=REPEATS):
    """Seconds of an epoch, loss and gradient of every interval of all samples, by solver; and their
    errors; DataFrame.

    torchdiffeq follows one sample, from one observed time to the next, per step, as the published
    training does; ours takes four samples with all their intervals. Errors are of the values at the
    ends of the intervals of one sample, against dopri5 at a tolerance of 1e-10 in float64. dopri5
    is timed on a few samples.
    """
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
        errors = {
            name: float((ends([0])[0] - true).abs().max())
            for name, (ends, *_) in candidates.items()
        }
        adaptive = advance_exactly(exact, samples.before[0].double(), length, 1e-6)
    rows = {
        "exponential, steps halved (predict)": {
            "largest error": f"{float((adaptive - true).abs().max()):.0e}"
        }
    }
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


if __name__ == "__main__":
    with reproducible():
        print(to_markdown(solvers()))
