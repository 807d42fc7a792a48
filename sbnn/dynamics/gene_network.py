"""Gene networks with a known truth, and samples simulated from them, as in Hossain et al. (2024).

Published rate equations have the form ``(target * 1 - 1 * gene) / 1``. A target is an activation
``fAct(...)``, a repression ``1 - fAct(...)``, ``a * b`` (AND), or ``a + b - a * b`` (OR).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from sbnn.data.checks import abbreviate, fill_names, numbered_names
from sbnn.dynamics.data import as_trajectories, trajectories
from sbnn.errors import check_number

SIMULATION_SOURCE = "simulated after Hossain et al., Genome Biology (2024), and arXiv 2403.04805"
PUBLISHED_TIMES = (0.0, 2.0, 3.0, 7.0, 9.0)

_LARGEST_OFFSET = 0.25
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}


@dataclass(eq=False, repr=False)
class GeneNetwork:
    """A network in which the expression of genes changes by rate equations.

    Parameters
    ----------
    gene_names : sequence of str
        Unique names, which are Python names.
    equations : mapping of str to str
        Rate of each regulated gene, such as ``"fAct(A, 0.5, 1.2) * (1 - fAct(B, 0.4, 1.5)) - C"``
        for gene C, of names, numbers, + - * and / by a number; other genes are inputs and constant.
        ``fAct(regulator, EC50, n)`` is 0, 1/2 and 1 at the levels 0, EC50 (in (0, 1)) and 1 of a
        regulator.
    mean, sd : ndarray, shape (genes,)
        Starting values of inputs are normal within [0, 1]; ignored for other genes.
    offset : ndarray, shape (genes,)
        Starting values of other genes are Beta(2, 2) plus this, cut to [0, 1].
    name : str, optional

    Attributes
    ----------
    is_input : ndarray of bool, shape (genes,)

    Raises
    ------
    ValueError
        If names repeat, or an equation has another form or is of an unknown gene.
    """

    gene_names: np.ndarray
    equations: Mapping[str, str]
    mean: np.ndarray
    sd: np.ndarray
    offset: np.ndarray
    name: str = "network"

    def __post_init__(self) -> None:
        names = list(self.gene_names)
        self.gene_names = fill_names(names, "gene_names", kind="gene", size=len(names))
        unknown = set(self.equations) - set(names)
        if unknown:
            raise ValueError(f"equations: {abbreviate(unknown)} are not among gene_names")
        self.is_input = ~np.isin(self.gene_names, list(self.equations))
        self._regulated = np.flatnonzero(~self.is_input)
        effects: dict[tuple[int, float, float], int] = {}
        rows = []
        for gene in self.gene_names[self._regulated]:
            try:
                equation = ast.parse(self.equations[gene].strip(), mode="eval").body
                rows.append(_compile_term(equation, names, effects))
            except (SyntaxError, ValueError) as error:
                raise ValueError(f"rate equation of {gene}: {error}") from error
        # `rows` is made of positions, numbers and operators only
        self._changes = eval(f"lambda e, x: [{', '.join(rows)}]", {"__builtins__": {}})
        table = np.array(list(effects), dtype=float).reshape(-1, 3)
        regulators, ec50, exponents = table.T.copy()
        self._regulators = regulators.astype(int)
        self._exponent = exponents
        self._half = ec50**exponents

    @classmethod
    def from_table(cls, equations: str | Path, like: AnnData) -> Self:
        """Read a CSV table of rate equations; genes and first values are like those of `like`."""
        genes = like.var_names.to_numpy(str)
        texts = pd.read_csv(equations).set_index("node")["eqn"][genes]
        samples = as_trajectories(like).values
        first = np.stack([values[0] for values in samples])  # (samples, genes)
        mean = first.mean(axis=0)
        return cls(
            gene_names=genes,
            equations=texts[texts != "input gene"].to_dict(),
            mean=mean,
            sd=np.maximum(first.std(axis=0, ddof=1), 0.01),
            # 1/2 is the mean of Beta(2, 2)
            offset=np.clip(mean - 0.5, -_LARGEST_OFFSET, _LARGEST_OFFSET),
        )

    @classmethod
    def random(cls, n_genes: int, random_state: int = 0) -> Self:
        """Draw a random network like the published one of 350 genes.

        A fifth of the genes are inputs. The others have 1 + Poisson(1) regulators, out of the
        inputs and one in twelve of the others, joined by AND or OR. An edge is an activation with
        probability 0.68.

        Parameters
        ----------
        n_genes : int
        random_state : int
        """
        rng = np.random.default_rng(random_state)
        n_inputs = max(round(0.2 * n_genes), 1)
        names = numbered_names("gene_", range(n_genes))
        inputs = np.arange(n_inputs)
        regulators = np.append(inputs, np.arange(n_inputs, n_genes, 12))
        # A few regulators have most of the targets, by a distribution with a heavy tail.
        popularity = rng.pareto(1.5, len(regulators)) + 0.3
        equations = {}
        for target in range(n_inputs, n_genes):
            # No gene regulates itself.
            weights = np.where(regulators == target, 0.0, popularity)
            n_candidates = int(np.count_nonzero(weights))
            n_regulators = min(1 + int(rng.poisson(1.0)), n_candidates)
            probabilities = weights / weights.sum()
            chosen = rng.choice(regulators, n_regulators, replace=False, p=probabilities)
            gene = names[target]
            equations[gene] = f"{_random_target(names, chosen, rng)} - {gene}"
        # An SD is at most a third of the distance of the mean from 0 or 1, but not below 0.01.
        mean = rng.beta(10, 10, n_genes)
        largest = np.minimum(mean, 1 - mean)
        sd = np.maximum(0.01, rng.beta(15, 15, n_genes) * largest / 3)
        return cls(
            gene_names=np.array(names),
            equations=equations,
            mean=mean,
            sd=sd,
            offset=rng.uniform(-_LARGEST_OFFSET, _LARGEST_OFFSET, n_genes),
            name=f"random_{n_genes}",
        )

    @property
    def graph(self) -> pd.DataFrame:
        """Regulators by targets, int8: 1 for activation, -1 for repression.

        The sign is that of the change of the rate if one effect rises while all others and all
        levels are 1/2; effects without a change are no edges.
        """
        n_genes = len(self.gene_names)
        # All effects are computed at once: effect i is 1 or 0 in column i, and else 1/2.
        half_of_one = np.eye(len(self._regulators)) / 2
        levels = np.full(n_genes, 0.5)
        above = self._changes(0.5 + half_of_one, levels)
        below = self._changes(0.5 - half_of_one, levels)
        signs = np.zeros((n_genes, n_genes), dtype=np.int8)
        for target, high, low in zip(self._regulated, above, below, strict=True):
            signs_of_effects = np.sign(high - low)
            for effect in np.flatnonzero(signs_of_effects):
                signs[self._regulators[effect], target] = signs_of_effects[effect]
        return pd.DataFrame(signs, self.gene_names, self.gene_names)

    def rates(self, values: ArrayLike) -> np.ndarray:
        """Rates of all genes at their levels `values`, shape (genes,)."""
        levels = np.asarray(values, dtype=float)
        powers = np.maximum(levels[self._regulators], 0) ** self._exponent
        # Hill kinetics, scaled so that an effect is 0, 1/2 and 1 at the levels 0, EC50 and 1: with
        # h = EC50^n, fAct(x) = (1 - h) x^n / (h + (1 - 2 h) x^n). This is the B x^n / (K + x^n) of
        # Hossain et al. (2024), B = (h - 1) / (2 h - 1) and K = B - 1, without their pole at
        # h = 1/2.
        half = self._half  # h
        effects = (1 - half) * powers / (half + (1 - 2 * half) * powers)
        rates = np.zeros(len(levels))
        # elements of a list are faster than those of an array
        rates[self._regulated] = self._changes(effects.tolist(), levels.tolist())
        return rates

    def solve(self, start: ArrayLike, times: ArrayLike) -> np.ndarray:
        """Simulate without noise from `start`, (samples, genes), to (samples, times, genes)."""
        time_grid = np.asarray(times, dtype=float)
        paths = []
        # one by one, as each needs steps of its own
        for state in np.asarray(start, dtype=float):
            path = solve_ivp(
                lambda _, x: self.rates(x),
                (time_grid[0], time_grid[-1]),
                state,
                method="LSODA",
                t_eval=time_grid,
                rtol=1e-9,
                atol=1e-9,
            )
            paths.append(path.y.T)
        return np.stack(paths)

    def start(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw starting values of shape (n, genes), in [0, 1]."""
        shape = (n, len(self.gene_names))
        values = np.clip(rng.beta(2, 2, shape) + self.offset, 0, 1)
        # Inputs are normal within [0, 1], by rejection: those outside are drawn again.
        mean = self.mean[self.is_input]
        sd = self.sd[self.is_input]
        inputs = np.full((n, len(mean)), np.inf)
        while (outside := inputs != np.clip(inputs, 0, 1)).any():
            samples = rng.normal(mean, sd, inputs.shape)
            inputs = np.where(outside, samples, inputs)
        values[:, self.is_input] = inputs
        return values

    def simulate(
        self, n: int, noise: float = 0.0, random_state: int = 0, times: ArrayLike = PUBLISHED_TIMES
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

        Returns
        -------
        AnnData
            As returned by `sbnn.dynamics.trajectories`.
        """
        time_grid = np.asarray(times, dtype=float)
        seed_of_starts, seed_of_noise = np.random.SeedSequence(random_state).spawn(2)
        start = self.start(n, np.random.default_rng(seed_of_starts))
        values = self.solve(start, time_grid)
        rng = np.random.default_rng(seed_of_noise)
        values += noise * rng.standard_normal(values.shape)
        return trajectories(
            values,
            time_grid,
            self.gene_names.tolist(),
            name=f"simulated_{self.name}",
            source=SIMULATION_SOURCE,
        )

    def misplaced_prior(self, fraction: float, random_state: int = 0) -> pd.DataFrame:
        """Prior network with a fraction of the edges at random places.

        Parameters
        ----------
        fraction : float
            In [0, 1].
        random_state : int

        Returns
        -------
        DataFrame of int8
            Like `graph`. Moved edges keep their signs; none is true or joins a gene with itself.
        """
        check_number("fraction", fraction, float, low=0, high=1)
        rng = np.random.default_rng(random_state)
        prior = self.graph.to_numpy(copy=True)
        edges = np.argwhere(prior)
        is_self = np.eye(len(prior), dtype=bool)
        is_free = (prior == 0) & ~is_self
        free = np.argwhere(is_free)
        n_moved = int(fraction * len(edges) + 1e-9)
        moved_from = rng.permutation(edges)[:n_moved].T
        moved_to = rng.permutation(free)[:n_moved].T
        signs = prior[*moved_from]
        prior[*moved_from] = 0
        prior[*moved_to] = signs
        return pd.DataFrame(prior, self.gene_names, self.gene_names)


def _random_target(names, regulators, rng):
    """Effects of regulators joined by AND, ``a * b``, or OR, ``a + b - a * b``."""
    target = ""
    for regulator in regulators:
        activation = rng.random() < 0.68
        ec50 = float(rng.uniform(0.4, 0.6))
        exponent = float(rng.uniform(1.01, 1.7))
        effect = f"fAct({names[regulator]}, {ec50}, {exponent})"
        if not activation:
            effect = f"(1 - {effect})"
        is_and = rng.random() < 0.5  # drawn for the first regulator, too
        if not target:
            target = effect
        elif is_and:
            target = f"{target} * {effect}"
        else:
            target = f"({target} + {effect} - {target} * {effect})"
    return target


def _compile_term(node, genes, effects):
    """Term with levels as ``x[i]`` and effects, (regulator, EC50, n), as ``e[i]``."""
    match node:
        case ast.Constant(int() | float() as number) if math.isfinite(number):
            return repr(float(number))
        case ast.Name(gene) if gene in genes:
            return f"x[{genes.index(gene)}]"
        case ast.Call(
            ast.Name("fAct"),
            [
                ast.Name(gene),
                ast.Constant(int() | float() as ec50),
                ast.Constant(int() | float() as n),
            ],
            [],
        ) if gene in genes and 0 < ec50 < 1 and 0 < n < math.inf:
            effect = (genes.index(gene), ec50, n)
            position = effects.setdefault(effect, len(effects))
            return f"e[{position}]"
        case ast.BinOp(_, ast.Div(), divisor) if not getattr(divisor, "value", 0):
            pass  # what divides could be 0
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
            left_term = _compile_term(left, genes, effects)
            right_term = _compile_term(right, genes, effects)
            return f"({left_term} {OPERATORS[type(operator)]} {right_term})"
    allowed = "genes, numbers, + - *, / by a number, fAct(gene, EC50 in (0, 1), n > 0)"
    raise ValueError(f"expected {allowed}, got {ast.unparse(node)!r}")
