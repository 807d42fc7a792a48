"""Settings of the distilled network."""

from dataclasses import dataclass, fields

from sbnn.errors import check_number


@dataclass(frozen=True)
class DistilledSettings:
    """Settings of `DistilledBottleneckRegressor`.

    The defaults are used for all data sets.

    Examples
    --------
    >>> from sbnn import DistilledBottleneckRegressor, DistilledSettings
    >>> quick = DistilledSettings(steps_of_teachers=100, steps_of_student=500)
    >>> model = DistilledBottleneckRegressor(distillation=quick)
    """

    #: Parts of the training cells (at least 2), without each of which a network and a forest are
    #: trained.
    n_teachers: int = 5
    #: Bottleneck units of the teacher's networks.
    teacher_width: int = 16
    #: Steps of each network of the teacher.
    steps_of_teachers: int = 400
    #: Peak learning rate of the teacher's networks.
    rate_of_teachers: float = 5e-3
    #: Trees in each forest.
    n_trees: int = 30
    #: Artificial cells that the teacher labels.
    n_augmented: int = 24_000
    #: Share of the genes of an artificial cell that come from a second cell.
    swapped: float = 0.15
    #: SD of the noise of artificial cells, relative to the SDs of the genes.
    augmentation_noise: float = 0.25
    #: Steps of the student.
    steps_of_student: int = 3000
    #: Peak learning rate of the student.
    rate_of_student: float = 1e-2

    def __post_init__(self):
        for field in fields(self):
            low = 1 if field.type is int else 0
            check_number(field.name, getattr(self, field.name), field.type, low)
        check_number("n_teachers", self.n_teachers, int, 2)
        check_number("swapped", self.swapped, float, 0, 1)
