"""Settings of the distilled network."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, repr=False)
class DistilledSettings:
    """Settings of `DistilledBottleneckRegressor`.

    The defaults are used for all data sets. Fewer steps and trees make a run faster.

    Examples
    --------
    >>> from sbnn import DistilledBottleneckRegressor, DistilledSettings
    >>> quick = DistilledSettings(steps_of_teachers=100, steps_of_student=500)
    >>> model = DistilledBottleneckRegressor(distillation=quick)
    """

    #: Genes that forward selection passes to the Gaussian process; at least twice the requested
    #: number of genes, and at most half the number of cells.
    screened_genes: int = 120
    #: Number of genes at which the Gaussian process stops dropping genes; a second forward
    #: selection chooses smaller sets.
    fewest_relevant: int = 10
    #: Maximum number of cells on which genes are chosen, a random sample: the cost of the Gaussian
    #: process is cubic in their number.
    most_cells: int = 2000
    #: Up to this number of training cells ("with few cells"), nothing is chosen on held-out cells;
    #: see `sbnn.models.bottleneck.protocols.few_cells`.
    few_cells: int = 250
    #: With few cells: distance from the mean, in SDs, at which genes are clipped. Smaller limits
    #: were better for CITE-seq and worse for Patch-seq.
    few_cells_limit: float = 1.5
    #: With few cells: replaces `fewest_cells_of_a_gene`, which excludes too many genes.
    few_cells_of_a_gene: int = 3
    #: With few cells: penalty of the forward selection per cell, tuned on mouse M1.
    few_cells_penalty: float = 3.0
    #: With few cells: SDs of the input noise of the teacher's networks, `n_teachers` for each; the
    #: first was best with 200 cells, the second with 30 and 60, and is that of the student.
    few_cells_noises: tuple = (1.2, 2.0)
    #: Replaces `swapped` with at most `fewest_cells` training cells. It increased R2 by 0.01 to
    #: 0.02 with 30 cells, and decreased it by 0.002 or more with 200.
    few_cells_swapped: float = 0.5
    #: At most `few_cells`.
    fewest_cells: int = 100
    #: Minimum effective number of cells behind the variance of a gene (or a sixth of the training
    #: cells), since a gene expressed in two cells can fit any outputs of these.
    fewest_cells_of_a_gene: int = 10
    #: Initial variances of the Gaussian process: radial part, linear part and noise.
    process_start: tuple = (0.5, 0.1, 0.5)
    #: Added to the noise variance, so that matrices are positive definite in single precision.
    process_noise_floor: float = 1e-3
    #: Steps of Adam on the marginal likelihood, with all genes and after dropping genes.
    process_steps: tuple = (12, 4)
    #: Share of the genes that the Gaussian process keeps each time.
    share_kept: float = 0.7
    #: SDs of the input noise to try, increasing, relative to the SDs of the genes.
    noises: tuple = (0.5, 0.8, 1.2, 2.0)
    #: The one of `noises` that is tried first.
    usual_noise: float = 0.8
    #: Parts of the training cells (at least 2), without each of which a network and a forest are
    #: trained. With few cells, number of networks at each noise level.
    n_teachers: int = 5
    #: Bottleneck units of the teacher's networks.
    teacher_width: int = 16
    #: Steps of each network of the teacher.
    steps_of_teachers: int = 400
    #: Peak learning rate of the teacher's networks.
    rate_of_teachers: float = 5e-3
    #: Trees in each forest.
    n_trees: int = 30
    #: Most training cells of a forest.
    most_cells_of_trees: int = 10_000
    #: Weight, in cells, of the assumption that trees and networks are equally good.
    prior_cells: float = 100.0
    #: Artificial cells that the teacher labels.
    n_augmented: int = 24_000
    #: Share of the genes of an artificial cell that come from a second cell.
    swapped: float = 0.15
    #: SD of the noise of artificial cells, relative to the SDs of the genes.
    augmentation_noise: float = 0.25
    #: Weight of a measured cell in the loss; that of a labelled cell is 1.
    weight_of_measured: float = 0.5
    #: Steps of the student.
    steps_of_student: int = 3000
    #: Peak learning rate of the student.
    rate_of_student: float = 1e-2
    #: Steps between two rows of the history.
    recorded_every: int = 100
    #: Most cells on which an error is computed.
    watched_cells: int = 20_000

    def __post_init__(self):
        is_increasing = list(self.noises) == sorted(set(self.noises))
        if not is_increasing or self.usual_noise not in self.noises:
            raise ValueError(
                f"noises: expected increasing numbers that include {self.usual_noise}, "
                f"got {self.noises}"
            )

    def __repr__(self):
        changed = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                changed.append(f"{field.name}={value!r}")
        return f"DistilledSettings({', '.join(changed)})"
