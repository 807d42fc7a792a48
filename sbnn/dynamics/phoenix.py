"""PHOENIX (Hossain et al., Genome Biology 2024), its pruning by DASH and others, and its training.

DASH: Hossain et al., NeurIPS 2024, arXiv 2403.04805, section 3. Gates and L0: Louizos, Welling,
Kingma, ICLR 2018, arXiv 1712.01312. C-NODE: Aliee, Theis, Kilbertus 2021, arXiv 2106.12430.
PathReg: Aliee et al., NeurIPS 2022, arXiv 2210.14672.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn
from torch.nn.functional import linear, mse_loss

from sbnn.determinism import reproducible
from sbnn.dynamics.held_out import validated
from sbnn.dynamics.model import COUNT, DynamicsRegressor
from sbnn.dynamics.solver import DivergenceError, advance, follow, step_factors
from sbnn.errors import warn
from sbnn.models.best_weights import BestWeights

#: Differences of the published code from the default, measured in docs/differences.md.
PUBLISHED = (
    "prune_before_epoch",  # weights are pruned at the start of the scheduled epoch
    "keep_moments",  # Adam keeps its moments when weights are pruned
    "absolute_fall",  # the validation loss must fall by 1e-6, not by 1e-4 of itself
    "random_biases",  # biases do not start at 0
    "exact_zeros",  # exactly 95 % of the input weights of each gene start at 0
    "sampled_paths",  # "path_reg" counts paths with the gates drawn in each step
)
LAYERS = ("sum_in", "product_in", "sum_out", "product_out")  # the layers that are pruned
# Pruning method -> influence of the prior on the scores of input and of output weights; that of
# "dash" is a parameter.
INFLUENCE = {"imp": (0.0, 0.0), "post_hoc": (0.0, 0.0), "biological": (1.0, 1.0), "dash": None}
# Weights of penalties. That of L0 is our choice: the published comparison adds no L0 penalty.
PENALTIES = {"l0": 1e-2, "c_node": 1e-3, "path_reg": 1e-4}
# share of zeros among the initial input weights, and SD of the others
ZERO_SHARE, WEIGHT_SD = 0.95, 0.05
DROP_RATES = (0.2, 0.5)  # of the gates of genes, and of sums and products, at first
TEMPERATURE = 2 / 3
LOWEST, HIGHEST = -0.1, 1.1  # range of a gate before it is clipped to [0, 1]
N_STEPS = 3  # of the solver from one time to the next
VALIDATION_SHARE = 0.07  # of the samples; of a single sample, none
PATIENCE = 40  # epochs without a lower validation loss that end training after the last pruning


class Phoenix(nn.Module):
    """Network of PHOENIX: ``dx/dt = relu(m) * (J(x) - x)``, with ``J = As s + Ap p``.

    With ``u = (x - 1/2) / (1 + |x - 1/2|)``, the sums are ``s = Ws u + bs`` and the products are
    ``p = exp(Wp log(1 + u) + bp)``. ``sum_in`` and ``product_in`` are Ws and Wp, (hidden, genes);
    ``sum_out`` and ``product_out`` are As and Ap, (genes, hidden); ``multiplier`` is m, (genes,). A
    gene with m <= 0 stays constant. If `gated`, each column of a layer has a random gate.

    Parameters
    ----------
    n_genes, n_hidden : int
    generator : torch.Generator, optional
    as_published : collection of str
        See `PhoenixRegressor`.
    gated : bool
    """

    def __init__(
        self,
        n_genes: int,
        n_hidden: int,
        generator: torch.Generator | None = None,
        as_published: Sequence[str] = (),
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.as_published = as_published
        into = torch.randn((2, n_hidden, n_genes), generator=generator) * WEIGHT_SD
        uniform = torch.rand(into.shape, generator=generator)
        if "exact_zeros" in as_published:
            n_zeros = math.ceil(ZERO_SHARE * n_hidden)
            into[uniform.argsort(dim=1) < n_zeros] = 0
        else:
            into *= uniform >= ZERO_SHARE
        biases = torch.zeros((2, n_hidden))
        if "random_biases" in as_published:
            limit = n_genes**-0.5
            biases.uniform_(-limit, limit, generator=generator)
        out = [torch.empty((n_genes, n_hidden)) for _ in range(2)]
        for weights in out:
            nn.init.orthogonal_(weights, generator=generator)
        self.sum_in, self.product_in = map(nn.Parameter, into)
        self.sum_bias, self.product_bias = map(nn.Parameter, biases)
        self.sum_out, self.product_out = map(nn.Parameter, out)
        self.multiplier = nn.Parameter(torch.rand(n_genes, generator=generator))
        self.locations = nn.ParameterDict()  # log odds of the gates, by layer
        if gated:
            for name in sorted(LAYERS):
                rate = DROP_RATES[name.endswith("out")]
                n_gates = getattr(self, name).shape[1]
                start = torch.full((n_gates,), math.log((1 - rate) / rate))
                self.locations[name] = nn.Parameter(start)
        self.draw(generator)

    def draw(self, generator=None):
        """Draw the gates of a training step, which the samples in a batch share."""
        self._drawn = {}
        for name, location in self.locations.items():
            uniform = torch.rand(len(location), generator=generator)
            # equations 10 and 11; log alpha is the location
            logit = torch.logit(uniform, eps=torch.finfo(torch.float32).eps)
            self._drawn[name] = stretched(torch.sigmoid((logit + location) / TEMPERATURE))
        self._weights = self._gated(self._drawn)

    def gates(self):
        """Gates by layer: drawn in training, settled otherwise (equation 13)."""
        if self.training:
            return self._drawn
        return {name: stretched(torch.sigmoid(at)) for name, at in self.locations.items()}

    def layers(self):
        """Weights, multiplied by their gates if there are any, in the order of `LAYERS`."""
        if self.training or not self.locations:
            return self._weights
        return self._gated(self.gates())

    def _gated(self, gates):
        weights = {name: getattr(self, name) for name in LAYERS}
        for name, gate in gates.items():
            weights[name] = weights[name] * gate
        return list(weights.values())

    @torch.no_grad()
    def settle(self):
        """Multiply the weights by their settled gates, which are removed."""
        for name, weights in zip(LAYERS, self.eval().layers(), strict=True):
            getattr(self, name).copy_(weights)
        self.locations.clear()
        self.draw()

    def targets(self, x):
        """Values J towards which the genes decay at expression x, both (..., genes)."""
        sum_in, product_in, sum_out, product_out = self.layers()
        centred = x - 0.5
        u = centred / (1 + centred.abs())
        sums = linear(u, sum_in, self.sum_bias)
        products = linear(torch.log1p(u), product_in, self.product_bias).exp()
        return sums @ sum_out.T + products @ product_out.T

    def decay(self):
        """Decay rates relu(m), of shape (genes,)."""
        return self.multiplier.relu()

    @torch.no_grad()
    def edges(self):
        """Effect of regulator i on target j, ``relu(m)_j (Ws' As' + Wp' Ap')_ij``."""
        sum_in, product_in, sum_out, product_out = [layer.double() for layer in self.layers()]
        effects = sum_in.T @ sum_out.T + product_in.T @ product_out.T
        return effects * self.decay().double()

    @torch.no_grad()
    def sparsity(self):
        """Share of zeros among the weights Ws, Wp, As relu(m) and Ap relu(m)."""
        alive = (self.multiplier > 0)[:, None]
        sum_in, product_in, sum_out, product_out = self.layers()
        layers = [sum_in, product_in, sum_out * alive, product_out * alive]
        nonzero = torch.cat([layer.ravel() != 0 for layer in layers])
        return 1 - nonzero.double().mean().item()

    def penalty(self, kind):
        """What the pruning method `kind` keeps small.

        "l0": the expected share of the weights whose gate is open (equation 12). "c_node": the mean
        over pairs of genes of ``|Ws|' |As|' + |Wp|' |Ap|'``, without gates. "path_reg": ten times
        the latter, and the expected number of open paths, averaged over all pairs of genes.
        """
        shift = TEMPERATURE * math.log(-LOWEST / HIGHEST)
        is_open = {name: torch.sigmoid(at - shift) for name, at in self.locations.items()}
        if kind == "l0":
            layers = {name: getattr(self, name) for name in LAYERS}
            n_open = sum(is_open[name].sum() * len(layer) for name, layer in layers.items())
            return n_open / sum(layer.numel() for layer in layers.values())
        if "sampled_paths" in self.as_published:
            is_open = self.gates()
        n_paths = 0
        sizes = 0
        for first, last in (("sum_in", "sum_out"), ("product_in", "product_out")):
            n_paths = n_paths + is_open[first].mean() * is_open[last].sum()
            into = getattr(self, first).abs().sum(dim=1)
            sizes = sizes + into @ getattr(self, last).abs().sum(dim=0)
        sizes = sizes / len(self.multiplier) ** 2
        return sizes if kind == "c_node" else n_paths + 10 * sizes


def stretched(share):
    """Gates from shares in (0, 1), of which the ends become 0 and 1."""
    return (share * (HIGHEST - LOWEST) + LOWEST).clamp(0, 1)


class Pruner:
    """Pruning masks of the layers of a network, by scores that mix size and prior knowledge.

    Scores are computed in float64, because the matrix S S' is ill-conditioned.

    Parameters
    ----------
    network : Phoenix
    influence : tuple of (float, float)
        Influence of the prior on the scores of input and of output weights.
    prior : Tensor, shape (genes, genes)
        ``[regulator, target]``; needed unless both influences are 0.
    generator : torch.Generator, optional
        Draws the scores before the first pruning.
    interactions : Tensor, shape (genes, genes), optional
        Similarity of regulators, by default the number of targets that they share in the prior.
    """

    def __init__(
        self,
        network: Phoenix,
        influence: tuple[float, float],
        prior: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
        interactions: torch.Tensor | None = None,
    ) -> None:
        self.network = network
        self.influence = influence
        weights = zip(LAYERS, network.layers(), strict=True)
        self.masks = {name: torch.ones_like(layer, dtype=torch.bool) for name, layer in weights}
        if any(influence):
            self.prior = prior.double().abs()
            if interactions is None:
                interactions = self.prior @ self.prior.T
            self.together = shared(interactions.double().abs())
            shape = (2, *network.sum_in.shape)  # scores of the weights of sums and of products
            self.scores = torch.rand(shape, generator=generator, dtype=torch.float64)

    @torch.no_grad()
    def prune(self, left):
        """Keep a share `left`, in (0, 1], of the weights in each layer, with the largest scores."""
        for name, scores in self.next_scores().items():
            mask = self.masks[name].ravel()
            n_kept = min(max(round(left * len(mask)), 1), int(mask.sum()))
            scores = scores.ravel().masked_fill(~mask, -torch.inf)
            kept = torch.zeros_like(mask)
            kept[scores.argsort(descending=True, stable=True)[:n_kept]] = True
            self.masks[name] = kept.reshape(self.masks[name].shape)
        self.apply()

    @torch.no_grad()
    def apply(self):
        """Set pruned weights to zero, which momentum may have changed."""
        for name, mask in self.masks.items():
            getattr(self.network, name).mul_(mask)

    @torch.no_grad()
    def next_scores(self):
        """Scores of the layers by name; those of input weights are stored for the next call."""
        layers = [layer.double() for layer in self.network.layers()]
        sum_in, product_in, sum_out, product_out = layers
        decay = self.network.decay().double()[:, None]
        # Of products, the most negative input weights are pruned first.
        into = [shared(sum_in.abs()), shared(product_in.exp())]
        out = [shared(sum_out.abs() * decay), shared(product_out.abs() * decay)]
        if any(self.influence):
            of_inputs, of_outputs = self.influence
            for i, before in enumerate(self.scores):
                by_prior = solved(before @ before.T, before @ self.together).abs()
                into[i] = of_inputs * by_prior + (1 - of_inputs) * into[i]
                # the output weights that best reproduce the prior
                by_prior = solved(into[i] @ into[i].T, into[i] @ self.prior).T.abs()
                out[i] = of_outputs * by_prior + (1 - of_outputs) * out[i]
            self.scores = into
        return dict(zip(LAYERS, into + out, strict=True))


def shared(sizes):
    """Sizes divided by their sum, unless all are zero."""
    total = sizes.sum()
    return sizes / total if total > 0 else sizes


def solved(products, right):
    """``products^-1 right``, or the shortest least-squares solution."""
    solution, failed = torch.linalg.solve_ex(products, right)
    if failed:
        return torch.linalg.pinv(products, hermitian=True) @ right
    return solution


def prunings(sparsity, first_epoch, first_share, every, share):
    """Map epochs after which weights are pruned to the shares of weights that are kept."""
    if not 0 < share <= 1:
        raise ValueError(f"schedule: expected a share in (0, 1], got {share}")
    shares = {}
    epoch = first_epoch
    left = 1 - first_share
    while left > 1 - sparsity:
        shares[epoch] = left
        epoch += every - epoch % every
        left = (1 - first_share) * (1 - share) ** len(shares)
    shares[epoch] = 1 - sparsity
    return shares


class Intervals:
    """Values `before` and `after` the intervals of samples, (intervals, genes), and `length`."""

    def __init__(self, samples, time_scale=1.0):
        before, after, times = map(torch.from_numpy, samples.intervals())
        self.before = before.float()
        self.after = after.float()
        self.length = (times * time_scale).diff(dim=1).float()
        self.n = torch.tensor([len(at) - 1 for at in samples.times])  # of each sample
        self.rows = torch.arange(len(before)).split(self.n.tolist())

    def loss(self, network, chosen=None, n_steps=N_STEPS):
        """Mean squared error of predictions one interval ahead, in all or the chosen samples."""
        rows = slice(None)
        if chosen is not None:
            rows = torch.cat([self.rows[i] for i in chosen])
        factors = step_factors(network.decay(), self.length[rows] / n_steps)
        predicted = advance(network.targets, self.before[rows], factors, n_steps)
        return mse_loss(predicted, self.after[rows])


class Training:
    """Training of a network by the parameters of a `PhoenixRegressor`.

    `train` and `validation` are `Intervals`; without validation samples, the latter is None.
    """

    def __init__(self, model, network, generator, train, validation=None, pruner=None, prior=None):
        self.model = model
        self.network = network
        self.generator = generator
        self.train = train
        self.validation = validation
        self.pruner = pruner
        self.history = []
        if model.data_weight < 1:
            size = model.n_prior_points, len(prior)
            self.points = torch.rand(size, generator=generator) - 0.5
            self.expected = self.points @ prior.float()

    def run(self, epochs, at):
        """Train, prune after the epochs in `at`, see `prunings`, and then keep the best epoch.

        Training does not end early if a pruning would come after the last epoch.
        """
        done = 0
        optimizer = self._optimizer()
        patience = PATIENCE
        for epoch, left in at.items():
            if epoch > epochs:
                patience = math.inf
                break
            self._descend(optimizer, epoch - done, math.inf)
            self.pruner.prune(left)
            moments = optimizer.state
            optimizer = self._optimizer()
            if "keep_moments" in self.model.as_published:
                optimizer.state = moments
            done = epoch
        self._descend(optimizer, epochs - done, patience).restore()

    def prior_loss(self):
        """Mean of ``(J(z) - z P)^2`` for the prior P and uniform points z in [-1/2, 1/2]."""
        return mse_loss(self.network.targets(self.points), self.expected)

    def penalty(self):
        """Weighted penalty of a network with gates."""
        kind = self.model.pruning
        weight = PENALTIES[kind] if self.model.penalty is None else self.model.penalty
        return weight * self.network.penalty(kind)

    def _optimizer(self):
        multiplier = self.network.multiplier
        others = [value for value in self.network.parameters() if value is not multiplier]
        rate = self.model.learning_rate
        fast = {"params": [multiplier], "lr": 5 * rate}
        return torch.optim.Adam([{"params": others}, fast], lr=rate, fused=True)

    def _descend(self, optimizer, n_epochs, patience):
        """Train; returns the `BestWeights`, by the lowest monitored loss."""
        as_published = "absolute_fall" in self.model.as_published
        threshold, mode = (1e-6, "abs") if as_published else (1e-4, "rel")
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, "min", 0.9, 3, threshold, mode, min_lr=4e-5
        )
        best = BestWeights(self.network)
        for _ in range(n_epochs):
            monitored = self._epoch(optimizer)
            plateau.step(monitored)
            best.offer(-monitored)
            if best.waited >= patience:
                break
        return best

    def _epoch(self, optimizer):
        """Train for one epoch; returns the monitored loss."""
        network = self.network.train()
        model = self.model
        n = self.train.n
        mean = n.sum() / len(n)
        total = 0.0
        for batch in torch.randperm(len(n), generator=self.generator).split(model.batch_size):
            optimizer.zero_grad()
            network.draw(self.generator)
            loss = self.train.loss(network, batch)
            total += loss.item() * (n[batch].sum() / mean).item()
            if model.data_weight < 1:
                loss = model.data_weight * loss + (1 - model.data_weight) * self.prior_loss()
            if network.locations:
                loss = loss + self.penalty()
            loss.backward()
            optimizer.step()
            if self.pruner is not None:
                self.pruner.apply()
        return self._monitored(total / len(n))

    @torch.no_grad()
    def _monitored(self, loss):
        """Loss that decides about learning rate and best epoch, after adding to the history."""
        network = self.network.eval()
        entry = {"epoch": len(self.history) + 1, "loss": loss, "validation_loss": math.nan}
        monitored = loss
        if self.validation is not None:
            monitored = entry["validation_loss"] = self.validation.loss(network).item()
        entry["sparsity"] = network.sparsity()
        if network.locations:
            entry["penalty"] = self.penalty().item()
            monitored += entry["penalty"]
        self.history.append(entry)
        if not math.isfinite(loss + monitored):
            raise DivergenceError(
                f"training diverged in epoch {entry['epoch']}: the loss is {loss}; "
                "lower learning_rate, or scale the data to [0, 1]"
            )
        return monitored


class PhoenixRegressor(DynamicsRegressor):
    """Gene-regulatory dynamics modelled by PHOENIX, a neural ODE [1]_, pruned as in DASH [2]_.

    Parameters
    ----------
    n_hidden : int
        Number of sums, and of products, in the hidden layer. Published values: 40 for the simulated
        networks, 120 for yeast and 300 for breast cancer.
    pruning : {"dash", "imp", "biological", "post_hoc", "l0", "c_node", "path_reg", "none"}
        During training, weights are pruned by size and prior ("dash"), by size alone ("imp") or by
        the prior alone ("biological"); after training, once by size ("post_hoc"). Alternatively,
        gates are learned with a penalty on open gates ("l0"), on the sizes of paths ("c_node") or
        on both ("path_reg").
    sparsity : float
        Share of the weights that pruning removes from each layer, in (0, 1). The sparsity of
        methods with a penalty depends on `penalty` instead.
    influence : tuple of (float, float)
        Influence of the prior on the pruning scores of input and of output weights in "dash".
        Published values: (0.5, 0.05) with noise, (0.05, 0.01) without noise and (0.9995, 0.995) for
        breast cancer.
    epochs : int
        Largest number of epochs.
    batch_size : int
        Samples in a step; published: 1.
    learning_rate : float
        Of Adam; that of the multipliers is five times as large. Both are multiplied by 0.9 after
        more than three epochs without a lower validation loss, and reset at each pruning.
    data_weight : float
        Weight of the data in the loss, in (0, 1]; the prior has the rest.
    n_prior_points : int
        Random points at which the network is compared with the prior.
    schedule : tuple of (int, float, int, float)
        First epoch and share of the weights removed then, epochs from one pruning to the next, and
        share of the rest that is removed then.
    fine_tuning : int
        Epochs after pruning, used only if ``pruning="post_hoc"``.
    penalty : float, optional
        Weight of the penalty of "l0", "c_node" or "path_reg", by default 1e-2, 1e-3 or 1e-4; in
        "path_reg", the sizes of paths have ten times this weight.
    time_span : float, optional
        Times are scaled so that the longest sample lasts as long, by default as long as published
        simulations. With None, times are used as given, as published; the result then depends on
        their unit.
    as_published : collection of str
        In which of the ways named in `PUBLISHED` training follows the published code.
    random_state : int, RandomState or None

    Attributes
    ----------
    network_ : Phoenix
    edge_scores_ : DataFrame, genes by genes
        Score of each edge, ``[regulator, target]``, with the sign of the effect; 0 means no edge.
    sparsity_ : float
        Share of zeros among the weights.
    history_ : DataFrame
        Losses and sparsity in each epoch.
    validation_ : ndarray of int
        Positions of the validation samples.
    held_out_errors_ : Series or None
        Mean squared error one interval ahead in the validation samples, of the network, of no
        change, and of AR(1) fitted to the other samples. None if a single sample leaves no others.
    explains_ : bool
        Whether the error of the network is the lowest of these.
    verdict_ : str
        This result in a sentence.
    time_scale_ : float
        Factor of times.
    gene_names_ : ndarray of str
    n_features_in_ : int

    Notes
    -----
    The estimator takes trajectories, so scikit-learn's ``check_estimator`` does not apply.

    References
    ----------
    .. [1] Hossain et al., "Biologically informed NeuralODEs for genome-wide regulatory dynamics",
       Genome Biology 2024.
    .. [2] Hossain et al., "Pruning neural network models for gene regulatory dynamics using data
       and domain knowledge", NeurIPS 2024, arXiv 2403.04805.

    Examples
    --------
    >>> from sbnn.dynamics import GeneNetwork, PhoenixRegressor
    >>> network = GeneNetwork.random(30, random_state=1)
    >>> samples = network.simulate(20, noise=0.025, random_state=1)
    >>> model = PhoenixRegressor(10, sparsity=0.7, epochs=60, random_state=0)
    >>> model = model.fit(samples, prior=network.misplaced_prior(0.05))
    >>> starts = samples[samples.obs["time"] == 0].X
    >>> model.predict(starts[:3], [0, 1, 2]).shape
    (3, 3, 30)
    """

    _parameter_constraints = {
        "n_hidden": COUNT,
        "pruning": [StrOptions({"none", *INFLUENCE, *PENALTIES})],
        "sparsity": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_hidden: int = 40,
        pruning: str = "dash",
        sparsity: float = 0.955,
        influence: tuple[float, float] = (0.5, 0.05),
        *,
        epochs: int = 200,
        batch_size: int = 4,
        learning_rate: float = 1e-3,
        data_weight: float = 1.0,
        n_prior_points: int = 10_000,
        schedule: tuple[int, float, int, float] = (3, 0.7, 10, 0.1),
        fine_tuning: int = 40,
        penalty: float | None = None,
        time_span: float | None = 9.0,
        as_published: Sequence[str] = (),
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.pruning = pruning
        self.sparsity = sparsity
        self.influence = influence
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.data_weight = data_weight
        self.n_prior_points = n_prior_points
        self.schedule = schedule
        self.fine_tuning = fine_tuning
        self.penalty = penalty
        self.time_span = time_span
        self.as_published = as_published
        self.random_state = random_state

    @property
    def algorithm_version(self) -> int:
        """Version stored with results."""
        return 2 if self.pruning in ("c_node", "path_reg") else 1

    def fit(
        self,
        trajectories: AnnData,
        prior: ArrayLike | pd.DataFrame | None = None,
        interactions: ArrayLike | pd.DataFrame | None = None,
    ) -> Self:
        """Train and prune the network.

        Parameters
        ----------
        trajectories : AnnData
            As returned by `sbnn.dynamics.trajectories`.
        prior : array-like or DataFrame, shape (genes, genes), optional
            Known edges, ``[regulator, target]``: positive for activation, negative for repression.
        interactions : array-like or DataFrame, shape (genes, genes), optional
            Which genes act together, such as protein interactions; used by "dash" and "biological"
            instead of the numbers of targets that two genes share in the prior. Of a DataFrame,
            other genes are ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A parameter is out of range, or the prior has the wrong shape or unknown genes, or is
            needed but missing.
        DivergenceError
            The loss is not finite.

        Warns
        -----
        UserWarning
            Epochs are too few to reach the sparsity, or no edge is left.
        """
        self._validate_params()
        unknown = set(self.as_published) - {*PUBLISHED}
        if unknown:
            raise ValueError(f"as_published: expected some of {PUBLISHED}, got {unknown}")
        influence = INFLUENCE.get(self.pruning, (0.0, 0.0)) or self.influence
        if np.shape(influence) != (2,) or min(influence) < 0 or max(influence) > 1:
            raise ValueError(f"influence: expected two numbers in [0, 1], got {influence}")
        samples, prior = self._checked(trajectories, prior)
        if (any(influence) or self.data_weight < 1) and not prior.any():
            raise ValueError(f"prior: {self} needs a prior with edges")
        prior = torch.from_numpy(prior)
        names = self.gene_names_
        if interactions is not None:
            interactions = pd.DataFrame(interactions, names, names, dtype=float).fillna(0)
            interactions = torch.tensor(interactions.to_numpy())
            if not interactions.any():
                raise ValueError("interactions: expected some between genes of the trajectories")
        self.time_scale_ = 1.0
        if self.time_span is not None:
            self.time_scale_ = float(self.time_span / max(map(np.ptp, samples.times)))
        random = check_random_state(self.random_state)
        generator = torch.Generator().manual_seed(random.randint(2**31 - 1))
        order = random.permutation(len(samples.times))
        n_aside = min(max(round(VALIDATION_SHARE * len(order)), 1), len(order) - 1)
        self.validation_ = np.sort(order[:n_aside])
        aside = samples.chosen(self.validation_)
        train = samples.chosen(np.sort(order[n_aside:]))
        with reproducible():
            network = Phoenix(
                len(names), self.n_hidden, generator, self.as_published, self.pruning in PENALTIES
            )
            pruner = None
            if self.pruning in INFLUENCE:
                pruner = Pruner(network, influence, prior, generator, interactions)
            parts = [Intervals(part, self.time_scale_) for part in (train, aside) if part.times]
            training = Training(self, network, generator, *parts, pruner=pruner, prior=prior)
            self._train(training)
            network.settle()
            self.network_ = network
            edges = network.edges().numpy()
            found = validated(self._path, train, aside)
            self.held_out_errors_, self.explains_, self.verdict_ = found
        if not edges.any():
            warn("no edge is left; use a lower `sparsity` or a lower `penalty`")
        self.edge_scores_ = pd.DataFrame(edges, names, names)
        self.sparsity_ = network.sparsity()
        self.history_ = pd.DataFrame(training.history)
        return self

    def _train(self, training):
        at = {}
        after_training = self.pruning == "post_hoc"
        if training.pruner is not None and not after_training:
            at = prunings(self.sparsity, *self.schedule)
            if "prune_before_epoch" in self.as_published:
                at = {max(epoch - 1, 0): left for epoch, left in at.items()}
        training.run(self.epochs, at)
        last = max(at, default=-1)
        if last >= self.epochs:
            warn(
                f"sparsity {self.sparsity} is scheduled after epoch {last}, but training ends "
                f"after epoch {self.epochs}; pruning is completed then, without further training"
            )
        if last >= self.epochs or after_training:
            training.pruner.prune(1 - self.sparsity)
        if after_training:
            training.run(self.fine_tuning, {})

    def _path(self, start, times):
        with torch.no_grad():
            network = copy.deepcopy(self.network_).double()
            return follow(network, start, times, time_scale=self.time_scale_)
