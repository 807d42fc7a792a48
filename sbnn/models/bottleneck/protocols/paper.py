"""The published protocol: pretraining on clusters, regression, pruning and fine-tuning.

Bernaerts, Berens and Kobak (arXiv 2006.10411).
"""

import numpy as np
import torch
from sklearn.cluster import KMeans

from sbnn.errors import warn
from sbnn.models.bottleneck.losses import CrossEntropy
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.training import Stage, Trained, Trainer

HIDDEN_LAYERS = (512, 128)
TRAINING_FRACTION = 0.6  # of the cells, for the pretraining
LEAST_CELLS = 10  # smaller clusters are dropped


def train(model, x, target, random, generator, eval_set=None):
    """Train a network on scaled expression, (n, p), and outputs, (n, q); see `Trained`."""
    n_genes, n_outputs = x.shape[1], target.shape[1]
    labels = None
    if model.pretraining:
        labels = pretraining_labels(target, model.n_clusters, random)
    n_first = n_outputs if labels is None else int(labels.max()) + 1
    hidden_layers = HIDDEN_LAYERS if model.hidden_layers is None else tuple(model.hidden_layers)
    network = BottleneckNetwork(
        n_genes, n_first, model.n_components, hidden_layers, generator=generator
    )
    network = network.to(x.device)
    trainer = Trainer(network, generator, model.batch_size)
    if labels is None:
        *regression, finetuning = straight_stages(model)
    else:
        pretraining, *regression, finetuning = published_stages(model)
        cells, watched = pretraining_cells(labels, random)
        classes = torch.as_tensor(labels, device=x.device)
        held_out = x[watched], classes[watched]
        trainer.run(pretraining, x[cells], classes[cells], held_out)
        network.replace_head(n_outputs, generator)
    for stage in regression:
        trainer.run(stage, x, target, eval_set)
    norms = network.input_norms().cpu().numpy()
    largest_first = np.argsort(-norms, kind="stable")
    kept = np.sort(largest_first[: model.n_genes])
    support = np.isin(np.arange(n_genes), kept)
    network.keep_inputs(torch.as_tensor(kept, device=x.device))
    x = x[:, kept].contiguous()
    if eval_set is not None:
        eval_set = eval_set[0][:, kept].contiguous(), eval_set[1]
    trainer.run(finetuning, x, target, eval_set)
    return Trained(network, support, norms, trainer.history)


def published_stages(model):
    """Stages; genes are pruned before the last."""
    n_pretraining, n_frozen, n_unfrozen, n_finetuning = model.epochs
    rate = model.learning_rate
    lasso = model.group_lasso
    pretraining = Stage("pretraining", n_pretraining, rate, 0, lasso, CrossEntropy())
    frozen = Stage("frozen", n_frozen, rate, frozen=2)
    unfrozen = Stage("unfrozen", n_unfrozen, rate / 2, 0, lasso)
    finetuning = Stage("fine-tuning", n_finetuning, rate / 2)
    return pretraining, frozen, unfrozen, finetuning


def straight_stages(model):
    """Stages without pretraining."""
    _, n_frozen, n_unfrozen, n_finetuning = model.epochs
    rate = model.learning_rate
    unfrozen = Stage("unfrozen", n_frozen + n_unfrozen, rate, 0, model.group_lasso)
    finetuning = Stage("fine-tuning", n_finetuning, rate / 2)
    return unfrozen, finetuning


def pretraining_labels(target, n_clusters, random):
    """Cluster labels of the cells (-1: no cluster), if there are clusters."""
    labels = cluster_outputs(target.cpu().numpy(), n_clusters, random)
    if labels.max() < 1:
        warn(f"no pretraining: fewer than two clusters have {LEAST_CELLS} cells or more")
        return None
    return labels


def cluster_outputs(Y, n_clusters, random_state):
    """K-means clusters of outputs, (n, q); -1 for cells in small clusters."""
    n_different = len(np.unique(Y, axis=0))
    n_clusters = max(1, min(n_clusters, len(Y) // (2 * LEAST_CELLS), n_different))
    labels = KMeans(n_clusters, n_init=50, random_state=random_state).fit(Y).labels_
    is_large = np.bincount(labels) >= LEAST_CELLS
    new = np.where(is_large, np.cumsum(is_large) - 1, -1)
    return new[labels]


def pretraining_cells(labels, random):
    """Positions of cells to pretrain on, and of those held out."""
    order = random.permutation(np.flatnonzero(labels >= 0))
    n_train = int(TRAINING_FRACTION * len(order))
    return order[:n_train], order[n_train:]
