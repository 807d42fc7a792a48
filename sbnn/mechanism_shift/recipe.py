"""Architecture and training of a network, recorded with the results."""

from dataclasses import dataclass
from math import comb

from sbnn.data.checks import CheckedSettings


@dataclass(frozen=True)
class Recipe(CheckedSettings):
    """Architecture and training of a `SparseShiftVAE`; fields are described in the source."""

    _LEAST = {
        "least_updates": 0,
        "updates_per_pair": 0,
        "warm_up": 0,
        "patience": 1,
        "unmixings": 0,
        "dispersion": -50,
    }
    _MOST = {
        "dropout": 0.999,
        "learning_rate": 1,
        "validation_share": 0.999,
        "first_share": 1,
        "dispersion": 50,
    }

    hidden: int = 400  # units in each of the two hidden layers of the encoder and of the decoder
    batch_norm: bool = False  # whether batch normalisation follows each hidden layer
    dropout: float = 0.0  # dropout rate of the hidden units of the encoder
    standardize: bool = True  # whether log counts of each gene are scaled to mean 0 and variance 1
    epochs: int = 28  # maximum number of passes over the training cells
    # minimum number of batches in total; the number of epochs is raised to reach it
    least_updates: int = 3400
    updates_per_pair: int = 32  # minimum number of batches for each pair of latents
    learning_rate: float = 2.5e-3  # parameter of Adam, like `weight_decay` and `epsilon`
    weight_decay: float = 0.0
    #: Precision of a normal prior on all weights. It acts as a weight decay of `weight_precision`
    #: divided by the number of training cells. In the last stage of "staged", twice this value and
    #: half of it are tried.
    weight_precision: float = 36.0
    epsilon: float = 1e-6
    # whether the learning rate rises and falls in one cycle (Smith and Topin 2018)
    one_cycle: bool = True
    batch_size: int = 128
    # epochs over which the weight of the divergence from the prior rises from 0 to 1
    warm_up: int = 10
    # share of the cells of each perturbation that is set aside for validation
    validation_share: float = 0.1
    #: Epochs without a better validation score after which training ends with the best weights;
    #: None: never
    patience: int | None = None
    dispersion: float = 3.0  # initial value of the logarithm of the inverse dispersion of each gene
    first_share: float = 0.5  # share of the epochs before the first unmixing; "staged" only
    unmixings: int = 3  # number of times that latents are unmixed; "staged" only

    def epochs_for(self, n_batches: int, n_latents: int) -> int:
        """Number of epochs, each of `n_batches` batches."""
        least = max(self.least_updates, self.updates_per_pair * comb(n_latents, 2))
        return max(self.epochs, -(-least // n_batches))


#: Settings of Lopez et al. 2022 and their code, for the methods "svae+", "svae", "ivae" and "vae".
#: In their code, means of the prior and log dispersions are initialised with standard normal draws.
#: In this package, both start at 0, and the decoder starts at the mean shares of the genes.
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
