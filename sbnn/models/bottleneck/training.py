"""Training stages as data, and the one loop that runs any of them, with Adam (Kingma and Ba 2015).

What stages there are and in which order is a matter of the protocols, see `sbnn.models.bottleneck.protocols`.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from sbnn.models.bottleneck.adam import Adam
from sbnn.models.bottleneck.network import Gradient

ADAM_EPSILON = 1e-7  # as in Keras, which the published code used
ALIVE = 0.1  # a gene counts as alive while its weight norm is above this fraction of the largest one


@dataclass(frozen=True)
class Stage:
    """One stretch of training."""

    name: str
    epochs: int
    learning_rate: float
    frozen: int = 0
    group_lasso: float = 0.0
    classify: bool = False
    n_genes: int | None = None


class Trainer:
    """Runs stages on one network and keeps the history."""

    def __init__(self, network, generator, batch_size=32, weight_decay=1e-10, progress=None):
        self.network = network
        self.generator = generator
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.progress = progress
        self.history = []

    def run(self, stage, X, target, eval_set=None):
        """Train the network through one stage."""
        first = stage.frozen
        # The frozen layers never change: their activations are computed once, and only the rest is run.
        X = self._frozen_activations(X, first)
        if eval_set is not None:
            eval_set = self._frozen_activations(eval_set[0], first), eval_set[1]
        gradient = Gradient(self.network, first)
        step = _AdamStep(self.network, gradient, stage, self.weight_decay)
        variance = None if stage.classify else float(target.square().sum())
        for epoch in range(stage.epochs):
            order = torch.randperm(len(X), generator=self.generator).to(X.device)
            Xs, ts = X[order], target[order]
            total = X.new_zeros(())
            for start in range(0, len(X), self.batch_size):
                xb, tb = Xs[start : start + self.batch_size], ts[start : start + self.batch_size]
                output = gradient.forward(xb)
                if stage.classify:
                    log_p = F.log_softmax(output, 1)
                    total += F.nll_loss(log_p, tb, reduction="sum")
                    delta = log_p.exp_()
                    delta[torch.arange(len(tb), device=tb.device), tb] -= 1
                    gradient.backward(delta.div_(len(tb)))
                else:
                    residual = output.sub_(tb)
                    total += residual.square().sum()
                    gradient.backward(residual.mul_(2 / tb.numel()))
                step()
            self._record(stage, epoch, total / target.numel(), variance, target.numel(), eval_set, first)
        return self

    @torch.no_grad()
    def _frozen_activations(self, X, first):
        return self.network(X, last=first) if first else X

    @torch.no_grad()
    def _record(self, stage, epoch, loss, variance, count, eval_set, first):
        norms = self.network.input_norms()
        row = {
            "stage": stage.name,
            "epoch": epoch,
            "loss": float(loss),
            "penalty": stage.group_lasso * float(norms.sum()),
            "r2": np.nan if stage.classify or not variance else 1 - float(loss) * count / variance,
            "eval_loss": np.nan,
            "eval_r2": np.nan,
            "genes_alive": int((norms > ALIVE * norms.max()).sum()),
        }
        if eval_set is not None:
            output, target = self.network(eval_set[0], first=first), eval_set[1]
            if stage.classify:
                row["eval_loss"] = float(F.cross_entropy(output, target))
            else:
                error = float((output - target).square().sum())
                row["eval_loss"] = error / target.numel()
                row["eval_r2"] = 1 - error / float(target.square().sum())
        self.history.append(row)
        if self.progress is not None:
            self.progress(len(self.history))


class _AdamStep:
    """One optimiser step on the trainable tail of the flat weights, with the penalties' gradients added."""

    def __init__(self, network, gradient, stage, weight_decay):
        self.lasso = stage.group_lasso if stage.frozen == 0 else 0.0
        self.weight = gradient.network_weights[0]
        self.weight_gradient = gradient.weights[0]
        flat = network.flat[gradient.start :]
        n_first = self.weight.numel() if self.lasso else 0
        parts = ((slice(0, n_first), 0.0), (slice(n_first, None), 2 * weight_decay))
        parts = [(flat[part], gradient.flat[part], decay) for part, decay in parts if flat[part].numel()]
        self.adam, self.learning_rate = Adam(parts, ADAM_EPSILON), stage.learning_rate

    def __call__(self):
        if self.lasso:
            norms = torch.linalg.vector_norm(self.weight, dim=1, keepdim=True).clamp_min_(1e-12)
            self.weight_gradient.addcdiv_(self.weight, norms, value=self.lasso)
        self.adam.step(self.learning_rate)
