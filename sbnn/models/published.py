"""The published network: pretraining on clusters, regression, pruning and fine-tuning.

Bernaerts, Berens and Kobak (arXiv 2006.10411).
"""

from __future__ import annotations

from numbers import Real

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.utils._param_validation import Interval

from sbnn.data.inputs import COUNT
from sbnn.errors import check_number, warn
from sbnn.models.base import BottleneckRegressor, ScaledCells, Stage, train_stage
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
    normalizer_ : CountNormalizer or None
        For new counts, if `fit` had an AnnData whose ``X`` the package computed from its counts.
    n_features_in_, feature_names_in_, output_names_
        As in `DistilledBottleneckRegressor`.

    References
    ----------
    .. [1] Bernaerts, Berens and Kobak, arXiv 2006.10411.
    """

    _clips = False
    _genes_depend_on_seed = True
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

    def _train(self, read_genes, target, random, generator, eval_cells):
        if len(self.epochs) != 4 or min(self.epochs) < 0 or not any(self.epochs):
            raise ValueError(
                f"epochs: expected four numbers, at least one above 0, got {self.epochs}"
            )
        n_pretraining, n_frozen, n_unfrozen, n_fine_tuning = self.epochs
        x = read_genes()  # shape (n, p)
        n_outputs = target.shape[1]

        # the pretraining needs classes, which are clusters of the outputs
        labels = None
        if self.pretraining:
            labels = cluster_outputs(target.cpu().numpy(), self.n_clusters, random)
            if labels.max() < 1:
                warn(f"no pretraining: fewer than two clusters have {LEAST_CELLS} cells or more")
                labels = None
        n_first_outputs = n_outputs if labels is None else int(labels.max()) + 1
        sizes = self._layer_sizes(x.shape[1], self.n_components, n_first_outputs)
        network = BottleneckNetwork(sizes, generator=generator, device=x.device)
        n_layers = len(network.layers)
        check_number("frozen_layers", self.frozen_layers, int, low=0, high=n_layers - 1)

        # pretraining: the network learns to tell the clusters apart
        history = []
        if labels is not None:
            classes = torch.as_tensor(labels, device=x.device)
            order = random.permutation(np.flatnonzero(labels >= 0))
            n_training = int(TRAINING_FRACTION * len(order))
            training, validation = order[:n_training], order[n_training:]
            stage = Stage(
                name="pretraining",
                n_epochs=n_pretraining,
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                group_lasso=self.group_lasso,
                loss=cross_entropy,
            )
            training_cells = ScaledCells(x=x[training], target=classes[training])
            watched_cells = ScaledCells(x=x[validation], target=classes[validation])
            history += train_stage(
                network, stage, training_cells, generator=generator, eval_cells=watched_cells
            )
            network.replace_head(n_outputs, generator)

        # frozen: a new head learns the outputs, while the first layers stay as pretrained
        cells = ScaledCells(x=x, target=target)
        learning_rate = self.learning_rate
        if labels is not None and self.frozen_layers:
            stage = Stage(
                name="frozen",
                n_epochs=n_frozen,
                learning_rate=learning_rate,
                batch_size=self.batch_size,
                n_frozen=self.frozen_layers,
            )
            history += train_stage(
                network, stage, cells, generator=generator, eval_cells=eval_cells
            )
            learning_rate /= 2
        else:
            n_unfrozen += n_frozen

        # unfrozen: all layers learn, and the group lasso shrinks the weights of most genes; at half
        # the rate after a frozen stage, or else for the epochs of both
        stage = Stage(
            name="unfrozen",
            n_epochs=n_unfrozen,
            learning_rate=learning_rate,
            batch_size=self.batch_size,
            group_lasso=self.group_lasso,
        )
        history += train_stage(network, stage, cells, generator=generator, eval_cells=eval_cells)

        # pruning: only the genes with the largest weights stay
        norms = network.input_norms().cpu().numpy()
        largest_first = np.argsort(-norms, kind="stable")
        kept = np.sort(largest_first[: self.n_genes])
        first = network.layers[0]
        network.layers[0] = first._replace(weight=first.weight[kept])
        kept_cells = ScaledCells(x=x[:, kept].contiguous(), target=target)
        if eval_cells is not None:
            eval_cells = eval_cells._replace(x=eval_cells.x[:, kept].contiguous())

        # fine-tuning: the pruned network learns without the penalty
        stage = Stage(
            name="fine-tuning",
            n_epochs=n_fine_tuning,
            learning_rate=self.learning_rate / 2,
            batch_size=self.batch_size,
        )
        history += train_stage(
            network, stage, kept_cells, generator=generator, eval_cells=eval_cells
        )
        return network, kept, norms, history

    def _reconstruction_stage(self, n_frozen):
        return Stage(
            name="reconstruction",
            n_epochs=self.epochs[3],
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            n_frozen=n_frozen,
        )


def cluster_outputs(
    Y: np.ndarray, n_clusters: int, random_state: int | np.random.RandomState | None
) -> np.ndarray:
    """K-means clusters of outputs, (n, q); -1 in small clusters."""
    n_different = len(np.unique(Y, axis=0))
    n_large_enough = len(Y) // (2 * LEAST_CELLS)
    n_clusters = max(1, min(n_clusters, n_large_enough, n_different))
    labels = KMeans(n_clusters, n_init=50, random_state=random_state).fit(Y).labels_
    # number the large clusters from 0 on
    is_large = np.bincount(labels) >= LEAST_CELLS
    new_labels = np.where(is_large, np.cumsum(is_large) - 1, -1)
    return new_labels[labels]
