"""Gene networks with a known truth: who regulates whom, by what logic, and what follows from it over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp

from sbnn.data.checks import check_names, some
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.rate_equations import And, Logic, Or, Regulation, parse_rate_equation, regulations
from sbnn.data.starting_values import StartingValues, draw_starting_values, starting_values_like
from sbnn.data.trajectories import Trajectories, check_times

SOURCE = "simulated after Hossain et al., Genome Biology (2024), and arXiv 2403.04805"
TIMES = (0.0, 2.0, 3.0, 7.0, 9.0)

_TOLERANCE = 1e-9  # relative, of the solver
_SAME = 1e-8  # of parameters that two tables give with different digits
_NETWORK_SEED = 0  # of the starting values of a network that is read
_FORMAT = 1  # to be raised whenever the same parameters come to give other data


@dataclass(frozen=True, eq=False, repr=False)
class GeneNetwork:
    """Genes whose rates of change follow from their regulators: ``dx/dt = logic(x) - x``, or 0 of an input gene.

    Parameters
    ----------
    gene_names : sequence of str
        Unique.
    logic : mapping of str to Regulation, And or Or
        Of every gene that has regulators; the others are inputs, which stay as they start.
    starts : StartingValues, optional
        How samples start; by default drawn with a fixed seed, so that all simulations of one network start alike.
    name : str

    Raises
    ------
    ValueError
        Duplicate names, a gene or regulator that is not among the names, a gene that a regulator acts on twice, an EC50
        out of (0, 1), an exponent that is not above 0.
    """

    gene_names: np.ndarray
    logic: dict[str, Logic]
    starts: StartingValues | None = None
    name: str = "network"

    def __post_init__(self) -> None:
        """Validate, and lay the logic out for evaluation."""
        names = check_names(self.gene_names, "gene_names", "gene", len(self.gene_names))
        logic = dict(self.logic)
        regulators = {edge.regulator for rule in logic.values() for edge in regulations(rule)}
        unknown = sorted((logic.keys() | regulators) - set(names))
        if unknown:
            raise ValueError(f"logic: there are no genes of the names {some(unknown)}")
        for gene, rule in logic.items():
            acting = [edge.regulator for edge in regulations(rule)]
            if len(set(acting)) < len(acting):
                raise ValueError(f"logic of {gene}: a regulator acts twice")
            for edge in regulations(rule):
                if not (0 < edge.ec50 < 1 and 0 < edge.exponent < np.inf):
                    raise ValueError(f"logic of {gene}: expected an EC50 in (0, 1) and an exponent above 0, got {edge}")
        order = [gene for gene in names if gene in logic]
        is_input = np.array([gene not in logic for gene in names])
        starts = draw_starting_values(is_input, _NETWORK_SEED) if self.starts is None else self.starts
        checked = {"gene_names": names, "logic": {gene: logic[gene] for gene in order}, "starts": starts}
        for field_name, value in (checked | {"is_input": is_input, "_rules": _Rules(names, checked["logic"])}).items():
            object.__setattr__(self, field_name, value)  # the class is frozen to everyone else

    @classmethod
    def from_tables(cls, edges: Any, equations: Any, names: Any, name: str = "network") -> GeneNetwork:
        """Read a network.

        Parameters
        ----------
        edges : DataFrame or path-like
            Columns ``from``, ``to``, ``activation`` (bool), ``EC50`` and ``n``.
        equations : DataFrame or path-like
            Columns ``node`` and ``eqn``, see `sbnn.data.rate_equations`.
        names : sequence of str, or path-like
            Order of the genes, or a table with it in the first column. The suffix ``_input`` is left out.
        name : str

        Returns
        -------
        GeneNetwork

        Raises
        ------
        ValueError
            Columns that are not there, tables of different genes or edges, an equation of another form.
        """
        edges = _table(edges, "edges", ("from", "to", "activation", "EC50", "n"))
        equations = _table(equations, "equations", ("node", "eqn"))
        if not isinstance(names, list | tuple | np.ndarray | pd.Index | pd.Series):
            names = pd.read_csv(names).iloc[:, 0]
        names = [str(gene).removesuffix("_input") for gene in names]
        strangers = set(names) ^ set(equations["node"])
        if strangers or equations["node"].duplicated().any():
            raise ValueError(
                f"equations: expected one of each gene; names that do not match: {some(sorted(strangers))}"
            )
        rules = {gene: parse_rate_equation(text, gene) for gene, text in equations[["node", "eqn"]].itertuples(False)}
        network = cls(names, {gene: rule for gene, rule in rules.items() if rule is not None}, name=name)
        of_equations = {
            (edge.regulator, gene): edge for gene, rule in network.logic.items() for edge in regulations(rule)
        }
        of_table = {
            (row[0], row[1]): Regulation(row[0], bool(row[2]), float(row[3]), float(row[4]))
            for row in edges[["from", "to", "activation", "EC50", "n"]].itertuples(index=False)
        }
        differ = of_equations.keys() ^ of_table.keys() | {
            key for key in of_equations.keys() & of_table.keys() if not _same(of_equations[key], of_table[key])
        }
        if differ or len(of_table) < len(edges):
            listed = some(sorted(f"{regulator} -> {target}" for regulator, target in differ))
            raise ValueError(f"edges: not those of the equations, or not once each: {listed}")
        return network

    @classmethod
    def random(
        cls,
        n_genes: int,
        share_of_inputs: float = 0.2,
        mean_regulators: float = 2.0,
        share_of_activations: float = 0.68,
        ec50: tuple[float, float] = (0.4, 0.6),
        exponent: tuple[float, float] = (1.01, 1.7),
        random_state: int = 0,
    ) -> GeneNetwork:
        """Draw a network of any size, with the proportions of the published one of 350 genes.

        Every target has one regulator and a Poisson number more; regulators are the inputs and one in twelve targets,
        some of which regulate many. Regulators are joined one after the other, by AND or OR as likely.

        Parameters
        ----------
        n_genes : int
            At least 3.
        share_of_inputs : float
            Of the genes, in (0, 1).
        mean_regulators : float
            Of a target, at least 1.
        share_of_activations : float
            Of the edges.
        ec50, exponent : tuple of (float, float)
            Lowest and highest.
        random_state : int

        Returns
        -------
        GeneNetwork

        Raises
        ------
        TypeError
            A number or seed that is no integer.
        ValueError
            Numbers out of range.
        """
        for argument, value, least in (("n_genes", n_genes, 3), ("random_state", random_state, 0)):
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"{argument} must be an integer, got {value!r}")
            if value < least:
                raise ValueError(f"{argument} must be at least {least}, got {value}")
        if not (0 < share_of_inputs < 1 and mean_regulators >= 1 and 0 <= share_of_activations <= 1):
            raise ValueError(
                "share_of_inputs must be in (0, 1), mean_regulators at least 1 and share_of_activations in [0, 1], got "
                f"{share_of_inputs}, {mean_regulators} and {share_of_activations}"
            )
        rng = np.random.default_rng(random_state)
        n_inputs = min(max(round(share_of_inputs * n_genes), 1), n_genes - 1)
        names = np.array([f"gene_{i:0{len(str(n_genes - 1))}d}" for i in range(n_genes)])
        regulators = np.append(np.arange(n_inputs), np.arange(n_inputs, n_genes, 12))
        popularity = rng.pareto(1.5, len(regulators)) + 0.3
        logic = {}
        for target in range(n_inputs, n_genes):
            weights = np.where(regulators == target, 0.0, popularity)
            size = min(1 + rng.poisson(mean_regulators - 1), np.count_nonzero(weights))
            chosen = rng.choice(regulators, size, replace=False, p=weights / weights.sum())
            rule = None
            for regulator in chosen:
                edge = Regulation(
                    str(names[regulator]), bool(rng.random() < share_of_activations), rng.uniform(*ec50),
                    rng.uniform(*exponent),
                )  # fmt: skip
                join = And if rng.random() < 0.5 else Or
                rule = edge if rule is None else join(rule, edge)
            logic[str(names[target])] = rule
        starts = draw_starting_values(np.arange(n_genes) < n_inputs, rng)
        return cls(names, logic, starts, name=f"random_{n_genes}")

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return len(self.gene_names)

    @property
    def graph(self) -> pd.DataFrame:
        """Regulators by targets: 1 an activation, -1 a repression, 0 no edge; int8."""
        table = pd.DataFrame(0, self.gene_names, self.gene_names, dtype=np.int8)
        for gene, rule in self.logic.items():
            for edge in regulations(rule):
                table.loc[edge.regulator, gene] = 1 if edge.activation else -1
        return table

    def __repr__(self) -> str:
        """Tell name and size in one line."""
        n_edges = len(self._rules.regulator)
        return f"GeneNetwork({self.name!r}: {self.n_genes} genes, {self.is_input.sum()} inputs, {n_edges} edges)"

    def rates(self, values: np.ndarray) -> np.ndarray:
        """Rates of change.

        Parameters
        ----------
        values : ndarray, shape (genes, ...)

        Returns
        -------
        ndarray, shape (genes, ...)
        """
        rates = np.zeros_like(values)
        rates[~self.is_input] = self._rules(values) - values[~self.is_input]
        return rates

    def solve(self, start: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Follow samples over time, without noise.

        Parameters
        ----------
        start : ndarray, shape (samples, genes)
        times : array-like, shape (times,)
            Increasing; the first is that of the start.

        Returns
        -------
        ndarray of float64, shape (samples, times, genes)

        Raises
        ------
        RuntimeError
            The solver stopped before the last time.
        """
        times = np.asarray(times, dtype=np.float64)
        followed = []
        for sample in np.asarray(start, dtype=np.float64):  # one by one: each has steps, and a stiff method, of its own
            solution = solve_ivp(
                lambda _, x: self.rates(x), times[[0, -1]], sample, "LSODA", times, rtol=_TOLERANCE, atol=_TOLERANCE
            )
            if not solution.success:
                raise RuntimeError(f"the solver stopped: {solution.message}")
            followed.append(solution.y.T)
        return np.stack(followed)

    def simulate(self, n: int, noise: float = 0.0, random_state: int | None = None, times: Any = TIMES) -> Trajectories:
        """Draw samples and follow them over time.

        Parameters
        ----------
        n : int
            Samples.
        noise : float
            Standard deviation of the normal noise that is added to every value, that of the inputs and of the first
            time too. The published names "5, 10 and 20 %" stand for 0.025, 0.05 and 0.1.
        random_state : int, optional
            Seed of starting values and noise; 0 by default. Starting values do not depend on `noise`.
        times : array-like, shape (times,)

        Returns
        -------
        Trajectories
            Not cut off at zero, which noise passes.

        Raises
        ------
        ValueError
            Less than one sample, noise that is negative or not finite, a single time, times that do not increase.
        """
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            raise ValueError(f"n must be an integer of at least 1, got {n!r}")
        if not (np.isfinite(noise) and noise >= 0):
            raise ValueError(f"noise must be finite and at least 0, got {noise}")
        if np.size(times) < 2:
            raise ValueError(f"times: expected two or more, got {times!r}")
        check_times(times, 1, np.size(times))
        seed = 0 if random_state is None else random_state
        rng, of_noise = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
        values = self.solve(self.starts.draw(n, rng), times)
        values = values + noise * of_noise.standard_normal(values.shape)
        made = {"generator": "GeneNetwork.simulate", "format": _FORMAT, "n": int(n), "noise": float(noise)}
        made |= {"random_state": int(seed), "times": np.asarray(times, dtype=float), "network": self.sha256}
        return Trajectories(
            values, times, self.gene_names, signed=True, name=f"simulated_{self.name}", source=SOURCE,
            sha256=fingerprint_parameters(made),
        )  # fmt: skip

    @property
    def sha256(self) -> str:
        """Fingerprint of names, logic and starting values."""
        starts = self.starts
        parts = {"names": self.gene_names, "logic": {gene: repr(rule) for gene, rule in self.logic.items()}}
        parts |= {"mean": starts.input_mean, "sd": starts.input_sd, "offset": starts.offset}
        return fingerprint_parameters(parts)

    def starting_like(self, trajectories: Trajectories) -> GeneNetwork:
        """Take over how the samples of other trajectories start.

        The published training samples are not to be had, and how they started is known from the test samples alone.
        Of those only the values at the first time are looked at.

        Parameters
        ----------
        trajectories : Trajectories
            Of the same genes.

        Returns
        -------
        GeneNetwork

        Raises
        ------
        ValueError
            Of other genes, or a single sample, which does not tell how samples differ.
        """
        if len(trajectories) < 2:
            raise ValueError("trajectories: expected two samples or more, got 1")
        if trajectories.gene_names.tolist() != self.gene_names.tolist():
            raise ValueError("trajectories: expected the genes of the network, in its order")
        return replace(self, starts=starting_values_like(trajectories.values[:, 0], self.is_input))

    def misplaced_prior(self, share: float, random_state: int | None = None) -> pd.DataFrame:
        """Move a share of the edges to random places, with their signs, as prior knowledge that is partly wrong.

        Parameters
        ----------
        share : float
            In [0, 1]; of the edges, rounded down. The published names "5, 10 and 20 %" mean this.
        random_state : int, optional
            Seed; 0 by default.

        Returns
        -------
        DataFrame of int8
            As `graph`. No misplaced edge is a true one or acts on its own regulator.

        Raises
        ------
        ValueError
            A share out of its range.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1], got {share}")
        rng = np.random.default_rng(0 if random_state is None else random_state)
        truth = self.graph.to_numpy()
        edges = np.argwhere(truth)
        moved = edges[rng.permutation(len(edges))[: int(share * len(edges) + 1e-9)]]
        free = np.argwhere((truth == 0) & ~np.eye(self.n_genes, dtype=bool))
        places = free[rng.permutation(len(free))[: len(moved)]]
        prior = truth.copy()
        prior[tuple(moved.T)] = 0
        prior[tuple(places.T)] = truth[tuple(moved.T)][: len(places)]
        return pd.DataFrame(prior, self.gene_names, self.gene_names)


class _Rules:
    """The logic of all genes as arrays: the regulations first, then what joins two earlier ones, level by level."""

    def __init__(self, names, logic):
        index = pd.Index(names)
        edges = [edge for rule in logic.values() for edge in regulations(rule)]
        self.regulator = index.get_indexer([edge.regulator for edge in edges])
        self.exponent = np.array([edge.exponent for edge in edges])
        self.half = np.array([edge.ec50 for edge in edges]) ** self.exponent
        self.represses = np.array([not edge.activation for edge in edges], dtype=bool)
        levels, tops, self.n_nodes = {}, [], len(edges)
        edge = iter(range(len(edges)))

        def visit(rule):
            """Level of a rule and its node, a list to be numbered."""
            if isinstance(rule, Regulation):
                return 0, [next(edge)]
            (depth, one), (other_depth, other) = visit(rule.one), visit(rule.other)
            level, node = 1 + max(depth, other_depth), []
            levels.setdefault(level, []).append((node, one, other, isinstance(rule, Or)))
            return level, node

        tops = [visit(rule)[1] for rule in logic.values()]
        self.levels = []
        for level in sorted(levels):
            for node, *_ in levels[level]:
                node.append(self.n_nodes)
                self.n_nodes += 1
            one, other, is_or = zip(
                *((one[0], other[0], either) for _, one, other, either in levels[level]), strict=True
            )
            self.levels.append((np.array(one), np.array(other), np.array(is_or)))
        self.tops = np.array([node[0] for node in tops], dtype=int)

    def __call__(self, values):
        """What the rules give, shape (targets, ...), of values of all genes, shape (genes, ...)."""
        wide = (slice(None), *(None,) * (values.ndim - 1))
        powers = np.maximum(values[self.regulator], 0) ** self.exponent[wide]
        nodes = np.empty((self.n_nodes, *values.shape[1:]))
        done = len(powers)
        half = self.half[wide]
        nodes[:done] = (1 - half) * powers / (half + (1 - 2 * half) * powers)  # B and K of the paper, without a pole
        nodes[:done][self.represses] = 1 - nodes[:done][self.represses]
        for one, other, is_or in self.levels:
            a, b = nodes[one], nodes[other]
            both = a * b
            nodes[done : done + len(one)] = np.where(is_or[wide], a + b - both, both)
            done += len(one)
        return nodes[self.tops]


def _same(one: Regulation, other: Regulation) -> bool:
    close = abs(one.ec50 - other.ec50) < _SAME and abs(one.exponent - other.exponent) < _SAME
    return one.activation == other.activation and close


def _table(given: Any, argument: str, columns: tuple[str, ...]) -> pd.DataFrame:
    table = given if isinstance(given, pd.DataFrame) else pd.read_csv(given)
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{argument}: the column(s) {missing} are missing; there are {list(table.columns)}")
    return table
