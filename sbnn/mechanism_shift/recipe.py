"""Architecture and training of a network, recorded with the results."""

from dataclasses import dataclass
from math import comb


@dataclass(frozen=True)
class Recipe:
    """Architecture and training of a `SparseShiftVAE`; fields are described in the source.

    Examples
    --------
    >>> from sbnn.mechanism_shift import Recipe
    >>> Recipe(hidden=128).hidden
    128
    """

    hidden: int = 400  # units of each of two hidden layers, in encoder and decoder
    gene_units: int = 0  # of the hidden layer next to the genes; 0 for as many as `hidden`
    batch_norm: bool = False  # after each hidden layer
    dropout: float = 0.0  # of the hidden units of the encoder
    standardize: bool = True  # scale log counts of each gene to mean 0 and variance 1
    epochs: int = 28  # passes over the training cells, at most
    least_updates: int = 3400  # batches in total; the number of epochs is raised to reach it
    updates_per_pair: int = 32  # the same for each pair of latents
    learning_rate: float = 2.5e-3  # parameter of Adam, like `weight_decay` and `epsilon`
    weight_decay: float = 0.0
    #: Of a normal prior on all weights, which is a weight decay of `weight_precision` divided by
    #: the number of training cells. The last stage of "staged" tries twice this value and half.
    weight_precision: float = 36.0
    epsilon: float = 1e-6
    one_cycle: bool = True  # the learning rate rises and falls (Smith and Topin 2018)
    batch_size: int = 128
    warm_up: int = 10  # epochs over which the weight of the divergence rises from 0 to 1
    validation_share: float = 0.1  # of the cells of each perturbation
    #: Epochs without a better validation score after which training ends with the best weights
    patience: int | None = None
    dispersion: float = 3.0  # logarithm of the inverse dispersion of each gene at the start
    #: The loss and the gradient of the dispersions are estimated from every such cell of a batch.
    dispersion_every: int = 1
    first_share: float = 0.5  # share of the epochs before the first unmixing; "staged" only
    unmixings: int = 3  # "staged" only

    def epochs_for(self, n_batches: int, n_latents: int) -> int:
        """Number of epochs, each of `n_batches` batches."""
        least = max(self.least_updates, self.updates_per_pair * comb(n_latents, 2))
        return max(self.epochs, -(-least // n_batches))


#: Default of "staged" with more than 500 genes. Large matrices next to the genes and log gamma
#: functions would take most of the time, and fit noise.
MANY_GENES = Recipe(gene_units=64, batch_size=64, warm_up=5, dispersion_every=16)

#: Settings of Lopez et al. 2022 and their code, except for the start: prior means and log
#: dispersions are 0 instead of normal draws, and the decoder gives the mean shares of the genes.
PUBLISHED = Recipe(
    hidden=128,
    batch_norm=True,
    dropout=0.1,
    standardize=False,
    epochs=300,
    least_updates=0,
    updates_per_pair=0,
    learning_rate=1e-3,
    weight_decay=1e-6,
    weight_precision=0.0,
    epsilon=0.01,
    one_cycle=False,
    warm_up=50,
    patience=45,
    dispersion=0.0,
)
