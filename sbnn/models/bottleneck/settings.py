"""Settings of the distilled protocol as one object that is passed, compared and stored."""

from dataclasses import dataclass, fields

from sbnn.data.checks import CheckedSettings


@dataclass(frozen=True, repr=False)
class DistilledSettings(CheckedSettings):
    """Settings of ``SparseBottleneckRegressor(protocol="distilled")``.

    The defaults are used for every data set and rarely need changes. Fewer steps, trees
    and artificial cells give a quick run. Settings are part of the identity of a stored fit.

    Examples
    --------
    >>> from sbnn import DistilledSettings, SparseBottleneckRegressor
    >>> quick = DistilledSettings(steps_of_teachers=100, steps_of_student=500)
    >>> model = SparseBottleneckRegressor(distillation=quick)
    """

    _LEAST = dict.fromkeys(("few_cells", "few_cells_of_a_gene", "fewest_cells", "fewest_cells_of_a_gene"), 0) | {
        "most_cells": 2, "n_teachers": 2,
    }  # fmt: skip
    _MOST = {"swapped": 1, "few_cells_swapped": 1, "share_kept": 0.99}

    #: Genes that forward selection hands to the Gaussian process, whose cost grows with them; twice the wanted number
    #: if that is more. No more than half as many as there are cells, unless more are wanted.
    screened_genes: int = 120
    #: Number of genes down to which the Gaussian process drops genes. Of fewer those are best that sum up others, and
    #: not those that matter most themselves, so they are chosen by forward selection once more.
    fewest_relevant: int = 10
    #: Cells that the genes are chosen on, drawn at random: the cost of the Gaussian process grows with their cube.
    most_cells: int = 2000
    #: Training cells up to which nothing is chosen by held-out cells, and genes and teacher are those of
    #: `sbnn.models.bottleneck.protocols.few_cells`. 0 for never.
    few_cells: int = 250
    #: With few cells: SDs from its mean at which the training range of a gene is cut. Measured at 1, 1.5, 2, 3 and 4:
    #: smaller limits are better for CITE-seq and worse for Patch-seq.
    few_cells_limit: float = 1.5
    #: With few cells: like `fewest_cells_of_a_gene`, which leaves too little of CITE-seq.
    few_cells_of_a_gene: int = 3
    #: With few cells: penalty of the forward selection, times the number of cells. Of 0.3, 1, 3, 10, 30 and 100 the
    #: best for 60 and 200 cells of mouse M1.
    few_cells_penalty: float = 3.0
    #: With few cells: SDs of the input noise of the teacher's networks, `n_teachers` of each. The weaker one is best
    #: with 200 cells, the stronger one with 30 and 60; the student gets the strongest.
    few_cells_noises: tuple = (1.2, 2.0)
    #: In place of `swapped` up to `fewest_cells`. More mixing smooths the student: R2 is higher by 0.01 to 0.02 with 30
    #: cells, and lower by 0.002 and more with 200.
    few_cells_swapped: float = 0.5
    #: Training cells up to which cells are mixed by `few_cells_swapped`; no more than `few_cells` count.
    fewest_cells: int = 100
    #: Cells that the variance of a gene must come from, or a sixth of the training cells if that is less: one of two
    #: cells fits whatever was measured in them.
    fewest_cells_of_a_gene: int = 10
    #: Variances of the Gaussian process before the first step, for outputs of unit variance: of its radial part, its
    #: linear part and the noise.
    process_start: tuple = (0.5, 0.1, 0.5)
    #: Least noise variance of the Gaussian process: keeps Cholesky factors in single precision positive definite.
    process_noise_floor: float = 1e-3
    #: Steps of Adam on the marginal likelihood with all genes, and after each time that some are dropped. Few are
    #: enough to find relevant genes, and stop before single cells are fitted.
    process_steps: tuple = (12, 4)
    #: Share of the genes that is left each time; below 1, nearer to 1 is slower and more careful.
    share_kept: float = 0.7
    #: SDs of the input noise that are tried, rising, in SD of the genes.
    noises: tuple = (0.5, 0.8, 1.2, 2.0)
    #: The one of `noises` that is tried first.
    usual_noise: float = 0.8
    #: Parts of the training cells, at least 2: as many networks and forests are trained, each without one part. With
    #: few cells: networks of each noise, on all cells.
    n_teachers: int = 5
    #: Bottleneck units of the teacher's networks; there can be many, as they are not plotted.
    teacher_width: int = 16
    #: Optimiser steps of each of these networks.
    steps_of_teachers: int = 400
    #: Their learning rate at its peak.
    rate_of_teachers: float = 5e-3
    #: Trees in each forest.
    n_trees: int = 30
    #: Training cells of each forest: a bound on its time and memory.
    most_cells_of_trees: int = 10_000
    #: Number of cells, in addition to the measured ones, that favour equal weights of trees and networks.
    prior_cells: float = 100.0
    #: Artificial cells that the teacher labels for the student.
    n_augmented: int = 24_000
    #: Share of the genes of an artificial cell that come from a second cell.
    swapped: float = 0.15
    #: SD of the noise added to artificial cells, in SD of the genes.
    augmentation_noise: float = 0.25
    #: Weight of a measured cell in the student's loss, compared with 1 for a labelled one.
    weight_of_measured: float = 0.5
    #: Optimiser steps of the student.
    steps_of_student: int = 3000
    #: Its learning rate at its peak.
    rate_of_student: float = 1e-2
    #: Steps of the student from one row of the history to the next.
    recorded_every: int = 100
    #: Largest number of cells over which an error is computed: a bound on the time for large data.
    watched_cells: int = 20_000

    def __post_init__(self):
        super().__post_init__()
        if list(self.noises) != sorted(set(self.noises)) or self.usual_noise not in self.noises:
            raise ValueError(f"noises: expected rising numbers with {self.usual_noise} among them, got {self.noises}")

    def __repr__(self):
        changed = [one.name for one in fields(self) if getattr(self, one.name) != one.default]
        return f"DistilledSettings({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"
