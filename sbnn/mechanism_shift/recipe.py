"""How a network is built and trained, as one object that is recorded with the results."""

from dataclasses import dataclass
from math import comb


@dataclass(frozen=True)
class Recipe:
    """Architecture and training of a `SparseShiftVAE`.

    Parameters
    ----------
    hidden : int
        Units of each of the two hidden layers, of encoder and decoder.
    batch_norm : bool
        After each hidden layer.
    dropout : float
        Of the hidden units of the encoder.
    standardize : bool
        Whether log counts of each gene are brought to mean 0 and variance 1 before they enter.
    epochs : int
        Passes over the training cells, at most.
    least_updates, updates_per_pair : int
        Batches to train on, in all and for each pair of latents that is to be told apart: where `epochs` have fewer,
        there are more epochs.
    learning_rate, weight_decay, epsilon : float
        Of Adam.
    weight_precision : float
        Of a normal prior on all weights: its share of the mean loss falls with the number of cells, as weight decay of
        this number divided by that of the training cells.
    one_cycle : bool
        Whether the learning rate rises and falls (Smith and Topin 2018), in place of being constant.
    batch_size : int
    warm_up : int
        Epochs over which the weight of the divergence from the prior rises from 0 to 1.
    validation_share : float
        Of the cells of each perturbation, set aside; with `patience` they decide when to stop.
    patience : int or None
        Epochs without a better validation score before training stops, with the best weights; None trains to the end.
    dispersion : float
        Logarithm of the inverse dispersion of each gene at the start.
    first_share : float
        Of the epochs that go before the first unmixing; ``method="staged"`` alone.
    unmixings : int
        Times that latents are unmixed on the way; ``method="staged"`` alone.
    """

    hidden: int = 400
    batch_norm: bool = False
    dropout: float = 0.0
    standardize: bool = True
    epochs: int = 28
    least_updates: int = 3400
    updates_per_pair: int = 32
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.0
    weight_precision: float = 72.0
    epsilon: float = 1e-6
    one_cycle: bool = True
    batch_size: int = 128
    warm_up: int = 3
    validation_share: float = 0.1
    patience: int | None = None
    dispersion: float = 3.0
    first_share: float = 0.5
    unmixings: int = 3

    def epochs_for(self, n_batches, n_latents):
        """Epochs of `n_batches` each."""
        least = max(self.least_updates, self.updates_per_pair * comb(n_latents, 2))
        return max(self.epochs, -(-least // n_batches))


#: Lopez et al. 2022 and their code. Its `method` is one of "svae+", "svae", "ivae" and "vae".
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
