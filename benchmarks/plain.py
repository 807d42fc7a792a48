"""The paper protocol as one would first write it: in PyTorch, and in Keras, the library of the
published code.

Both follow the description of the schedule, not the published code, and fit d = 2. They return a
function that predicts. Neither looks at test cells while it trains; the published code does so
after every epoch.
"""

import os

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn

WIDTHS = (512, 128, 2, 128, 512)
# on all weights but those under the group lasso; nothing at all, and left out of the PyTorch
# version
RIDGE = 1e-10


def _cluster(Y, seed):
    """Cells and cluster labels to pretrain on: 60 % of the cells in clusters of at least ten."""
    labels = KMeans(20, n_init=50, random_state=seed).fit(Y).labels_
    large = [k for k in range(20) if (labels == k).sum() >= 10]
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(labels, large)))
    rows = rows[: int(0.6 * len(rows))]
    return rows, np.searchsorted(large, labels[rows]), len(large)


def pytorch_fit(X, Y, seed=0, group_lasso=0.1, n_genes=25):
    """Modules, autograd, Adam."""
    torch.manual_seed(seed)
    rows, classes, n_classes = _cluster(Y, seed)
    X, Y, classes = torch.as_tensor(X), torch.as_tensor(Y), torch.as_tensor(classes)

    def body(n_inputs):
        layers = []
        for i, (before, after) in enumerate(zip((n_inputs, *WIDTHS), WIDTHS, strict=False)):
            layers.append(nn.Linear(before, after))
            if i != 2:
                layers.append(nn.ELU())
        return layers

    def start(layer):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)

    def train(model, inputs, targets, loss_function, epochs, rate, lasso):
        optimizer = torch.optim.Adam(
            [p for p in model.parameters() if p.requires_grad], lr=rate, eps=1e-7
        )
        for _ in range(epochs):
            for batch in torch.randperm(len(inputs)).split(32):
                loss = loss_function(model(inputs[batch]), targets[batch])
                if lasso:
                    loss = loss + lasso * model[0].weight.norm(dim=0).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    model = nn.Sequential(*body(X.shape[1]), nn.Linear(512, n_classes))
    for layer in model:
        if isinstance(layer, nn.Linear):
            start(layer)
    train(model, X[rows], classes, nn.CrossEntropyLoss(), 50, 1e-4, group_lasso)

    model[-1] = nn.Linear(512, Y.shape[1])
    start(model[-1])
    for layer in model[:4]:
        layer.requires_grad_(False)
    train(model, X, Y, nn.MSELoss(), 50, 1e-4, 0)
    model.requires_grad_(True)
    train(model, X, Y, nn.MSELoss(), 50, 5e-5, group_lasso)

    kept = model[0].weight.norm(dim=0).topk(n_genes).indices
    first = nn.Linear(n_genes, 512)
    with torch.no_grad():
        first.weight.copy_(model[0].weight[:, kept])
        first.bias.copy_(model[0].bias)
    model[0] = first
    train(model, X[:, kept], Y, nn.MSELoss(), 100, 5e-5, 0)
    return lambda Z: model(torch.as_tensor(Z)[:, kept]).detach().numpy()


def keras_fit(X, Y, seed=0, group_lasso=0.1, n_genes=25, graph=True):
    """Layers with regularisers; `graph` for the mode of the published notebooks, else that of
    today.

    A process can run in one of the two modes only: the first call settles it.
    """
    tf, keras = _one_threaded_keras(graph)
    keras.utils.set_random_seed(seed)
    rows, classes, n_classes = _cluster(Y, seed)

    def ridge(weights):
        return RIDGE * tf.reduce_sum(tf.square(weights))

    def lasso(weights):
        return ridge(weights) + group_lasso * tf.reduce_sum(tf.norm(weights, axis=1))

    def network(n_inputs, n_outputs, penalty, activation=None):
        layers = [keras.layers.InputLayer((n_inputs,))]
        for i, width in enumerate((*WIDTHS, n_outputs)):
            layers.append(
                keras.layers.Dense(
                    width,
                    activation=activation if i == len(WIDTHS) else None if i == 2 else "elu",
                    kernel_regularizer=ridge if i else penalty,
                    bias_regularizer=ridge,
                )
            )
        return keras.Sequential(layers)

    def train(model, inputs, targets, loss, epochs, rate):
        model.compile(keras.optimizers.legacy.Adam(rate), loss)
        model.fit(inputs, targets, batch_size=32, epochs=epochs, verbose=0)

    classifier = network(X.shape[1], n_classes, lasso, "softmax")
    train(classifier, X[rows], classes, "sparse_categorical_crossentropy", 50, 1e-4)

    model = network(X.shape[1], Y.shape[1], lasso)
    for layer, trained in zip(model.layers[:-1], classifier.layers, strict=False):
        layer.set_weights(trained.get_weights())
    for layer in model.layers[:2]:
        layer.trainable = False
    train(model, X, Y, "mse", 50, 1e-4)
    for layer in model.layers[:2]:
        layer.trainable = True
    train(model, X, Y, "mse", 50, 5e-5)

    weights, bias = model.layers[0].get_weights()
    kept = np.argsort(-np.linalg.norm(weights, axis=1))[:n_genes]
    pruned = network(n_genes, Y.shape[1], ridge)
    pruned.layers[0].set_weights([weights[kept], bias])
    for layer, trained in zip(pruned.layers[1:], model.layers[1:], strict=True):
        layer.set_weights(trained.get_weights())
    train(pruned, X[:, kept], Y, "mse", 100, 5e-5)
    return lambda Z: pruned.predict(Z[:, kept], verbose=0)


def _one_threaded_keras(graph):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Keras 2: Keras 3 has no graph mode
    import tensorflow as tf
    import tf_keras as keras

    if graph and tf.executing_eagerly():
        tf.compat.v1.logging.set_verbosity("ERROR")
        tf.compat.v1.disable_eager_execution()
        one = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
        )
        tf.compat.v1.keras.backend.set_session(tf.compat.v1.Session(config=one))
    elif not graph and tf.config.threading.get_intra_op_parallelism_threads() != 1:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf, keras
