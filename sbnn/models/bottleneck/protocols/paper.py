"""The published protocol: pretraining on clusters, frozen and unfrozen regression, pruning, fine-tuning.

Bernaerts, Berens and Kobak (arXiv 2006.10411): learning rate 1e-4, batches of 32, a group lasso on the outgoing weights
of each gene. A prior of the genes counts in the pruning, where it is mixed with their weight norms, and nowhere before.
"""

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans

from sbnn.models.bottleneck.gene_prior import GenePrior, most_important
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols.base import Trained
from sbnn.models.bottleneck.training import Stage, Trainer

PARAMETERS = (
    "group_lasso", "pretraining", "epochs", "learning_rate", "batch_size", "weight_decay", "n_clusters",
)  # fmt: skip
HIDDEN_LAYERS = (512, 128)
TRAINING_FRACTION = 0.6  # of the training cells in the pretraining; the others watch its cross-entropy


def algorithm_version(settings, n_cells):
    """Version of the algorithm, see `SparseBottleneckRegressor.algorithm_version`."""
    return 1 if settings.pretraining else 2


def input_limits(settings, X):
    """None: infinite limits, shape (p,) each."""
    infinite = np.full(X.shape[1], np.inf)
    return -infinite, infinite


def train(settings, x, target, random, generator, eval_set=None, progress=None):
    """Train a network by the published protocol."""
    prior = GenePrior.of(settings, x.shape[1])
    labels = pretraining_labels(settings, target, random)
    n_outputs = target.shape[1]
    network = new_network(settings, x.shape[1], n_outputs, labels, generator).to(x.device)
    trainer = Trainer(network, generator, settings.batch_size, settings.weight_decay, progress)
    support, norms = np.ones(x.shape[1], dtype=bool), None
    pretraining = labels is not None
    for stage in paper_stages(
        settings.group_lasso, settings.n_genes, pretraining, settings.epochs, settings.learning_rate
    ):
        if stage.classify:
            _pretrain(trainer, stage, x, labels, random)
            network.replace_head(n_outputs, generator)
            continue
        if stage.name == "fine-tuning":
            norms = network.input_norms().cpu().numpy()
        if stage.n_genes is not None:
            kept = most_important(norms, stage.n_genes, prior)
            support = np.isin(np.arange(x.shape[1]), kept)
            network.keep_inputs(torch.as_tensor(kept, device=x.device))
            x = x[:, kept].contiguous()
            if eval_set is not None:
                eval_set = eval_set[0][:, kept].contiguous(), eval_set[1]
        trainer.run(stage, x, target, eval_set)
    return Trained(network, support, norms, trainer.history)


def paper_stages(group_lasso=0.1, n_genes=25, pretraining=True, epochs=(50, 50, 50, 100), learning_rate=1e-4):
    """Stages of the published protocol (spec: pretrain, frozen, unfrozen, prune, fine-tune)."""
    n_pretraining, n_frozen, n_unfrozen, n_finetuning = epochs
    half = learning_rate / 2
    finetuning = Stage("fine-tuning", n_finetuning, half, n_genes=n_genes)
    if not pretraining:
        return Stage("unfrozen", n_frozen + n_unfrozen, learning_rate, group_lasso=group_lasso), finetuning
    return (
        Stage("pretraining", n_pretraining, learning_rate, group_lasso=group_lasso, classify=True),
        Stage("frozen", n_frozen, learning_rate, frozen=2),
        Stage("unfrozen", n_unfrozen, half, group_lasso=group_lasso),
        finetuning,
    )


def cluster_outputs(Y, n_clusters=20, min_cells=10, n_init=50, random_state=None):
    """K-means clusters of the outputs, the labels that the network is pretrained on."""
    n_clusters = max(1, min(n_clusters, len(Y) // (2 * min_cells), len(np.unique(Y, axis=0))))
    labels = KMeans(n_clusters, n_init=n_init, random_state=random_state).fit(Y).labels_
    large = np.flatnonzero(np.bincount(labels) >= min_cells)
    new = np.full(labels.max() + 1, -1)
    new[large] = np.arange(len(large))
    return new[labels]


def pretraining_labels(settings, target, random):
    """Cluster labels of the training cells, -1 for none; None where there is no pretraining."""
    if not settings.pretraining:
        return None
    labels = cluster_outputs(target.cpu().numpy(), settings.n_clusters, random_state=random)
    if labels.max() < 1:
        warnings.warn(
            f"fewer than two clusters of at least 10 cells among {len(labels)}: the pretraining is left out",
            stacklevel=5,
        )
        return None
    return labels


def new_network(settings, n_inputs, n_outputs, labels, generator):
    """Untrained network that classifies the labels or, where they are None, predicts the outputs."""
    return BottleneckNetwork(
        n_inputs,
        n_outputs if labels is None else int(labels.max()) + 1,
        settings.n_components,
        HIDDEN_LAYERS if settings.hidden_layers is None else tuple(settings.hidden_layers),
        generator=generator,
    )


def pretraining_cells(labels, random):
    """Positions of the 60 % of the labelled cells that the pretraining trains on, and of those that it watches."""
    order = random.permutation(np.flatnonzero(labels >= 0))
    n_train = max(1, int(TRAINING_FRACTION * len(order)))
    return order[:n_train], order[n_train:]


def _pretrain(trainer, stage, x, labels, random):
    """Classify clusters of the outputs."""
    train, watch = pretraining_cells(labels, random)
    target = torch.as_tensor(labels, device=x.device)
    trainer.run(stage, x[train], target[train], (x[watch], target[watch]) if len(watch) else None)
