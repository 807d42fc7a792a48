"""Peers that predict from all genes, as estimators, and models combined with ridge.

They expect z-scored genes and outputs, and choose what they choose on the training cells alone.
"""

import numpy as np
import torch
from peers import GreedyForward
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.metrics.pairwise import rbf_kernel

from sbnn import LeaveOneOutRidge
from sbnn.models.linear import left_out_residuals
from sbnn.models.stacked import selection_optimism, weight_and_slopes

KERNEL_PENALTIES = tuple(10 ** np.arange(-1.5, 1.51, 0.25))


class MeanWithRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Mean of the predictions of a model and of ridge on all genes."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        """Fit both models to X (n, p) and y (n, q)."""
        self.members_ = clone(self.model).fit(X, y), LeaveOneOutRidge().fit(X, y)
        return self

    def predict(self, X):
        """Outputs of cells, shape (n, q)."""
        model, ridge = self.members_
        return (model.predict(X) + ridge.predict(X)) / 2


class StackedWithRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A model stacked with ridge on all genes, as `sbnn.StackedRegressor` stacks the network.

    The model has ``genes_`` of forward selection, and ``left_out_predictions_``, (n, q), of cells
    that it was fitted without.
    """

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        """Fit both models to X (n, p) and y (n, q), z-scored, and weigh them."""
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        model, ridge = clone(self.model).fit(X, y), LeaveOneOutRidge().fit(X, y)
        self.members_ = model, ridge
        self.range_ = X.min(axis=0), X.max(axis=0)
        of_model = torch.from_numpy(y - model.left_out_predictions_)
        of_ridge = torch.from_numpy(left_out_residuals(X, y, ridge.alpha_))
        optimism = selection_optimism(X, y, len(model.genes_))
        self.weight_of_ridge_, self.slopes_ = weight_and_slopes(
            of_model, of_ridge, torch.from_numpy(y), optimism
        )
        return self

    def predict(self, X):
        """Outputs of cells, shape (n, q)."""
        model, ridge = self.members_
        weight = self.weight_of_ridge_
        clipped = np.clip(X, *self.range_)
        return self.slopes_ * ((1 - weight) * model.predict(X) + weight * ridge.predict(clipped))


class LeaveOneOutKernelRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """RBF kernel ridge regression; penalty and width are chosen by the exact leave-one-out error of
    all outputs.

    Parameters
    ----------
    gammas : sequence of float
        Inverse squared widths in units of one over the number of genes.
    alphas : sequence of float
        Penalties.

    Attributes
    ----------
    alpha_, gamma_ : float
    """

    def __init__(self, gammas=(0.125, 0.25, 0.5, 1, 2, 4), alphas=KERNEL_PENALTIES):
        self.gammas = gammas
        self.alphas = alphas

    def fit(self, X, Y):
        """Fit on X (n, p), z-scored, and Y (n, q) or (n,)."""
        self.X_fit_, self.y_mean_ = X, Y.mean(0)
        centred, best = Y - self.y_mean_, np.inf
        for gamma in self.gammas:
            values, vectors = eigh(
                rbf_kernel(X, gamma=gamma / X.shape[1]), driver="evd", overwrite_a=True
            )
            projected, squares = vectors.T @ centred, vectors**2
            for alpha in self.alphas:
                shrunk = 1 / (values + alpha)
                dual = vectors @ (shrunk * projected.T).T
                # Left-out error in closed form: the dual coefficient over the diagonal of the
                # inverse (K + alpha)^-1.
                error = (dual.T**2 / (squares @ shrunk) ** 2).sum()
                if error < best:
                    best, self.alpha_, self.gamma_, self.dual_coef_ = error, alpha, gamma, dual
        return self

    def predict(self, X):
        """Outputs of cells, shape (n, q) or (n,)."""
        return (
            rbf_kernel(X, self.X_fit_, gamma=self.gamma_ / X.shape[1]) @ self.dual_coef_
            + self.y_mean_
        )


class SumKernelRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Kernel ridge with the sum of a linear kernel of all genes and an RBF kernel of selected ones.

    Penalty, width and weight of the kernels have the smallest exact leave-one-out error.

    Attributes
    ----------
    left_out_predictions_ : ndarray, shape (n, q)
        Of each cell by a fit to the others.
    """

    def __init__(self, n_genes=25):
        self.n_genes = n_genes

    def fit(self, X, Y):
        """Fit on X (n, p), z-scored, and Y (n, q)."""
        X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
        self.X_fit_, self.y_mean_ = X, Y.mean(axis=0)
        self.genes_ = GreedyForward().select(X, Y, self.n_genes)
        centred = Y - self.y_mean_
        best = np.inf
        for gamma in (0.25, 0.5, 1.0, 2.0):
            for share in (0.1, 0.3, 0.6, 0.9):  # of the linear kernel
                values, vectors = eigh(self._kernel(X, gamma, share), driver="evd")
                projected = vectors.T @ centred
                for alpha in 10 ** np.arange(-1.5, 1.51, 0.5):
                    shrunk = 1 / (values + alpha)
                    dual = vectors @ (shrunk[:, None] * projected)
                    # in closed form: the dual coefficients over the diagonal of (K + alpha)^-1
                    left_out = dual / (vectors**2 @ shrunk)[:, None]
                    error = np.square(left_out).sum()
                    if error < best:
                        best = error
                        self.alpha_, self.gamma_, self.share_ = alpha, gamma, share
                        self.dual_coef_ = dual
                        self.left_out_predictions_ = Y - left_out
        return self

    def _kernel(self, X, gamma, share):
        linear = X @ self.X_fit_.T / X.shape[1]
        genes = self.genes_
        few = rbf_kernel(X[:, genes], self.X_fit_[:, genes], gamma=gamma / len(genes))
        return share * linear + (1 - share) * few

    def predict(self, X):
        """Outputs of cells, shape (n, q)."""
        X = np.asarray(X, dtype=np.float64)
        return self._kernel(X, self.gamma_, self.share_) @ self.dual_coef_ + self.y_mean_


class CoupledAutoencoder(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Coupled autoencoders of genes and outputs (Gala et al., Nat. Comput. Sci. 1, 120, 2021).

    Outputs are decoded from the latent variables of the genes, to which those of the outputs are
    coupled. Written from the paper and its code: five layers each way of 50 units, dropout and noise,
    a coupling relative to the least variance of the latent variables in any direction, so that they
    do not shrink, and decoders that also learn from the latent variables of the other side, which
    they do not change. Chosen on other folds: a larger coupling and learning rate than published,
    with far fewer epochs. The least variance may fall below 0.01, the published bound, beyond which
    nothing keeps latent variables from becoming linearly dependent; 16 of them did.

    Parameters
    ----------
    n_components : int
        Latent variables.
    coupling : float
        Weight of the squared distance of both latent variables; reconstructions have a weight of
        one.
    n_epochs : int
    learning_rate : float
    dropout : float
        Fraction of the genes.
    """

    def __init__(
        self,
        n_components=2,
        coupling=20.0,
        n_epochs=300,
        learning_rate=3e-3,
        dropout=0.5,
    ):
        self.n_components = n_components
        self.coupling = coupling
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.dropout = dropout

    def fit(self, X, y):
        """Fit on X (n, p) and y (n, q), z-scored."""
        genes = torch.as_tensor(np.asarray(X), dtype=torch.float32)
        outputs = torch.as_tensor(np.asarray(y), dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._train(genes, outputs)
        return self

    def _train(self, genes, outputs):
        d = self.n_components
        arms = torch.nn.ModuleList(
            [
                encoder(genes.shape[1], d),
                decoder(d, genes.shape[1], dropout=0),
                encoder(outputs.shape[1], d),
                decoder(d, outputs.shape[1], dropout=0.1),
            ]
        )
        encode_genes, decode_genes, encode_outputs, decode_outputs = arms
        optimizer = torch.optim.Adam(arms.parameters(), self.learning_rate, fused=True)
        n_batches = max(len(genes) // 200, 1)
        for _ in range(self.n_epochs):
            for cells in torch.randperm(len(genes)).tensor_split(n_batches):
                X, Y = genes[cells], outputs[cells]
                of_genes = encode_genes(drop(X, self.dropout))
                of_outputs = encode_outputs(drop(Y + 0.05 * torch.randn_like(Y), 0.1))
                distance = (of_genes - of_outputs).square().sum(dim=1).mean()
                least = torch.minimum(least_variance(of_genes), least_variance(of_outputs))
                loss = self.coupling * distance / least.clamp(min=1e-6)
                loss += (decode_genes(of_genes) - X).square().mean()
                loss += (decode_outputs(of_outputs) - Y).square().mean()
                loss += (decode_genes(of_outputs.detach()) - X).square().mean()
                loss += (decode_outputs(of_genes.detach()) - Y).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.encoder_, self.decoder_ = encode_genes.eval(), decode_outputs.eval()

    @torch.no_grad()
    def transform(self, X):
        """Latent variables of cells, (n, n_components)."""
        return self.encoder_(torch.as_tensor(np.asarray(X), dtype=torch.float32)).numpy()

    @torch.no_grad()
    def predict(self, X):
        """Outputs of cells, shape (n, q)."""
        return self.decoder_(torch.as_tensor(self.transform(X))).numpy().astype(np.float64)


def drop(values, fraction):
    """Values of which a random fraction is 0 and the others are larger, as a layer of dropout."""
    kept = torch.rand_like(values) >= fraction  # three times as fast as the layer
    return values * kept / (1 - fraction)


def encoder(n_inputs, n_components):
    """Network to latent variables of variance one in each batch."""
    return torch.nn.Sequential(
        *hidden_layers(n_inputs),
        torch.nn.Linear(50, n_components),
        torch.nn.BatchNorm1d(n_components, affine=False),
    )


def decoder(n_components, n_outputs, dropout):
    """Network from latent variables."""
    return torch.nn.Sequential(
        *hidden_layers(n_components),
        torch.nn.Dropout(dropout),
        torch.nn.Linear(50, n_outputs),
    )


def hidden_layers(n_inputs):
    """Four layers of 50 units."""
    layers = []
    for width in (n_inputs, 50, 50, 50):
        layers += [torch.nn.Linear(width, 50), torch.nn.ReLU()]
    return layers


def least_variance(values):
    """Variance of the rows (n, d) in the direction in which it is least."""
    return torch.linalg.svdvals(values - values.mean(dim=0))[-1] ** 2 / len(values)
