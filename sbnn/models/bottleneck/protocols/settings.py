"""What the distilled protocol leaves open, as one value that is handed over, compared and stored."""

import math
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real


def _whole(default, least=1, length=None):
    """Declare a field of whole numbers."""
    return field(default=default, metadata={"kind": Integral, "least": least, "length": length})


def _real(default, above=-math.inf, least=-math.inf, below=math.inf, most=math.inf, length=None):
    """Declare a field of finite numbers."""
    limits = {"above": above, "least": least, "below": below, "most": most}
    return field(default=default, metadata={"kind": Real, "length": length} | limits)


@dataclass(frozen=True, repr=False)
class DistilledSettings:
    """Settings of ``SparseBottleneckRegressor(protocol="distilled")``.

    The defaults are meant to be left alone: they serve every data set, and nothing else is tuned. Fewer steps, trees
    and made cells make a trial run short. Settings are part of what identifies a stored fit.

    Parameters
    ----------
    screened_genes : int, default=120
        Genes that forward selection hands to the Gaussian process, whose cost grows with them; twice the wanted number
        if that is more. No more than half as many as there are cells, unless more are wanted.
    fewest_relevant : int, default=10
        Number of genes down to which the Gaussian process drops genes. Of fewer those are best that sum up others, and
        not those that matter most themselves, so they are chosen by forward selection once more.
    most_cells : int, default=2000
        Cells that the genes are chosen on, drawn at random from more: the cost of the Gaussian process grows with their
        third power.
    few_cells : int, default=250
        Training cells up to which nothing is chosen by held-out cells, and genes and teacher are those of
        `sbnn.models.bottleneck.protocols.few_cells`. 0 for never.
    few_cells_limit : float, default=1.5
        With few cells: SDs from its mean at which the training range of a gene is cut. Measured at 1, 1.5, 2, 3 and 4:
        smaller limits are better for CITE-seq and worse for Patch-seq.
    few_cells_of_a_gene : int, default=3
        With few cells: like `fewest_cells_of_a_gene`, which leaves too little of CITE-seq.
    few_cells_penalty : float, default=3.0
        With few cells: penalty of the forward selection, times the number of cells. Of 0.3, 1, 3, 10, 30 and 100 the
        best for 60 and 200 cells of mouse M1.
    few_cells_noises : tuple of float, default=(1.2, 2.0)
        With few cells: SDs of the input noise of the teacher's networks, `n_teachers` of each. The weaker one is best
        with 200 cells, the stronger one with 30 and 60; the student gets the strongest.
    few_cells_swapped : float, default=0.5
        In place of `swapped` up to `fewest_cells`. More mixing smooths the student: R2 is higher by 0.01 to 0.02 with
        30 cells, and lower by 0.002 and more with 200.
    fewest_cells : int, default=100
        Training cells up to which cells are mixed by `few_cells_swapped`; no more than `few_cells` count.
    fewest_cells_of_a_gene : int, default=10
        Cells that the variance of a gene must come from: one of two cells fits whatever was measured in them. A sixth
        of the training cells if that is less.
    process_start : tuple of 3 float, default=(0.5, 0.1, 0.5)
        Variances of the Gaussian process before the first step, for outputs of unit variance: of its radial part, its
        linear part and the noise.
    process_noise_floor : float, default=1e-3
        Least noise variance of the Gaussian process: keeps Cholesky factors in single precision positive definite.
    process_steps : tuple of 2 int, default=(12, 4)
        Steps of Adam on the marginal likelihood with all genes, and after each time that some are dropped. Few are
        enough to tell relevant genes from others, and stop before single cells are fitted.
    share_kept : float, default=0.7
        Share of the genes that is left each time; between 0 and 1, nearer to 1 is slower and more careful.
    noises : tuple of float, default=(0.5, 0.8, 1.2, 2.0)
        SDs of the input noise that are tried, rising, in SD of the genes.
    usual_noise : float, default=0.8
        The one of `noises` that is tried first.
    n_teachers : int, default=5
        Parts of the training cells, at least 2: as many networks and forests are trained, each without one part. With
        few cells: networks of each noise, on all cells.
    teacher_width : int, default=16
        Bottleneck units of the teacher's networks, which nobody has to look at and so need not be few.
    steps_of_teachers : int, default=400
        Optimiser steps of each of these networks.
    rate_of_teachers : float, default=5e-3
        Their learning rate at its peak.
    n_trees : int, default=30
        Trees in each forest.
    most_cells_of_trees : int, default=10000
        Training cells of each forest: a bound on its time and memory.
    prior_cells : float, default=100
        Cells that speak for equal weights of trees and networks, beside those that measure the weights.
    n_augmented : int, default=24000
        Made cells that the teacher labels for the student.
    swapped : float, default=0.15
        Share of the genes of a made cell that come from a second cell.
    augmentation_noise : float, default=0.25
        SD of the noise on top of made cells, in SD of the genes.
    weight_of_measured : float, default=0.5
        Weight of a measured cell in the student's loss, beside 1 of a labelled one.
    steps_of_student : int, default=3000
        Optimiser steps of the student.
    rate_of_student : float, default=1e-2
        Its learning rate at its peak.
    recorded_every : int, default=100
        Steps of the student from one row of the history to the next.
    watched_cells : int, default=20000
        Cells at most over which an error is taken: a bound on the time of large data.

    Raises
    ------
    ValueError
        If a setting is out of range or not a number; the message names it.

    Examples
    --------
    >>> from sbnn import DistilledSettings, SparseBottleneckRegressor
    >>> quick = DistilledSettings(steps_of_teachers=100, steps_of_student=500)
    >>> model = SparseBottleneckRegressor(distillation=quick)
    """

    screened_genes: int = _whole(120)
    fewest_relevant: int = _whole(10)
    most_cells: int = _whole(2000, least=2)
    few_cells: int = _whole(250, least=0)
    few_cells_limit: float = _real(1.5, above=0)
    few_cells_of_a_gene: int = _whole(3, least=0)
    few_cells_penalty: float = _real(3.0, least=0)
    few_cells_noises: tuple = _real((1.2, 2.0), least=0)
    few_cells_swapped: float = _real(0.5, least=0, most=1)
    fewest_cells: int = _whole(100, least=0)
    fewest_cells_of_a_gene: int = _whole(10, least=0)
    process_start: tuple = _real((0.5, 0.1, 0.5), above=0, length=3)
    process_noise_floor: float = _real(1e-3, above=0)
    process_steps: tuple = _whole((12, 4), length=2)
    share_kept: float = _real(0.7, above=0, below=1)
    noises: tuple = _real((0.5, 0.8, 1.2, 2.0), least=0)
    usual_noise: float = _real(0.8, least=0)
    n_teachers: int = _whole(5, least=2)
    teacher_width: int = _whole(16)
    steps_of_teachers: int = _whole(400)
    rate_of_teachers: float = _real(5e-3, least=0)
    n_trees: int = _whole(30)
    most_cells_of_trees: int = _whole(10_000)
    prior_cells: float = _real(100.0, least=0)
    n_augmented: int = _whole(24_000)
    swapped: float = _real(0.15, least=0, most=1)
    augmentation_noise: float = _real(0.25, least=0)
    weight_of_measured: float = _real(0.5, least=0)
    steps_of_student: int = _whole(3000)
    rate_of_student: float = _real(1e-2, least=0)
    recorded_every: int = _whole(100)
    watched_cells: int = _whole(20_000)

    def __post_init__(self):
        for one in fields(self):
            value = _checked(one.name, getattr(self, one.name), isinstance(one.default, tuple), **one.metadata)
            object.__setattr__(self, one.name, value)  # plain numbers, so that equal settings are stored alike
        if not self.noises or list(self.noises) != sorted(set(self.noises)):
            raise ValueError(f"noises: expected one or more rising numbers, got {self.noises}")
        if not self.few_cells_noises:
            raise ValueError("few_cells_noises: expected one or more numbers, got ()")
        if self.usual_noise not in self.noises:
            raise ValueError(f"usual_noise: expected one of the noises {self.noises}, got {self.usual_noise}")

    def __repr__(self):
        changed = [one.name for one in fields(self) if getattr(self, one.name) != one.default]
        return f"DistilledSettings({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"

    def to_dict(self):
        """All settings as numbers and lists of numbers, fit for JSON.

        Returns
        -------
        dict
        """
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values):
        """Settings out of what `to_dict` gave; those that are missing have their default.

        Parameters
        ----------
        values : dict

        Returns
        -------
        DistilledSettings

        Raises
        ------
        ValueError
            If it is no dict, or one of other names, or a setting is out of range.
        """
        if not isinstance(values, dict):
            raise ValueError(f"expected a dict of settings, got {values!r}")
        unknown = sorted(values.keys() - {one.name for one in fields(cls)}, key=str)
        if unknown:
            raise ValueError(f"no settings of the distilled protocol: {', '.join(map(str, unknown))}")
        return cls(**values)


def _checked(name, value, several, kind, length=None, **limits):
    """One number or a tuple of them, as Python's own int or float."""
    if not several:
        return _number(name, value, kind, value, **limits)
    if not isinstance(value, tuple | list) or length not in (None, len(value)):
        raise ValueError(f"{name}: expected a tuple of {length or 'any'} numbers, got {value!r}")
    return tuple(_number(name, one, kind, value, **limits) for one in value)


def _number(name, one, kind, value, above=-math.inf, least=-math.inf, below=math.inf, most=math.inf):
    fits = isinstance(one, kind) and not isinstance(one, bool)
    if not (fits and math.isfinite(one) and above < one < below and least <= one <= most):
        limits = ((">", above), (">=", least), ("<", below), ("<=", most))
        wanted = " and ".join(f"{sign} {limit}" for sign, limit in limits if math.isfinite(limit))
        raise ValueError(
            f"{name}: expected {'whole' if kind is Integral else 'finite'} numbers {wanted}, got {value!r}"
        )
    return int(one) if kind is Integral else float(one)
