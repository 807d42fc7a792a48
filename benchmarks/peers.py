"""Peers that predict from few genes, as estimators with the parameter ``n_genes``.

Most are two steps: a way to select genes and a regression on the genes selected. All use at most
``n_genes`` genes and choose what they choose on the training cells alone. They expect z-scored
genes and outputs.
"""

import collections
import collections.abc
from types import SimpleNamespace

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.linear_model import enet_path
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.models.distilled import choose_genes
from sbnn.models.linear import GeneSelectionMixin
from sbnn.models.sparse_linear import SparseReducedRankRegression

#: Genes that `Persist` has found, by the content of what it was given.
PANELS = {}
STEP = 0.97  # ratio of neighbouring penalties on the paths of lassos


class GeneLimitedRegressor(GeneSelectionMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """What the peers share.

    A subclass has the parameter ``n_genes``; its ``_solve(X, Y)`` takes float64 arrays and returns the
    positions of the genes and a function that predicts the outputs from all genes.
    """

    def fit(self, X, y):
        """Select the genes and fit.

        Parameters
        ----------
        X : array-like, shape (n, p)
            Expression, z-scored.
        y : array-like, shape (n, q) or (n,)
            Outputs, z-scored.

        Returns
        -------
        self
        """
        X, Y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        Y = Y.astype(np.float64)
        genes, self._predict = self._solve(X, Y.reshape(len(Y), -1))
        self.support_ = np.isin(np.arange(X.shape[1]), genes)
        self._output_shape = Y.shape[1:]
        return self

    def predict(self, X):
        """Outputs of cells.

        Parameters
        ----------
        X : array-like, shape (n, p)
            All genes that `fit` saw.

        Returns
        -------
        ndarray of float64, shape (n, q) or (n,)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._predict(X).reshape(len(X), *self._output_shape)


class SelectThenRegress(GeneLimitedRegressor):
    """Select genes, then fit a regression on them.

    Parameters
    ----------
    selector : object
        With ``select(X, Y, n_genes)``, which gives the positions of at most so many genes.
    regressor : scikit-learn regressor
    n_genes : int
    """

    def __init__(self, selector, regressor, n_genes=25):
        self.selector = selector
        self.regressor = regressor
        self.n_genes = n_genes

    def _solve(self, X, Y):
        genes = self.selector.select(X, Y, self.n_genes)
        model = clone(self.regressor).fit(X[:, genes], Y)
        self.genes_ = genes
        self.left_out_predictions_ = getattr(model, "oob_prediction_", None)
        return genes, lambda cells: model.predict(cells[:, genes])


class SparseReducedRankPath(GeneLimitedRegressor):
    """Relaxed sparse reduced-rank regression, with the penalty that leaves at most so many genes.

    Parameters
    ----------
    rank : int
        At most the number of outputs.
    n_genes : int
    penalty : {"group", "element"}
        As in `sbnn.SparseReducedRankRegression`.
    """

    def __init__(self, rank=2, n_genes=25, penalty="group"):
        self.rank = rank
        self.n_genes = n_genes
        self.penalty = penalty

    def _solve(self, X, Y):
        alphas = _largest_penalty(X - X.mean(0), Y - Y.mean(0)) * 0.95 ** np.arange(1, 100)
        for alpha in alphas:
            rank = min(self.rank, Y.shape[1])
            model = SparseReducedRankRegression(rank, alpha, penalty=self.penalty).fit(X, Y)
            genes = model.get_support(indices=True)
            if len(genes) > self.n_genes:
                break
            found = genes, model.predict
        return found


def _largest_penalty(X, Y):
    """Penalty of the multi-response lasso from which on no gene is selected, for centred arrays."""
    return np.linalg.norm(X.T @ Y, axis=1).max() / len(X)


class SparsePLS(GeneLimitedRegressor):
    """Sparse partial least squares with two components, as ``spls`` of mixOmics (regression mode).

    A component has the genes with the largest weights; these are found in turn with the weights of
    the outputs, and reduced by the largest weight that is left out (Lê Cao et al. 2008). Both genes
    and outputs are deflated by it. The second component has as many genes as bring the number of
    different genes to `n_genes`.

    Parameters
    ----------
    n_genes : int
    share : float
        Fraction of the genes in the first component, chosen on other folds.
    """

    def __init__(self, n_genes=25, share=0.6):
        self.n_genes = n_genes
        self.share = share

    def _solve(self, X, Y):
        x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
        X, Y = X - x_mean, Y - y_mean
        first = sparse_component(X, Y, max(round(self.share * self.n_genes), 1))
        X_left, Y_left, *of_first = deflate(X, Y, first)
        coef = regression_of([first], [of_first])
        for n_second in range(1, self.n_genes + 1):
            second = sparse_component(X_left, Y_left, n_second)
            if np.count_nonzero((first != 0) | (second != 0)) > self.n_genes:
                break
            _, _, *of_second = deflate(X_left, Y_left, second)
            coef = regression_of([first, second], [of_first, of_second])
        genes = np.flatnonzero(coef.any(axis=1))
        return genes, lambda cells: (cells - x_mean) @ coef + y_mean


def sparse_component(X, Y, n_genes):
    """Weights (p,) of so many genes, which differ from 0, for centred arrays."""
    products = X.T @ Y
    _, _, directions = np.linalg.svd(products, full_matrices=False)
    of_outputs, weights = directions[0], np.zeros(len(products))
    for _ in range(500):
        previous, weights = weights, products @ of_outputs
        largest = np.sort(np.abs(weights))[::-1]
        threshold = largest[n_genes] if n_genes < len(largest) else 0
        weights = np.sign(weights) * np.maximum(np.abs(weights) - threshold, 0)
        weights /= np.linalg.norm(weights)
        of_outputs = products.T @ weights
        of_outputs /= np.linalg.norm(of_outputs)
        if np.square(weights - previous).sum() < 1e-12:
            break
    return weights


def deflate(X, Y, weights):
    """What a component leaves of X and Y, and its loadings on them, (p,) and (q,)."""
    scores = X @ weights
    x_loadings, y_loadings = (values.T @ scores / (scores @ scores) for values in (X, Y))
    X_left, Y_left = X - np.outer(scores, x_loadings), Y - np.outer(scores, y_loadings)
    return X_left, Y_left, x_loadings, y_loadings


def regression_of(weights, loadings):
    """Coefficients (p, q) of the genes, from weights and loadings of the components."""
    W = np.transpose(weights)
    P, Q = (np.transpose(parts) for parts in zip(*loadings, strict=True))
    return W @ np.linalg.solve(P.T @ W, Q.T)


class GroupLasso(BaseEstimator):
    """Genes on the path of a multi-response lasso, whose coefficients vanish for all outputs
    together.
    """

    def select(self, X, Y, n_genes):
        """Positions of at most so many genes."""
        X, Y = np.asfortranarray(X - X.mean(0)), np.asfortranarray(Y - Y.mean(0))
        found = np.linalg.norm(X.T @ Y, axis=1).argsort()[-1:]  # the first gene to enter
        coef = None
        for alpha in _largest_penalty(X, Y) * STEP ** np.arange(1, 228):
            options = {"l1_ratio": 1, "coef_init": coef, "check_input": False}
            coef = np.asfortranarray(enet_path(X, Y, alphas=[alpha], **options)[1][:, :, 0])
            genes = np.flatnonzero(coef.any(axis=0))
            if len(genes) > n_genes:
                break
            if len(genes):
                found = genes
        return found


class GlmnetPath(BaseEstimator):
    """Genes on the paths of glmnet's lasso, which takes one output at a time.

    All outputs have the same penalty, and any of them may use a gene. On other folds, this was better
    than the same share of the largest penalty of each output, and than an elastic net.
    """

    def select(self, X, Y, n_genes):
        """Positions of at most so many genes."""
        from glmnet import ElasticNet

        X, Y = X - X.mean(0), Y - Y.mean(0)
        path = np.abs(X.T @ Y).max() / len(X) * STEP ** np.arange(100)
        options = {"standardize": False, "fit_intercept": False, "n_splits": 0}
        used = np.zeros((X.shape[1], len(path)), dtype=bool)
        for y in Y.T:
            used |= ElasticNet(1, lambda_path=path, **options).fit(X, y).coef_path_ != 0
        few = (used.sum(axis=0) <= n_genes).cumprod()  # until the first penalty with more
        return np.flatnonzero(used[:, few.sum() - 1])


class GreedyForward(BaseEstimator):
    """The genes that `DistilledBottleneckRegressor` chooses, by greedy forward selection."""

    def select(self, X, Y, n_genes):
        """Positions of so many genes."""
        return np.sort(choose_genes(torch.as_tensor(X), torch.as_tensor(Y), n_genes))


class LassoNetPath(BaseEstimator):
    """Genes in the order in which they leave the path of LassoNet (Lemhadri et al. 2021), the last
    ones first.

    The package's defaults need many minutes for 1000 genes. Here penalties grow faster, with fewer
    epochs for each.
    """

    def select(self, X, Y, n_genes):
        """Positions of so many genes."""
        from lassonet import LassoNetRegressor

        network = LassoNetRegressor(
            hidden_dims=(64,),
            path_multiplier=1.1,
            n_iters=(300, 30),
            patience=(30, 5),
            device="cpu",
            verbose=0,
            random_state=0,
            torch_seed=0,
        )
        with torch.random.fork_rng(devices=[]):
            network.path(X.astype(np.float32), Y.astype(np.float32), disable_lambda_warning=True)
        return np.argsort(-network.feature_importances_.numpy(), kind="stable")[:n_genes]


class StochasticGates(BaseEstimator):
    """Genes by the stochastic gates of STG (Yamada et al. 2020), those with the most open gates
    first.

    The package takes one output. What stands against several is the width of the last layer alone,
    which is replaced. The strength of the penalty decides how many gates are open: of networks with
    growing strength, the last one that leaves enough genes is used.
    """

    def select(self, X, Y, n_genes):
        """Positions of so many genes."""
        genes = None
        for strength in (1.0, 1.6, 2.5, 4.0, 6.3, 10.0):
            gates = self._gates(X, Y, strength)
            enough = (gates > -0.5).sum() >= n_genes
            if genes is None or enough:
                genes = np.argsort(-gates, kind="stable")[:n_genes]
            if not enough:
                break
        return genes

    def _gates(self, X, Y, strength):
        """Means of the gates before they are cut to 0 .. 1, which is at -0.5 and 0.5; shape (p,)."""
        from stg import STG, utils

        # The package looks for abstract classes where Python had them before 3.10.
        utils.collections = SimpleNamespace(**vars(collections) | vars(collections.abc))

        class MultiOutputSTG(STG):
            def build_model(self, input_dim, output_dim, *rest):
                model = super().build_model(input_dim, 1, *rest)
                model.mlp[-1] = torch.nn.Linear(model.mlp[-1].in_features, output_dim)
                return model

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = MultiOutputSTG(
                "cpu",
                input_dim=X.shape[1],
                output_dim=Y.shape[1],
                hidden_dims=[64, 32],
                sigma=0.5,
                lam=strength,
                learning_rate=3e-3,
                batch_size=128,
                task_type="regression",
            )
            network.fit(X, Y, nr_epochs=300, verbose=False, shuffle=True)
        return network.get_gates("raw")


class Persist(BaseEstimator):
    """Genes in the mask of PERSIST (Covert et al., Nat. Commun. 14, 2091, 2023).

    Each gene of the panel is drawn from a relaxed categorical distribution over all genes, whose
    temperature falls during training; a network predicts the outputs from the drawn genes. Written
    from the paper and its code, of which widths, batches and temperatures are. Chosen on other
    folds: values as inputs, not whether a gene is expressed at all, and ten times the published
    learning rate, which makes up for fewer batches (`n_steps`). One mask is drawn for each batch, as
    one for each cell takes many times longer. Genes are kept for the next row with the same ones.
    """

    def __init__(self, n_steps=2000, learning_rate=0.01):
        self.n_steps = n_steps
        self.learning_rate = learning_rate

    def select(self, X, Y, n_genes):
        """Positions of at most so many genes."""
        key = joblib.hash((X, Y, n_genes, self.get_params()))
        if key not in PANELS:
            PANELS[key] = self._search(X, Y, n_genes)
        return PANELS[key]

    def _search(self, X, Y, n_genes):
        inputs = torch.as_tensor(X, dtype=torch.float32)
        outputs = torch.as_tensor(Y, dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            logits = self._train(inputs, outputs, n_genes)
        return np.unique(logits.argmax(dim=1).numpy())

    def _train(self, X, Y, n_genes):
        """Logits of the genes, (n_genes, genes)."""
        logits = torch.zeros(n_genes, X.shape[1], requires_grad=True)
        network = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 128),
            torch.nn.ReLU(),
            torch.nn.Linear(128, 128),
            torch.nn.ReLU(),
            torch.nn.Linear(128, Y.shape[1]),
        )
        optimizer = torch.optim.Adam([logits, *network.parameters()], self.learning_rate)
        steps_per_epoch = max(len(X) // 64, 1)
        for step in range(self.n_steps):
            if step % steps_per_epoch == 0:
                batches = torch.randperm(len(X)).tensor_split(steps_per_epoch)
            cells = batches[step % steps_per_epoch]
            temperature = 10 * 0.001 ** (step / self.n_steps)  # from 10 to 0.01
            mask = draw_mask(logits, temperature)
            loss = (network(X[cells] * mask) - Y[cells]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % steps_per_epoch == steps_per_epoch - 1:
                separate(logits.data)
        return logits.detach()


def draw_mask(logits, temperature):
    """Relaxed mask of genes, with about one gene for each row of logits."""
    uniform = torch.rand_like(logits).clamp(1e-7, 1 - 1e-7)
    gumbel = -(-uniform.log()).log()
    samples = ((3 * logits + gumbel) / temperature).softmax(dim=-1)  # 3: for speed, as published
    return samples.amax(dim=0)


def separate(logits):
    """Draw a row of logits anew if a later row has the same gene."""
    genes = logits.argmax(dim=1)
    for row in range(len(genes) - 1):
        if (genes[row + 1 :] == genes[row]).any():
            logits[row] = torch.randn_like(logits[row])
