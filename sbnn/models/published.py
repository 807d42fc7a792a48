"""The published network: pretraining on clusters, regression, pruning and fine-tuning.

Bernaerts, Berens and Kobak (arXiv 2006.10411).
"""

from __future__ import annotations

from functools import partial
from numbers import Real

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.utils._param_validation import Interval

from sbnn.data.inputs import COUNT
from sbnn.errors import check_number, warn
from sbnn.models.base import BottleneckRegressor, train_stage
from sbnn.models.network import BottleneckNetwork, cross_entropy

TRAINING_FRACTION = 0.6  # of the cells, for the pretraining
LEAST_CELLS = 10  # smaller clusters are dropped


class SparseBottleneckRegressor(BottleneckRegressor):
    """Sparse bottleneck neural network (sBNN), as published.

    The network [1]_ is pretrained on clusters of the outputs, trained with the first two layers
    frozen and then with all layers, pruned to `n_genes` genes and fine-tuned.
    `DistilledBottleneckRegressor` is more accurate.

    Parameters
    ----------
    n_components : int
        Width of the bottleneck; 64 is the "no bottleneck" variant of the paper.
    n_genes : int or None
        As in `DistilledBottleneckRegressor`, like all parameters without a description.
    group_lasso : float
        Strength of the penalty on the gene norms.
    pretraining : bool
        False gives the "straight" variant, all layers trained on the outputs from the start.
    frozen_layers : int
        Number of layers, counted from the genes, that stay as pretrained in the frozen stage; with
        0 there is no such stage.
    reconstruct : bool
    standardize : bool
    hidden_layers : tuple of int, optional
        By default (512, 128).
    epochs : tuple of 4 int
        Epochs of the pretraining, frozen, unfrozen and fine-tuning stages; without pretraining or
        frozen layers, the second is unfrozen too.
    learning_rate : float
        Of Adam; halved after the frozen stage or, without one, after the pruning.
    batch_size : int
    n_clusters : int
        Number of K-means clusters of the outputs.
    random_state : int, RandomState or None
    device : str

    Attributes
    ----------
    network_ : BottleneckNetwork
    gene_norms_ : ndarray, shape (p,)
        Weight norm of every gene just before the pruning.
    history_ : DataFrame
        One row per epoch with the columns ``stage``, ``epoch``, ``loss`` (mean squared error, or
        cross-entropy in pretraining), ``penalty``, ``r2`` (on the training cells),
        ``eval_loss`` and ``eval_r2`` (on `eval_set`; in pretraining, the former on 40 % of the
        cells) and ``genes_alive`` (number of genes with more than a tenth of the largest norm).
    n_features_in_, feature_names_in_, output_names_
        As in `DistilledBottleneckRegressor`.

    References
    ----------
    .. [1] Bernaerts, Berens and Kobak, arXiv 2006.10411.
    """

    _clips = False
    _hidden_layers = 512, 128
    _parameter_constraints = BottleneckRegressor._parameter_constraints | {
        "group_lasso": [Interval(Real, 0, 1e6, closed="both")],
        "pretraining": ["boolean"],
        "epochs": ["array-like"],
        "learning_rate": [Interval(Real, 0, 1, closed="both")],
        "batch_size": COUNT,
        "n_clusters": COUNT,
    }

    def __init__(
        self,
        n_components: int = 2,
        n_genes: int | None = 25,
        group_lasso: float = 0.1,
        pretraining: bool = True,
        frozen_layers: int = 2,
        reconstruct: bool = False,
        standardize: bool = True,
        hidden_layers: tuple[int, ...] | None = None,
        epochs: tuple[int, int, int, int] = (50, 50, 50, 100),
        learning_rate: float = 1e-4,
        batch_size: int = 32,
        n_clusters: int = 20,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
    ) -> None:
        self.n_components = n_components
        self.n_genes = n_genes
        self.group_lasso = group_lasso
        self.pretraining = pretraining
        self.frozen_layers = frozen_layers
        self.reconstruct = reconstruct
        self.standardize = standardize
        self.hidden_layers = hidden_layers
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_clusters = n_clusters
        self.random_state = random_state
        self.device = device

    @property
    def algorithm_version(self) -> int:
        """Version of the algorithm, incremented when results change."""
        # 2. Without pretraining, the rate is halved only after the pruning, as published.
        return 1 if self.pretraining else 2

    def _train(self, read, target, random, generator, eval_set):
        epochs = self.epochs
        if len(epochs) != 4 or min(epochs) < 0 or not any(epochs):
            raise ValueError(f"epochs: expected four numbers, at least one above 0, got {epochs}")
        x = read()  # shape (n, p)
        labels = None
        if self.pretraining:
            labels = cluster_outputs(target.cpu().numpy(), self.n_clusters, random)
            if labels.max() < 1:
                warn(f"no pretraining: fewer than two clusters have {LEAST_CELLS} cells or more")
                labels = None
        n_outputs = target.shape[1]
        n_first = n_outputs if labels is None else int(labels.max()) + 1
        sizes = self._sizes(x.shape[1], self.n_components, n_first)
        network = BottleneckNetwork(sizes, generator=generator, device=x.device)
        check_number("frozen_layers", self.frozen_layers, int, 0, len(network.layers) - 1)
        frozen = 0 if labels is None else self.frozen_layers

        # one after the other, each with its name, epochs, learning rate and cells
        n_pretraining, n_frozen, n_unfrozen, n_finetuning = epochs
        rate = self.learning_rate
        lasso = self.group_lasso
        train = partial(train_stage, network, generator, self.batch_size)
        history = []
        if labels is not None:
            classes = torch.as_tensor(labels, device=x.device)
            cells = random.permutation(np.flatnonzero(labels >= 0))
            cells, watched = np.split(cells, [int(TRAINING_FRACTION * len(cells))])
            given = x[cells], classes[cells], (x[watched], classes[watched])
            how = {"lasso": lasso, "loss": cross_entropy}
            history += train(n_pretraining, rate, "pretraining", *given, **how)
            network.replace_head(n_outputs, generator)
        given = x, target, eval_set
        if frozen:
            history += train(n_frozen, rate, "frozen", *given, frozen=frozen)
            history += train(n_unfrozen, rate / 2, "unfrozen", *given, lasso=lasso)
        else:
            history += train(n_frozen + n_unfrozen, rate, "unfrozen", *given, lasso=lasso)

        norms = network.input_norms().cpu().numpy()
        kept = np.sort(np.argsort(-norms, kind="stable")[: self.n_genes])  # the largest norms
        first = network.layers[0]
        network.layers[0] = first._replace(weight=first.weight[kept])
        x = x[:, kept].contiguous()
        if eval_set is not None:
            eval_set = eval_set[0][:, kept].contiguous(), eval_set[1]
        history += train(n_finetuning, rate / 2, "fine-tuning", x, target, eval_set)
        return network, kept, norms, history

    def _settings_of_head(self):
        return self.batch_size, self.epochs[3], self.learning_rate


def cluster_outputs(Y, n_clusters, random_state):
    """K-means clusters of outputs, (n, q); -1 in small clusters."""
    n_different = len(np.unique(Y, axis=0))
    n_clusters = max(1, min(n_clusters, len(Y) // (2 * LEAST_CELLS), n_different))
    labels = KMeans(n_clusters, n_init=50, random_state=random_state).fit(Y).labels_
    is_large = np.bincount(labels) >= LEAST_CELLS
    new = np.where(is_large, np.cumsum(is_large) - 1, -1)
    return new[labels]
