"""Gene networks with a known truth: regulators and logic of every gene, and simulated expression over time."""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp
from scipy.special import expit

from sbnn.data.checks import check_names, some
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.rate_equations import And, Or, Regulation, parse_rate_equation, regulations
from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.errors import attempt, check_among, check_number, documented, naming

SOURCE = "simulated after Hossain et al., Genome Biology (2024), and arXiv 2403.04805"
TIMES = (0.0, 2.0, 3.0, 7.0, 9.0)
#: Laws of regulation that samples can follow.
KINDS = ("logic", "sigmoid", "hill", "thermodynamic", "lag")

_TOLERANCE = 1e-9  # relative tolerance of the solver
_FORMAT = 1  # incremented whenever a change of the code alters the data for given parameters
_LARGEST_OFFSET = 0.25
_LAG = 1.5  # lag of proteins, in units of time


@dataclass(frozen=True)
class Starts:
    """Distribution of each gene's starting values, in [0, 1]: normal for inputs, shifted Beta(2, 2) for other genes."""

    mean: np.ndarray  # NaN unless the gene is an input
    sd: np.ndarray
    offset: np.ndarray  # NaN for inputs

    @classmethod
    def of(cls, is_input, mean, sd, offset):
        """Build the distributions, with NaN for the parameters that do not apply to a gene."""
        return cls(
            *(
                np.where(of, v, np.nan)
                for of, v in ((is_input, mean), (is_input, sd), (~is_input, offset))
            )
        )

    @classmethod
    def random(cls, is_input, rng):
        """Draw a random distribution for each gene."""
        n = len(is_input)
        mean = rng.beta(10, 10, n)
        sd = np.maximum(0.01, rng.beta(15, 15, n) * np.minimum(mean, 1 - mean) / 3)
        return cls.of(is_input, mean, sd, rng.uniform(-_LARGEST_OFFSET, _LARGEST_OFFSET, n))

    def draw(self, n, rng):
        """Draw the starting values of n samples, as an array of shape (n, genes) with values in [0, 1]."""
        is_input = ~np.isnan(self.mean)
        values = np.clip(rng.beta(2, 2, (n, len(is_input))) + self.offset, 0, 1)
        mean, sd = self.mean[is_input], self.sd[is_input]
        inputs = rng.normal(mean, sd, (n, len(mean)))
        while (outside := (inputs < 0) | (inputs > 1)).any():
            inputs = np.where(outside, rng.normal(mean, sd, inputs.shape), inputs)
        values[:, is_input] = inputs
        return values


