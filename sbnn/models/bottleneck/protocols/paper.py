"""The published protocol: pretraining on clusters, frozen and unfrozen regression, pruning,
fine-tuning.

Bernaerts, Berens and Kobak (arXiv 2006.10411). A prior on genes is used only in the pruning, where
it is mixed with the weight norms of the genes.
"""

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans

from sbnn.models.bottleneck.gene_prior import GenePrior, most_important
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.training import Stage, Trained, Trainer

PARAMETERS = (
    "group_lasso",
    "pretraining",
    "epochs",
    "learning_rate",
    "batch_size",
    "weight_decay",
    "n_clusters",
)
HIDDEN_LAYERS = (512, 128)
# fraction of the cells used for pretraining; the cross-entropy is monitored on the rest
TRAINING_FRACTION = 0.6
LEAST_CELLS = 10  # minimum number of cells in a cluster; smaller clusters are dropped


def algorithm_version(model, n_cells):
    """Version of the algorithm; see `SparseBottleneckRegressor.algorithm_version`."""
    # 1. The straight variant halved the learning rate, with a new optimiser, after the epochs of
    # the frozen stage.
    # 2. This variant trains all epochs before the pruning with one optimiser at the full rate, as
    # published.
    return 1 if model.pretraining else 2


def input_limits(model, X):
    """Lower and upper limits of shape (p,), which are infinite, since genes are not clipped."""
    infinite = np.full(X.shape[1], np.inf)
    return -infinite, infinite


def train(model, x, target, random, generator, eval_set=None, progress=None):
    """Train a network on scaled expression, shape (n, p), and outputs, shape (n, q); only pretraining uses `random`."""
    prior = GenePrior.of(model, x.shape[1])
    labels = pretraining_labels(model, target, random) if model.pretraining else None
    n_first = target.shape[1] if labels is None else int(labels.max()) + 1
    hidden_layers = HIDDEN_LAYERS if model.hidden_layers is None else tuple(model.hidden_layers)
    network = BottleneckNetwork(
        x.shape[1], n_first, model.n_components, hidden_layers, generator=generator
    )
    network = network.to(x.device)
    trainer = Trainer(network, generator, model.batch_size, model.weight_decay, progress)
    support = np.ones(x.shape[1], dtype=bool)
    *before, finetuning = paper_stages(
        model.group_lasso, labels is not None, model.epochs, model.learning_rate
    )
    for stage in before:
        if stage.classify:
            cells, watched = pretraining_cells(labels, random)
            classes = torch.as_tensor(labels, device=x.device)
            trainer.run(stage, x[cells], classes[cells], (x[watched], classes[watched]))
            network.replace_head(target.shape[1], generator)
        else:
            trainer.run(stage, x, target, eval_set)
    norms = network.input_norms().cpu().numpy()
    if model.n_genes is not None:
        kept = most_important(norms, model.n_genes, prior)
        support = np.isin(np.arange(x.shape[1]), kept)
        network.keep_inputs(torch.as_tensor(kept, device=x.device))
        x, eval_set = (
            x[:, kept].contiguous(),
            eval_set and (eval_set[0][:, kept].contiguous(), eval_set[1]),
        )
    trainer.run(finetuning, x, target, eval_set)
    return Trained(network, support, norms, trainer.history)


def paper_stages(group_lasso=0.1, pretraining=True, epochs=(50, 50, 50, 100), learning_rate=1e-4):
    """Stages of the published protocol; genes are pruned before the last stage."""
    n_pretraining, n_frozen, n_unfrozen, n_finetuning = epochs
    half = learning_rate / 2
    finetuning = Stage("fine-tuning", n_finetuning, half)
    # the straight variant has no frozen stage, and one optimiser at the full rate until pruning
    if not pretraining:
        return Stage(
            "unfrozen", n_frozen + n_unfrozen, learning_rate, group_lasso=group_lasso
        ), finetuning
    return (
        Stage("pretraining", n_pretraining, learning_rate, group_lasso=group_lasso, classify=True),
        Stage("frozen", n_frozen, learning_rate, frozen=2),
        Stage("unfrozen", n_unfrozen, half, group_lasso=group_lasso),
        finetuning,
    )


def pretraining_labels(model, target, random):
    """Cluster labels of the training cells (-1: no cluster), or None if there are fewer than two clusters."""
    labels = cluster_outputs(target.cpu().numpy(), model.n_clusters, random)
    if labels.max() < 1:
        warnings.warn(
            f"no pretraining: fewer than two clusters have {LEAST_CELLS} cells or more",
            stacklevel=5,
        )
        return None
    return labels


def cluster_outputs(Y, n_clusters, random_state):
    """K-means clusters of standardised outputs as labels 0, 1, ... of shape (n,); -1 for cells in small clusters."""
    n_clusters = max(1, min(n_clusters, len(Y) // (2 * LEAST_CELLS), len(np.unique(Y, axis=0))))
    labels = KMeans(n_clusters, n_init=50, random_state=random_state).fit(Y).labels_
    large = np.flatnonzero(np.bincount(labels) >= LEAST_CELLS)
    new = np.full(labels.max() + 1, -1)
    new[large] = np.arange(len(large))
    return new[labels]


def pretraining_cells(labels, random):
    """Positions of the 60 % of the labelled cells used for pretraining, and of the other 40 %, used for validation."""
    order = random.permutation(np.flatnonzero(labels >= 0))
    n_train = int(TRAINING_FRACTION * len(order))
    return order[:n_train], order[n_train:]
