"""The published protocol in Keras, the library of the published code, in its graph mode.

It follows the description of the schedule, not the published code, and fits d = 2. It does not look
at test cells while it trains; the published code does so after every epoch.
"""

import os

import numpy as np
from sklearn.cluster import KMeans

WIDTHS = (512, 128, 2, 128, 512)
RIDGE = 1e-10  # on all weights


def _cluster(Y, seed):
    """Cells and cluster labels to pretrain on: 60 % of the cells in clusters of at least ten."""
    labels = KMeans(20, n_init=50, random_state=seed).fit(Y).labels_
    large = [k for k in range(20) if (labels == k).sum() >= 10]
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(labels, large)))
    rows = rows[: int(0.6 * len(rows))]
    return rows, np.searchsorted(large, labels[rows]), len(large)


def keras_fit(X, Y, seed=0, group_lasso=0.1, n_genes=25):
    """Fit to z-scored arrays; returns a function that predicts."""
    tf, keras = _one_threaded_keras()
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


def _one_threaded_keras():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Keras 2: Keras 3 has no graph mode
    import tensorflow as tf
    import tf_keras as keras

    if tf.executing_eagerly():
        tf.compat.v1.logging.set_verbosity("ERROR")
        tf.compat.v1.disable_eager_execution()
        one = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
        )
        tf.compat.v1.keras.backend.set_session(tf.compat.v1.Session(config=one))
    return tf, keras
