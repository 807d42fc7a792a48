"""Gene networks with a known truth, and their simulation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp
from scipy.special import expit

from sbnn.data.checks import check_names, numbered_names, some
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.rate_equations import And, Or, Regulation, parse_rate_equation, regulations
from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.errors import check_among, check_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from anndata import AnnData
    from numpy.typing import ArrayLike


SOURCE = "simulated after Hossain et al., Genome Biology (2024), and arXiv 2403.04805"
TIMES = (0.0, 2.0, 3.0, 7.0, 9.0)
KINDS = ("logic", "sigmoid", "hill", "thermodynamic", "lag")

_TOLERANCE = 1e-9  # of the solver
_FORMAT = 1  # raise it when a change alters the data
_LARGEST_OFFSET = 0.25
_LAG = 1.5  # of proteins


@dataclass(frozen=True)
class Starts:
    """Starting values: normal for inputs, shifted Beta(2, 2) for other genes."""

    mean: np.ndarray  # NaN unless the gene is an input
    sd: np.ndarray
    offset: np.ndarray  # NaN for inputs

    @classmethod
    def of(cls, is_input, mean, sd, offset):
        """Distributions, with NaN for parameters that do not apply."""
        mean = np.where(is_input, mean, np.nan)
        sd = np.where(is_input, sd, np.nan)
        return cls(mean, sd, np.where(is_input, np.nan, offset))

    @classmethod
    def random(cls, is_input, rng):
        """Draw a random distribution for each gene."""
        n = len(is_input)
        mean = rng.beta(10, 10, n)
        largest = np.minimum(mean, 1 - mean)
        sd = np.maximum(0.01, rng.beta(15, 15, n) * largest / 3)
        offset = rng.uniform(-_LARGEST_OFFSET, _LARGEST_OFFSET, n)
        return cls.of(is_input, mean, sd, offset)

    def draw(self, n, rng):
        """Draw values of shape (n, genes), in [0, 1]."""
        is_input = ~np.isnan(self.mean)
        values = np.clip(rng.beta(2, 2, (n, len(is_input))) + self.offset, 0, 1)
        mean = self.mean[is_input]
        sd = self.sd[is_input]
        outside = np.ones((n, len(mean)), dtype=bool)
        inputs = np.zeros(outside.shape)
        while outside.any():
            inputs = np.where(outside, rng.normal(mean, sd, outside.shape), inputs)
            outside = (inputs < 0) | (inputs > 1)
        values[:, is_input] = inputs
        return values


@dataclass(eq=False, repr=False)
class GeneNetwork:
    """A network in which ``dx/dt`` is ``logic(x) - x`` for regulated genes and 0 for inputs.

    Parameters
    ----------
    gene_names : sequence of str
        Unique.
    logic : mapping of str to Regulation, And or Or
        Logic of the genes with regulators (see `sbnn.data.rate_equations`); others are constant.
    starts : Starts, optional
        Distribution of starting values.
    name : str, optional

    Attributes
    ----------
    is_input : ndarray of bool, shape (genes,)

    Raises
    ------
    ValueError
        If names repeat or are unknown, an edge repeats, or an EC50 or exponent is out of range.

    Examples
    --------
    >>> from sbnn.dynamics import GeneNetwork
    >>> network = GeneNetwork.random(20, random_state=0)
    >>> samples = network.simulate(3, noise=0.025, random_state=0)
    >>> samples.shape, network.misplaced_prior(0.05).shape
    ((15, 20), (20, 20))
    """

    gene_names: np.ndarray
    logic: dict
    starts: Starts | None = None
    name: str = "network"

    def __post_init__(self):
        names = check_names(self.gene_names, "gene_names", "gene", len(self.gene_names))
        self._check_logic(names)
        self.gene_names = names
        self.logic = {gene: self.logic[gene] for gene in names if gene in self.logic}
        self.is_input = ~np.isin(names, list(self.logic))
        if self.starts is None:
            self.starts = Starts.random(self.is_input, np.random.default_rng(0))
        self._rules = _Rules(names, self.logic)

    def _check_logic(self, names):
        wrong = []
        acting = set()
        for edge, gene in self.edges:
            if not (0 < edge.ec50 < 1 and 0 < edge.exponent < np.inf):
                wrong.append(edge)
            if (edge.regulator, gene) in acting:
                wrong.append(f"{edge} twice")
            acting.add((edge.regulator, gene))
        wrong += sorted(set(itertools.chain(*acting)).difference(names))
        if wrong:
            text = "unknown genes, repeated edges, or EC50 or exponent out of range"
            raise ValueError(f"logic: {text}: {some(wrong)}")

    @classmethod
    def from_tables(
        cls, equations: pd.DataFrame, names: Sequence[str], name: str = "network"
    ) -> Self:
        """Read CSV tables of rate equations and of genes, in their order."""
        table = pd.read_csv(equations)
        if not {"node", "eqn"} <= {*table}:
            raise ValueError(f"equations: expected columns node and eqn, got {some(table)}")
        texts = table.set_index("node", verify_integrity=True)["eqn"]
        genes = pd.read_csv(names).iloc[:, 0].astype(str)
        genes = genes.str.removesuffix("_input")
        logic = {}
        for gene, text in texts[genes].items():
            rule = parse_rate_equation(text, gene)
            if rule is not None:
                logic[gene] = rule
        return cls(genes, logic, name=name)

    @classmethod
    def random(cls, n_genes: int, random_state: int = 0) -> Self:
        """Draw a random network with the proportions of the published network of 350 genes.

        A fifth of the genes are inputs. Every other gene has 1 + Poisson(1) regulators, out of the
        inputs and one in twelve of the other genes, joined by AND or OR with equal probability. An
        edge is an activation with probability 0.68.

        Parameters
        ----------
        n_genes : int
            At least 3.
        random_state : int
        """
        check_number("n_genes", n_genes, int, 3)
        check_number("random_state", random_state, int, 0)
        rng = np.random.default_rng(random_state)
        n_inputs = max(round(0.2 * n_genes), 1)
        names = numbered_names("gene_", range(n_genes))
        regulators = np.append(np.arange(n_inputs), np.arange(n_inputs, n_genes, 12))
        popularity = rng.pareto(1.5, len(regulators)) + 0.3
        logic = {}
        for target in range(n_inputs, n_genes):
            weights = np.where(regulators == target, 0.0, popularity)
            size = min(1 + rng.poisson(1.0), np.count_nonzero(weights))
            rule = None
            weights /= weights.sum()
            for regulator in rng.choice(regulators, size, replace=False, p=weights):
                activation = bool(rng.random() < 0.68)
                ec50 = rng.uniform(0.4, 0.6)
                edge = Regulation(names[regulator], activation, ec50, rng.uniform(1.01, 1.7))
                join = And if rng.random() < 0.5 else Or
                rule = edge if rule is None else join(rule, edge)
            logic[names[target]] = rule
        starts = Starts.random(np.arange(n_genes) < n_inputs, rng)
        return cls(names, logic, starts, name=f"random_{n_genes}")

    @property
    def edges(self) -> np.ndarray:
        """Edges: each regulation with the gene that it acts on."""
        edges = []
        for gene, rule in self.logic.items():
            edges += [(edge, gene) for edge in regulations(rule)]
        return edges

    @property
    def graph(self) -> pd.DataFrame:
        """Regulators by targets, int8: 1 for activation, -1 for repression."""
        table = pd.DataFrame(0, self.gene_names, self.gene_names, dtype=np.int8)
        for edge, gene in self.edges:
            table.loc[edge.regulator, gene] = 1 if edge.activation else -1
        return table

    def __eq__(self, other):
        return isinstance(other, GeneNetwork) and self.sha256 == other.sha256

    def __hash__(self):
        return hash(self.sha256)

    @property
    def sha256(self) -> str:
        """Fingerprint of the names, the logic and the starting values."""
        logic = {gene: repr(rule) for gene, rule in self.logic.items()}
        return fingerprint_parameters(
            {"names": self.gene_names, "logic": logic} | vars(self.starts)
        )

    def rates(self, values: ArrayLike, kind: str = "logic") -> np.ndarray:
        """Rates at `values`, (genes, ...); with "lag", of genes and then proteins."""
        check_among("kind", kind, KINDS)
        n_genes = len(self.gene_names)
        n_values = 2 * n_genes if kind == "lag" else n_genes
        values = np.asarray(values, dtype=float)
        if len(values) != n_values:
            raise ValueError(f"rates: expected {n_values} genes at `values`, got {len(values)}")
        genes = values[:n_genes]
        if kind == "lag":
            proteins = values[n_genes:]
            decay = 1.4 * genes / (genes + 0.4)
            rates = self._change(self._rules(proteins), decay)
            return np.concatenate([rates, (genes - proteins) / _LAG])
        if kind == "logic":
            return self._change(self._rules(genes), genes)
        return self._change(self._rules.added(genes, kind), genes)

    def _change(self, targets, decay):
        rates = np.zeros_like(decay)
        rates[~self.is_input] = targets - decay[~self.is_input]
        return rates

    def solve(self, start: ArrayLike, times: ArrayLike, kind: str = "logic") -> np.ndarray:
        """Simulate without noise from `start`, (samples, genes), to (samples, times, genes)."""
        times = np.asarray(times, dtype=np.float64)
        n_genes = len(self.gene_names)
        paths = []
        # one by one, as each needs steps of its own
        for state in start:
            if kind == "lag":
                state = np.tile(state, 2)
            path = solve_ivp(
                lambda _, x: self.rates(x, kind),
                times[[0, -1]],
                state,
                method="LSODA",
                t_eval=times,
                rtol=_TOLERANCE,
                atol=_TOLERANCE,
            )
            paths.append(path.y[:n_genes].T)
        return np.stack(paths)

    def simulate(
        self,
        n: int,
        noise: float = 0.0,
        random_state: int = 0,
        times: ArrayLike = TIMES,
        kind: str = "logic",
    ) -> AnnData:
        """Draw samples and simulate them over time.

        Parameters
        ----------
        n : int
        noise : float
            SD of the normal noise; the published "5, 10 and 20 %" are 0.025, 0.05 and 0.1.
        random_state : int
            Starting values do not depend on `noise`.
        times : array-like, shape (times,)
        kind : {"logic", "sigmoid", "hill", "thermodynamic", "lag"}
            Law by which regulators act:

            - "logic": AND and OR of Hill functions, as published.
            - "sigmoid": a sigmoid function of a weighted sum.
            - "hill": a weighted mean of Hill functions.
            - "thermodynamic": occupancy of a promoter, to which regulators help or hinder binding.
            - "lag": like "logic" of proteins, which follow their genes with a lag, and the decay of
              expression saturates.

        Returns
        -------
        AnnData
            As returned by `sbnn.dynamics.trajectories`. Noise makes some values negative.
        """
        check_number("n", n, int, 1)
        check_number("random_state", random_state, int, 0)
        check_number("noise", noise, float, 0)
        of_starts, of_noise = np.random.SeedSequence(random_state).spawn(2)
        start = self.starts.draw(n, np.random.default_rng(of_starts))
        times = np.asarray(times, dtype=float)
        values = _solved(self, start.tobytes(), tuple(times), kind)
        errors = np.random.default_rng(of_noise).standard_normal(values.shape)
        values = values + noise * errors
        made = {
            "generator": "GeneNetwork.simulate",
            "format": _FORMAT,
            "n": int(n),
            "noise": float(noise),
            "random_state": int(random_state),
            "times": times,
            "network": self.sha256,
        }
        if kind != "logic":
            made["kind"] = kind
        name = f"simulated_{self.name}"
        sha256 = fingerprint_parameters(made)
        return trajectories(values, times, self.gene_names, name=name, source=SOURCE, sha256=sha256)

    def starting_like(self, data: AnnData) -> GeneNetwork:
        """Copy of the network with starting values like those of samples."""
        values = as_trajectories(data[:, self.gene_names]).values
        first = np.stack([of_sample[0] for of_sample in values])  # (samples, genes)
        mean = first.mean(axis=0)
        sd = np.maximum(first.std(axis=0, ddof=1), 0.01)
        offset = np.clip(mean - 0.5, -_LARGEST_OFFSET, _LARGEST_OFFSET)
        starts = Starts.of(self.is_input, mean, sd, offset)
        return replace(self, starts=starts)

    def misplaced_prior(self, share: float, random_state: int = 0) -> pd.DataFrame:
        """Prior network with a share of the edges at random places.

        Parameters
        ----------
        share : float
            In [0, 1]; the number of edges is rounded down.
        random_state : int

        Returns
        -------
        DataFrame of int8
            Like `graph`. Moved edges keep their signs; none is true or joins a gene with itself.
        """
        check_number("share", share, float, 0, 1)
        check_number("random_state", random_state, int, 0)
        rng = np.random.default_rng(random_state)
        truth = self.graph.to_numpy(copy=True)
        edges = np.argwhere(truth)
        free = np.argwhere((truth == 0) & ~np.eye(len(truth), dtype=bool))
        n_moved = int(share * len(edges) + 1e-9)
        moved = rng.permutation(edges)[:n_moved]
        places = rng.permutation(free)[:n_moved]
        signs = truth[*moved.T]
        truth[*moved.T] = 0
        truth[*places.T] = signs[: len(places)]
        return pd.DataFrame(truth, self.gene_names, self.gene_names)


@lru_cache(maxsize=6)  # the same trajectories serve several noise levels
def _solved(network, start, times, kind):
    start = np.frombuffer(start).reshape(-1, len(network.gene_names))
    return network.solve(start, times, kind)


class _Rules:
    """The logic of all genes: regulations, then joins of two earlier nodes, level by level."""

    def __init__(self, names, logic):
        of_genes = [list(regulations(rule)) for rule in logic.values()]
        edges = list(itertools.chain(*of_genes))
        self.regulator = pd.Index(names).get_indexer([edge.regulator for edge in edges])
        self.exponent = np.array([edge.exponent for edge in edges])
        ec50 = np.array([edge.ec50 for edge in edges])
        self.half = ec50**self.exponent
        self.represses = np.array([not edge.activation for edge in edges], dtype=bool)
        rng = np.random.default_rng(self.half.view(np.uint64))
        self.sizes = rng.uniform(0.5, 1.5, len(edges))
        self.offsets = rng.uniform(-0.5, 0.5, len(logic))
        self.rule = np.repeat(np.arange(len(logic)), list(map(len, of_genes)))
        positions = itertools.count()
        joins = []
        tops = [_place(rule, positions, joins, len(edges))[0] for rule in logic.values()]
        self.tops = np.array(tops, dtype=int)
        self.n_nodes = len(edges) + len(joins)
        table = np.array(joins, dtype=int).reshape(-1, 5)
        self.levels = []
        for level in np.unique(table[:, 0]):
            joined = table[table[:, 0] == level]
            _, node, one, other, is_or = joined.T.copy()
            self.levels.append((node, one, other, is_or == 1))

    def __call__(self, values):
        """Targets, (targets, ...), at values of shape (genes, ...)."""
        wide = (-1, *[1] * (values.ndim - 1))
        levels = np.maximum(values[self.regulator], 0)
        powers = levels ** self.exponent.reshape(wide)
        half = self.half.reshape(wide)
        nodes = np.empty((self.n_nodes, *values.shape[1:]))
        effects = nodes[: len(powers)]
        # the paper's B and K, without their pole
        below = half + (1 - 2 * half) * powers
        effects[:] = (1 - half) * powers / below
        effects[self.represses] = 1 - effects[self.represses]
        for node, one, other, is_or in self.levels:
            a = nodes[one]
            b = nodes[other]
            both = a * b
            either = a + b - both
            nodes[node] = np.where(is_or.reshape(wide), either, both)
        return nodes[self.tops]

    def added(self, values, kind):
        """Targets by a law that sums effects, at values of shape (genes,)."""
        x = np.maximum(values[self.regulator], 0)
        powers = x**self.exponent
        if kind == "sigmoid":
            slopes = np.where(self.represses, -4, 4) * self.sizes
            return expit(self.offsets + self._sums(slopes * (x - 0.5)))
        if kind == "hill":
            bound = powers / (self.half + powers)
            effects = bound * (1 + self.half)
            effects = np.where(self.represses, 1 - effects, effects)
            return self._sums(effects * self.sizes) / self._sums(self.sizes)
        bound = (powers / self.half) ** 1.5
        helps = np.where(self.represses, 0.05, 8 * self.sizes)
        ratios = (1 + helps * bound) / (1 + bound)
        activity = self.offsets + np.log(0.5)
        return expit(activity + self._sums(np.log(ratios)))

    def _sums(self, effects):
        return np.bincount(self.rule, effects)


def _place(rule, positions, joins, n_edges):
    """Append joins as (level, node, one, other, is_or); return the node and level of a rule."""
    if isinstance(rule, Regulation):
        return next(positions), 0
    one, one_level = _place(rule.one, positions, joins, n_edges)
    other, other_level = _place(rule.other, positions, joins, n_edges)
    node = n_edges + len(joins)
    level = 1 + max(one_level, other_level)
    joins.append((level, node, one, other, isinstance(rule, Or)))
    return node, level
