"""Settings of the distilled protocol as one object, to be passed, compared and stored."""

from dataclasses import dataclass, fields

from sbnn.data.checks import CheckedSettings


@dataclass(frozen=True, repr=False)
class DistilledSettings(CheckedSettings):
    """Settings of ``SparseBottleneckRegressor(protocol="distilled")``.

    The defaults are used for all data sets and rarely need changes. Fewer steps, trees and artificial cells give a
    quick run. Settings are part of the identity of a stored fit.

    Examples
    --------
    >>> from sbnn import DistilledSettings, SparseBottleneckRegressor
    >>> quick = DistilledSettings(steps_of_teachers=100, steps_of_student=500)
    >>> model = SparseBottleneckRegressor(distillation=quick)
    """

    _LENGTHS = {"process_start": (3, 3), "process_steps": (2, 2)}
    _LEAST = dict.fromkeys(("few_cells", "few_cells_of_a_gene", "fewest_cells", "fewest_cells_of_a_gene"), 0) | {
        "most_cells": 2, "n_teachers": 2,
    }  # fmt: skip
    _MOST = {"swapped": 1, "few_cells_swapped": 1, "share_kept": 0.99}

    #: Number of genes that forward selection passes to the Gaussian process, whose cost grows with it; twice the
    #: requested number if that is more. At most half the number of cells, unless more genes are requested.
    screened_genes: int = 120
    #: Number of genes at which the Gaussian process stops dropping genes. The best smaller sets consist of genes that
    #: summarise others, not of the most relevant ones, so they are chosen by forward selection again.
    fewest_relevant: int = 10
    #: Largest number of cells, drawn at random, on which genes are chosen: the cost of the Gaussian process is cubic
    #: in their number.
    most_cells: int = 2000
    #: With at most this many training cells, nothing is chosen on held-out cells, and genes and teacher are those of
    #: `sbnn.models.bottleneck.protocols.few_cells`; 0 for never.
    few_cells: int = 250
    #: With few cells: distance from the mean, in SDs, at which genes are clipped. Of 1, 1.5, 2, 3 and 4,
    #: smaller limits are better for CITE-seq and worse for Patch-seq.
    few_cells_limit: float = 1.5
    #: With few cells: replaces `fewest_cells_of_a_gene`, which keeps too few genes of CITE-seq data.
    few_cells_of_a_gene: int = 3
    #: With few cells: penalty of the forward selection, multiplied by the number of cells. Of 0.3, 1, 3, 10, 30 and
    #: 100, this is best for 60 and 200 cells of mouse M1.
    few_cells_penalty: float = 3.0
    #: With few cells: SDs of the input noise of the teacher's networks, `n_teachers` of each. The weaker one is best
    #: with 200 cells, the stronger one with 30 and 60; the student gets the strongest.
    few_cells_noises: tuple = (1.2, 2.0)
    #: Replaces `swapped` up to `fewest_cells`. More mixing smooths the student: R2 is higher by 0.01 to 0.02 with 30
    #: cells, and lower by 0.002 and more with 200.
    few_cells_swapped: float = 0.5
    #: Number of training cells up to which `few_cells_swapped` applies, capped at `few_cells`.
    fewest_cells: int = 100
    #: Smallest number of cells behind the variance of a gene, or a sixth of the training cells if that is less: a gene
    #: of two cells fits any outputs of these cells.
    fewest_cells_of_a_gene: int = 10
    #: Initial variances of the Gaussian process, for outputs of unit variance: radial part, linear part and noise.
    process_start: tuple = (0.5, 0.1, 0.5)
    #: Smallest noise variance of the Gaussian process: it keeps Cholesky factors positive definite in single precision.
    process_noise_floor: float = 1e-3
    #: Steps of Adam on the marginal likelihood with all genes, and after each time genes are dropped. A few steps are
    #: enough to find relevant genes, and end before single cells are fitted.
    process_steps: tuple = (12, 4)
    #: Share of the genes that is kept each time, below 1; values closer to 1 are slower and more careful.
    share_kept: float = 0.7
    #: SDs of the input noise to be tried, in increasing order, in SDs of the genes.
    noises: tuple = (0.5, 0.8, 1.2, 2.0)
    #: The one of `noises` that is tried first.
    usual_noise: float = 0.8
    #: Number of parts of the training cells, at least 2; one network and one forest is trained without each part. With
    #: few cells: number of networks at each noise level, trained on all cells.
    n_teachers: int = 5
    #: Bottleneck units of the teacher's networks; there can be many, as they are not plotted.
    teacher_width: int = 16
    #: Optimiser steps of each of these networks.
    steps_of_teachers: int = 400
    #: Peak learning rate of these networks.
    rate_of_teachers: float = 5e-3
    #: Trees in each forest.
    n_trees: int = 30
    #: Largest number of training cells of each forest, which bounds its time and memory.
    most_cells_of_trees: int = 10_000
    #: Weight of the prior, as a number of cells, that trees and networks are equally good.
    prior_cells: float = 100.0
    #: Artificial cells that the teacher labels for the student.
    n_augmented: int = 24_000
    #: Share of the genes of an artificial cell that come from a second cell.
    swapped: float = 0.15
    #: SD of the noise added to artificial cells, in SDs of the genes.
    augmentation_noise: float = 0.25
    #: Weight of a measured cell in the loss of the student, relative to 1 for a labelled one.
    weight_of_measured: float = 0.5
    #: Optimiser steps of the student.
    steps_of_student: int = 3000
    #: Peak learning rate of the student.
    rate_of_student: float = 1e-2
    #: Steps of the student from one row of the history to the next.
    recorded_every: int = 100
    #: Largest number of cells over which an error is computed, which bounds the time for large data.
    watched_cells: int = 20_000

    def __post_init__(self):
        super().__post_init__()
        if list(self.noises) != sorted(set(self.noises)) or self.usual_noise not in self.noises:
            raise ValueError(f"noises: expected increasing numbers that include {self.usual_noise}, got {self.noises}")

    def __repr__(self):
        changed = [one.name for one in fields(self) if getattr(self, one.name) != one.default]
        return f"DistilledSettings({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"