@dataclass(eq=False, repr=False)
class GeneNetwork:
    """A network of genes, in which ``dx/dt`` is ``logic(x) - x`` for a gene with regulators and 0
    for an input gene.

    Parameters
    ----------
    gene_names : sequence of str
        Unique.
    logic : mapping of str to Regulation, And or Or
        Logic of every gene that has regulators (see `sbnn.data.rate_equations`); the other genes
        are inputs, which stay constant.
    starts : Starts, optional
        Distribution of starting values; the default is drawn with a fixed seed, so it is the same
        for all simulations.
    name : str, optional

    Attributes
    ----------
    is_input : ndarray of bool, shape (genes,)

    Raises
    ------
    ValueError
        If names repeat, a gene or regulator is not among the names, a regulator acts on a gene
        twice, an EC50 is outside (0, 1) or an exponent is not positive.
    """

    gene_names: np.ndarray
    logic: dict
    starts: Starts | None = None
    name: str = "network"

    def __post_init__(self):
        """Validate the network and convert its logic to arrays."""
        with naming(
            "gene_names, logic: expected names, and a Regulation, And or Or for every gene with regulators"
        ):
            names = check_names(self.gene_names, "gene_names", "gene", len(self.gene_names))
            acting = [(edge.regulator, gene) for edge, gene in self.edges]
        wrong = [
            edge for edge, _ in self.edges if not (0 < edge.ec50 < 1 and 0 < edge.exponent < np.inf)
        ]
        wrong += [f"{edge} twice" for edge, times in Counter(acting).items() if times > 1]
        wrong += sorted({gene for edge in acting for gene in edge} - {*names})
        if wrong:
            raise ValueError(
                f"logic: unknown genes, repeated edges, or EC50 or exponent out of range: {some(wrong)}"
            )
        logic = {gene: self.logic[gene] for gene in names if gene in self.logic}
        is_input = np.array([gene not in logic for gene in names])
        starts = (
            Starts.random(is_input, np.random.default_rng(0))
            if self.starts is None
            else self.starts
        )
        self.gene_names, self.logic, self.starts, self.is_input = names, logic, starts, is_input
        self._rules = _Rules(names, logic)

    @classmethod
    def from_tables(cls, equations, names, name="network"):
        """Read a network from two CSV tables: its rate equations, and the names of its genes in their order."""
        with naming(
            "equations: expected a table with columns node and eqn; names: one with genes in its first column"
        ):
            genes = pd.read_csv(names).iloc[:, 0].astype(str).str.removesuffix("_input")
            texts = pd.read_csv(equations).set_index("node", verify_integrity=True)["eqn"][genes]
        rules = {gene: parse_rate_equation(text, gene) for gene, text in texts.items()}
        return cls(
            genes, {gene: rule for gene, rule in rules.items() if rule is not None}, name=name
        )

    @classmethod
    def random(cls, n_genes, random_state=0):
        """Draw a random network of any size with the proportions of the published network of 350
        genes.

        A fifth of the genes are inputs. Every other gene has one regulator plus a
        Poisson-distributed number of further regulators, with mean 1. The regulators are the inputs
        and one in twelve of the other genes; some regulators act on many genes. An edge is an
        activation with probability 0.68. The regulators of a gene are joined one after another, by
        AND or OR with equal probability.

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
        names = np.array([f"gene_{i:0{len(str(n_genes - 1))}d}" for i in range(n_genes)])
        regulators = np.append(np.arange(n_inputs), np.arange(n_inputs, n_genes, 12))
        popularity = rng.pareto(1.5, len(regulators)) + 0.3
        logic = {}
        for target in range(n_inputs, n_genes):
            weights = np.where(regulators == target, 0.0, popularity)
            size = min(1 + rng.poisson(1.0), np.count_nonzero(weights))
            rule = None
            for regulator in rng.choice(regulators, size, replace=False, p=weights / weights.sum()):
                activation = bool(rng.random() < 0.68)
                edge = Regulation(
                    str(names[regulator]), activation, rng.uniform(0.4, 0.6), rng.uniform(1.01, 1.7)
                )
                join = And if rng.random() < 0.5 else Or
                rule = edge if rule is None else join(rule, edge)
            logic[str(names[target])] = rule
        return cls(
            names,
            logic,
            Starts.random(np.arange(n_genes) < n_inputs, rng),
            name=f"random_{n_genes}",
        )

    @property
    def edges(self):
        """List of edges: each regulation with the gene that it acts on."""
        return [(edge, gene) for gene, rule in self.logic.items() for edge in regulations(rule)]

    @property
    def graph(self):
        """DataFrame of int8, regulators by targets: 1 for activation, -1 for repression, 0 for no edge."""
        table = pd.DataFrame(0, self.gene_names, self.gene_names, dtype=np.int8)
        for edge, gene in self.edges:
            table.loc[edge.regulator, gene] = 1 if edge.activation else -1
        return table

    def __eq__(self, other):
        return isinstance(other, GeneNetwork) and self.sha256 == other.sha256

    def __hash__(self):
        return hash(self.sha256)

    @property
    def sha256(self):
        """Fingerprint of the gene names, the logic and the distribution of starting values."""
        starts = self.starts
        parts = {
            "names": self.gene_names,
            "logic": {gene: repr(rule) for gene, rule in self.logic.items()},
        }
        return fingerprint_parameters(
            parts | {"mean": starts.mean, "sd": starts.sd, "offset": starts.offset}
        )

    @documented
    def rates(self, values, kind="logic"):
        """Rates of change at `values`, both of shape (genes, ...); for the kind "lag", proteins follow the genes."""
        check_among("kind", kind, KINDS)
        genes, acting = np.split(values, 2) if kind == "lag" else (values, values)
        targets = (
            self._rules(acting) if kind in ("logic", "lag") else self._rules.added(acting, kind)
        )
        # degraded by a saturating enzyme
        decay = 1.4 * genes / (genes + 0.4) if kind == "lag" else genes
        rates = np.zeros_like(genes)
        rates[~self.is_input] = targets - decay[~self.is_input]
        return np.concatenate([rates, (genes - acting) / _LAG]) if kind == "lag" else rates

    @naming(
        "start, times: expected starting values of shape (samples, genes), and two or more increasing times"
    )
    def solve(self, start, times, kind="logic"):
        """Simulate noise-free samples from starting values of shape (samples, genes).

        The result has the shape (samples, times, genes).
        """
        times, close = np.asarray(times, dtype=np.float64), {"rtol": _TOLERANCE, "atol": _TOLERANCE}
        state = np.tile(start, (1, 2)) if kind == "lag" else start
        # Samples are solved one by one, since the stiff solver needs different steps for each
        # sample.
        how = {"method": "LSODA", "t_eval": times, "args": (kind,)} | close
        found = [
            solve_ivp(lambda _, x, *args: self.rates(x, *args), times[[0, -1]], one, **how)
            for one in state
        ]
        return np.stack([path.y[: len(self.gene_names)].T for path in found])

    def simulate(self, n, noise=0.0, random_state=0, times=TIMES, kind="logic"):
        """Draw samples and simulate them over time.

        Parameters
        ----------
        n : int
            Number of samples.
        noise : float
            Standard deviation of the normal noise added to every value, including the values of
            inputs and the starting values. The published levels of "5, 10 and 20 %" correspond to
            0.025, 0.05 and 0.1.
        random_state : int
            Seed of starting values and noise. Starting values do not depend on `noise`.
        times : array-like, shape (times,)
        kind : {"logic", "sigmoid", "hill", "thermodynamic", "lag"}
            Law by which regulators act; the regulators of each gene are the same under all laws:

            - "logic": AND and OR of Hill functions, as published.
            - "sigmoid": a sigmoid function of a weighted sum.
            - "hill": a weighted mean of Hill functions.
            - "thermodynamic": occupancy of a promoter, in which regulators help or hinder the
              binding of the polymerase.
            - "lag": like "logic", but the regulators are proteins, which follow the expression of
              their genes with a lag, and the decay of expression saturates.

            The weights are drawn at random and are fixed for each network.

        Returns
        -------
        AnnData
            As returned by `sbnn.dynamics.trajectories`. Noise makes some values negative.
        """
        check_among("kind", kind, KINDS)
        check_number("n", n, int, 1)
        check_number("random_state", random_state, int, 0)
        check_number("noise", noise, float, 0)
        rng, of_noise = (
            np.random.default_rng(child) for child in np.random.SeedSequence(random_state).spawn(2)
        )
        times = attempt("times: expected numbers", np.asarray, times, float)
        values = _solved(self, self.starts.draw(n, rng).tobytes(), tuple(times.ravel()), kind)
        values = values + noise * of_noise.standard_normal(values.shape)
        made = {
            "generator": "GeneNetwork.simulate",
            "format": _FORMAT,
            "n": int(n),
            "noise": float(noise),
        }
        made |= {"random_state": int(random_state), "times": times, "network": self.sha256}
        made |= {"kind": kind} if kind != "logic" else {}
        about = {
            "name": f"simulated_{self.name}",
            "source": SOURCE,
            "sha256": fingerprint_parameters(made),
        }
        return trajectories(values, times, self.gene_names, **about)

    def starting_like(self, data):
        """Copy the network, with a distribution of starting values estimated from two or more samples of its genes."""
        # The published training samples are not available, so starting values are estimated from
        # test samples.
        data = attempt(
            "data: expected trajectories of the same genes", lambda: data[:, self.gene_names]
        )
        first = np.stack([of_sample[0] for of_sample in as_trajectories(data).values])
        mean, sd = first.mean(axis=0), np.maximum(first.std(axis=0, ddof=1), 0.01)
        offset = np.clip(mean - 0.5, -_LARGEST_OFFSET, _LARGEST_OFFSET)
        return replace(self, starts=Starts.of(self.is_input, mean, sd, offset))

    def misplaced_prior(self, share, random_state=0):
        """Return a partly wrong prior network, in which a share of the edges is moved to random
        places.

        Parameters
        ----------
        share : float
            Share of the edges to move, in [0, 1]; the publication uses 5, 10 and 20 %. The number
            of edges to move is rounded down.
        random_state : int

        Returns
        -------
        DataFrame of int8
            In the format of `graph`. Moved edges keep their signs; no moved edge is a true edge or
            connects a gene with itself.
        """
        check_number("share", share, float, 0, 1)
        check_number("random_state", random_state, int, 0)
        rng = np.random.default_rng(random_state)
        truth = self.graph.to_numpy()
        edges = np.argwhere(truth)
        moved = tuple(edges[rng.permutation(len(edges))[: int(share * len(edges) + 1e-9)]].T)
        free = np.argwhere((truth == 0) & ~np.eye(len(truth), dtype=bool))
        places = tuple(free[rng.permutation(len(free))[: len(moved[0])]].T)
        prior = truth.copy()
        prior[moved] = 0
        prior[places] = truth[moved][: len(places[0])]
        return pd.DataFrame(prior, self.gene_names, self.gene_names)


@lru_cache(maxsize=6)  # the same trajectories serve several noise levels
def _solved(network, start, times, kind):
    return network.solve(np.frombuffer(start).reshape(-1, len(network.gene_names)), times, kind)


class _Rules:
    """The logic of all genes as arrays: regulations first, then nodes that join two earlier nodes, level by level."""

    def __init__(self, names, logic):
        edges = [edge for rule in logic.values() for edge in regulations(rule)]
        self.regulator = pd.Index(names).get_indexer([edge.regulator for edge in edges])
        self.exponent = np.array([edge.exponent for edge in edges])
        self.half = np.array([edge.ec50 for edge in edges]) ** self.exponent
        self.represses = np.array([not edge.activation for edge in edges], dtype=bool)
        rng = np.random.default_rng(self.half.view(np.uint64))
        self.sizes, self.offsets = (
            rng.uniform(0.5, 1.5, len(edges)),
            rng.uniform(-0.5, 0.5, len(logic)),
        )
        self.rule = np.repeat(
            range(len(logic)), [len([*regulations(rule)]) for rule in logic.values()]
        )
        position, joins = itertools.count(), []

        def place(rule):
            """Place a rule after the parts that it joins; return the node and level of the rule."""
            if isinstance(rule, Regulation):
                return next(position), 0
            (one, level), (other, other_level) = place(rule.one), place(rule.other)
            joins.append(
                (
                    len(edges) + len(joins),
                    1 + max(level, other_level),
                    one,
                    other,
                    isinstance(rule, Or),
                )
            )
            return joins[-1][:2]

        self.tops = np.array([place(rule)[0] for rule in logic.values()], dtype=int)
        self.n_nodes = len(edges) + len(joins)
        table = pd.DataFrame(joins, columns=["node", "level", "one", "other", "is_or"])
        parts = (part.drop(columns="level").items() for _, part in table.groupby("level"))
        self.levels = [[column.to_numpy() for _, column in columns] for columns in parts]

    def __call__(self, values):
        """Evaluate the rules of all targets at values of shape (genes, ...); the result is of shape (targets, ...)."""
        wide = (slice(None), *(None,) * (values.ndim - 1))
        powers = np.maximum(values[self.regulator], 0) ** self.exponent[wide]
        nodes = np.empty((self.n_nodes, *values.shape[1:]))
        first, half = nodes[: len(powers)], self.half[wide]
        # the paper's B and K, without their pole
        first[:] = (1 - half) * powers / (half + (1 - 2 * half) * powers)
        first[self.represses] = 1 - first[self.represses]
        for node, one, other, is_or in self.levels:
            a, b = nodes[one], nodes[other]
            both = a * b
            nodes[node] = np.where(is_or[wide], a + b - both, both)
        return nodes[self.tops]

    def added(self, values, kind):
        """Evaluate a law that sums the effects of regulators.

        `values` has the shape (genes,), and the result has the shape (targets,).
        """
        x, sizes, total = (
            np.maximum(values[self.regulator], 0),
            self.sizes,
            partial(np.bincount, self.rule),
        )
        if kind == "sigmoid":
            return expit(self.offsets + total(np.where(self.represses, -4, 4) * sizes * (x - 0.5)))
        if kind == "hill":
            effects = x**self.exponent / (self.half + x**self.exponent) * (1 + self.half)
            return total(np.where(self.represses, 1 - effects, effects) * sizes) / total(sizes)
        bound = (x**self.exponent / self.half) ** 1.5
        helps = np.where(self.represses, 0.05, 8 * sizes)
        return expit(self.offsets + np.log(0.5) + total(np.log((1 + helps * bound) / (1 + bound))))
