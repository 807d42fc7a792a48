"""Gene networks with a known truth, and samples simulated from them, as in Hossain et al. (2024).

Published rate equations have the form ``(target * 1 - 1 * gene) / 1``. A target is an activation
``fAct(...)``, a repression ``1 - fAct(...)``, ``a * b`` (AND), or ``a + b - a * b`` (OR).
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from sbnn.data.checks import abbreviate, check_names, numbered_names
from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.errors import check_number

SOURCE = "simulated after Hossain et al., Genome Biology (2024), and arXiv 2403.04805"
TIMES = (0.0, 2.0, 3.0, 7.0, 9.0)

_LARGEST_OFFSET = 0.25
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


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
    equations: dict
    mean: np.ndarray
    sd: np.ndarray
    offset: np.ndarray
    name: str = "network"

    def __post_init__(self):
        names = list(self.gene_names)
        self.gene_names = check_names(names, "gene_names", "gene", len(names))
        unknown = set(self.equations) - set(names)
        if unknown:
            raise ValueError(f"equations: {abbreviate(unknown)} are not among gene_names")
        self.is_input = ~np.isin(self.gene_names, list(self.equations))
        self._regulated = np.flatnonzero(~self.is_input)
        effects = {}
        rows = []
        for gene in self.gene_names[self._regulated]:
            try:
                equation = ast.parse(self.equations[gene].strip(), mode="eval").body
                rows.append(_compilable(equation, names, effects))
            except (SyntaxError, TypeError, ValueError) as error:
                raise ValueError(f"rate equation of {gene}: {error}") from error
        # `rows` is made of positions, numbers and operators only
        self._changes = eval(f"lambda e, x: [{', '.join(rows)}]", {"__builtins__": {}})
        self._regulators = np.array([regulator for regulator, _, _ in effects], dtype=int)
        ec50, self._exponent = np.array(list(effects)).reshape(-1, 3)[:, 1:].T.copy()
        self._half = ec50**self._exponent

    @classmethod
    def from_table(cls, equations: str | Path, like: AnnData) -> Self:
        """Read a CSV table of rate equations; genes and first values are like those of `like`."""
        genes = like.var_names.to_numpy(str)
        texts = pd.read_csv(equations).set_index("node")["eqn"][genes]
        regulated = texts[texts != "input gene"].to_dict()
        samples = as_trajectories(like).values
        first = np.stack([values[0] for values in samples])  # (samples, genes)
        mean = first.mean(axis=0)
        sd = np.maximum(first.std(axis=0, ddof=1), 0.01)
        offset = np.clip(mean - 0.5, -_LARGEST_OFFSET, _LARGEST_OFFSET)
        return cls(genes, regulated, mean, sd, offset)

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
        regulators = np.append(np.arange(n_inputs), np.arange(n_inputs, n_genes, 12))
        popularity = rng.pareto(1.5, len(regulators)) + 0.3
        equations = {}
        for target in range(n_inputs, n_genes):
            weights = np.where(regulators == target, 0.0, popularity)
            size = min(1 + rng.poisson(1.0), np.count_nonzero(weights))
            shares = weights / weights.sum()
            chosen = rng.choice(regulators, size, replace=False, p=shares)
            equations[names[target]] = f"{_random_target(names, chosen, rng)} - {names[target]}"
        mean = rng.beta(10, 10, n_genes)
        largest = np.minimum(mean, 1 - mean)
        sd = np.maximum(0.01, rng.beta(15, 15, n_genes) * largest / 3)
        offset = rng.uniform(-_LARGEST_OFFSET, _LARGEST_OFFSET, n_genes)
        return cls(names, equations, mean, sd, offset, name=f"random_{n_genes}")

    @property
    def graph(self) -> pd.DataFrame:
        """Regulators by targets, int8: 1 for activation, -1 for repression.

        The sign is that of the change of the rate if one effect rises while all others and all
        levels are 1/2; effects without a change are no edges.
        """
        n_genes = len(self.gene_names)
        one = np.eye(len(self._regulators)) / 2
        levels = np.full(n_genes, 0.5)
        above = self._changes(0.5 + one, levels)
        below = self._changes(0.5 - one, levels)
        signs = np.zeros((n_genes, n_genes), dtype=np.int8)
        for target, high, low in zip(self._regulated, above, below, strict=True):
            signs_of_effects = np.sign(high - low)
            for effect in np.flatnonzero(signs_of_effects):
                signs[self._regulators[effect], target] = signs_of_effects[effect]
        return pd.DataFrame(signs, self.gene_names, self.gene_names)

    def rates(self, values: ArrayLike) -> np.ndarray:
        """Rates of all genes at their levels `values`, shape (genes,)."""
        values = np.asarray(values, dtype=float)
        powers = np.maximum(values[self._regulators], 0) ** self._exponent
        # the paper's B x^n / (K + x^n), without the pole of B and K
        effects = (1 - self._half) * powers / (self._half + (1 - 2 * self._half) * powers)
        rates = np.zeros(len(values))
        # elements of a list are faster than those of an array
        rates[self._regulated] = self._changes(effects.tolist(), values.tolist())
        return rates

    def solve(self, start: ArrayLike, times: ArrayLike) -> np.ndarray:
        """Simulate without noise from `start`, (samples, genes), to (samples, times, genes)."""
        span = times[0], times[-1]
        paths = []
        # one by one, as each needs steps of its own
        for state in start:
            path = solve_ivp(
                lambda _, x: self.rates(x), span, state, "LSODA", times, rtol=1e-9, atol=1e-9
            )
            paths.append(path.y.T)
        return np.stack(paths)

    def start(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw starting values of shape (n, genes), in [0, 1]."""
        values = np.clip(rng.beta(2, 2, (n, len(self.gene_names))) + self.offset, 0, 1)
        mean = self.mean[self.is_input]
        sd = self.sd[self.is_input]
        inputs = np.full((n, len(mean)), np.inf)
        while (outside := inputs != np.clip(inputs, 0, 1)).any():
            inputs = np.where(outside, rng.normal(mean, sd, inputs.shape), inputs)
        values[:, self.is_input] = inputs
        return values

    def simulate(
        self, n: int, noise: float = 0.0, random_state: int = 0, times: ArrayLike = TIMES
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
        times = tuple(map(float, times))
        of_starts, of_noise = map(
            np.random.default_rng, np.random.SeedSequence(random_state).spawn(2)
        )
        values = self.solve(self.start(n, of_starts), times)
        values += noise * of_noise.standard_normal(values.shape)
        return trajectories(
            values,
            times,
            self.gene_names,
            name=f"simulated_{self.name}",
            source=SOURCE,
        )

    def misplaced_prior(self, share: float, random_state: int = 0) -> pd.DataFrame:
        """Prior network with a share of the edges at random places.

        Parameters
        ----------
        share : float
            In [0, 1].
        random_state : int

        Returns
        -------
        DataFrame of int8
            Like `graph`. Moved edges keep their signs; none is true or joins a gene with itself.
        """
        check_number("share", share, float, 0, 1)
        rng = np.random.default_rng(random_state)
        prior = self.graph.to_numpy(copy=True)
        edges = np.argwhere(prior)
        free = np.argwhere((prior == 0) & ~np.eye(len(prior), dtype=bool))
        n_moved = int(share * len(edges) + 1e-9)
        moved = rng.permutation(edges)[:n_moved]
        places = rng.permutation(free)[:n_moved]
        signs = prior[*moved.T]
        prior[*moved.T] = 0
        prior[*places.T] = signs
        return pd.DataFrame(prior, self.gene_names, self.gene_names)


def _random_target(names, regulators, rng):
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


def _compilable(node, genes, effects):
    """Equation with levels as ``x[i]`` and effects, (regulator, EC50, n), as ``e[i]``."""
    match node:
        case ast.Constant(number) if math.isfinite(number):
            return repr(float(number))
        case ast.Name(gene) if gene in genes:
            return f"x[{genes.index(gene)}]"
        case ast.Call(
            ast.Name("fAct"), [ast.Name(gene), ast.Constant(ec50), ast.Constant(n)], []
        ) if gene in genes and 0 < ec50 < 1 and 0 < n < math.inf:
            effect = genes.index(gene), ec50, n
            return f"e[{effects.setdefault(effect, len(effects))}]"
        case ast.BinOp(_, ast.Div(), right) if not getattr(right, "value", 0):
            pass  # what divides could be 0
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
            left = _compilable(left, genes, effects)
            right = _compilable(right, genes, effects)
            return f"({left} {OPERATORS[type(operator)]} {right})"
    allowed = "genes, numbers, + - *, / by a number, fAct(gene, EC50 in (0, 1), n > 0)"
    raise ValueError(f"expected {allowed}, got {ast.unparse(node)!r}")
