"""The public estimator: a network with a narrow bottleneck that predicts many outputs from few genes."""

import copy
import inspect
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import _safe_indexing, check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sbnn.data import inputs
from sbnn.data.checks import check_in_order
from sbnn.data.streams import ExpressionStream
from sbnn.determinism import reproducible
from sbnn.errors import attempt, check_among, check_number, naming
from sbnn.metrics import pooled_r2, smallest_sufficient
from sbnn.models.bottleneck.gene_prior import GenePrior, prior_weights, spelled_out
from sbnn.models.bottleneck.persistence import load_model, save_model
from sbnn.models.bottleneck.protocols import PROTOCOLS
from sbnn.models.bottleneck.scales import (
    learn_scales,
    scaled_inputs,
    scaled_outputs,
    through_network,
)
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.bottleneck.training import Run, Stage, Trainer
from sbnn.models.linear import GeneSelectionMixin, LatentMixin

AUTO = "auto"
NUMBERS = (5, 10, 15, 25, 50, 100, 200)  # numbers of genes that "auto" compares
N_PARTS = 3  # number of held-out parts of the cells on which "auto" compares these numbers
# also limits the units in a layer; larger numbers would exhaust the memory
MOST_COMPONENTS = 10_000
MOST_THREADS = 1024  # with many more threads, torch aborts the process
# with `reconstruct`, used by every protocol
TRAIN_HEAD = ("epochs", "learning_rate", "batch_size", "weight_decay")


def numbers_up_to(n_genes, numbers=NUMBERS):
    """The `numbers` that are smaller than `n_genes`, or only `n_genes` if no number is smaller."""
    return tuple(number for number in numbers if number < n_genes) or (n_genes,)


class SparseBottleneckRegressor(GeneSelectionMixin, LatentMixin, RegressorMixin, BaseEstimator):
    """Sparse bottleneck neural network for two kinds of measurement of the same cells.

    Predicts outputs (electrophysiology, proteins) from gene expression through a linear bottleneck
    of `n_components` units, using only `n_genes` genes. The `protocol` determines how genes are
    chosen and how the network is trained.

    Parameters
    ----------
    n_components : int, default=2
        Width of the bottleneck. 2 gives a map of the cells; 64 is the "no bottleneck" variant of
        the paper.
    n_genes : int, None or "auto", default=25
        Number of genes to keep; None keeps all genes. ``"auto"`` chooses the smallest of 5, 10, 15,
        25, 50, 100 and 200 whose R2 on three held-out parts of the training cells is within one
        standard error of the best. The fit then takes about twenty times as long. See also
        `sbnn.genes_curve`, which shows R2 for each number of genes.
    protocol : {"distilled", "paper"}, default="distilled"
        ``"distilled"`` is more accurate: a Gaussian process chooses the genes, and the network
        learns from a mixture of trees and wider networks. ``"paper"`` is the published protocol:
        pretraining on clusters of the outputs, regression with the first two layers frozen,
        regression with all layers, pruning and fine-tuning.
    group_lasso : float, default=0.1
        Strength of the penalty on the gene norms ("paper" only).
    pretraining : bool, default=True
        False gives the "straight" variant, which trains all layers on the outputs from the start,
        with the full learning rate until the pruning ("paper" only).
    reconstruct : bool, default=False
        Also train a head that reconstructs the kept genes from the latent space; see
        `reconstruct_genes`. This does not change the latent space or the predictions.
    standardize : bool, default=True
        Z-score genes and outputs with the mean and population SD of the training cells. If False,
        genes and outputs are only centred; use this for data that are already z-scored. Predictions
        are in the units of `Y` in both cases.
    hidden_layers : tuple of int, optional
        Widths of the hidden layers of the encoder, at least two; the decoder mirrors them. The
        default is (64, 64, 64) for "distilled" and (512, 128) for "paper".
    epochs : tuple of 4 int, default=(50, 50, 50, 100)
        Numbers of epochs of the pretraining, frozen, unfrozen and fine-tuning stages. Without
        pretraining, no layers are frozen, and the frozen and unfrozen stages are run as one stage
        (by default, 100 epochs before the pruning and 100 epochs after it). The parameters from
        `epochs` to `weight_decay` are used by "paper"; "distilled" uses them only to train the head
        of `reconstruct`.
    learning_rate : float, default=1e-4
        Learning rate of Adam. It is halved after the frozen stage or, without pretraining, after
        the pruning.
    batch_size : int, default=32
    weight_decay : float, default=1e-10
        Strength of the squared penalty on all weights and biases not covered by the group lasso.
    n_clusters : int, default=20
        Number of K-means clusters of the outputs; the network is pretrained to predict the clusters
        ("paper" only).
    distillation : DistilledSettings or None, default=None
        Settings of the distilled protocol; None uses the defaults of `sbnn.DistilledSettings`.
    gene_prior : dict, Series, list or array, optional
        Prior weights of the genes: a dict or Series of weights >= 0 by gene name (0 for all other
        genes), a list of gene names (each with weight 1), or one weight per gene in the order of
        `X`. Only the ratios of weights matter.
    prior_influence : float, default=0.5
        Influence of the prior on the choice of genes, from 0 (none) to 1 (full; the data decide
        only between genes of equal weight). The score of a gene is ``(1 - prior_influence) * size +
        prior_influence * weight``, where size and weight are divided by their sums over the
        compared genes. "paper" compares all genes once, in the pruning; the size of a gene is its
        weight norm. "distilled" compares genes at every step of the forward selection, where the
        size is the square root of the variance that a gene explains, and every time the Gaussian
        process drops genes, where the size is the root mean squared gradient of the predictions
        with respect to the gene.
    n_threads : int, default=1
        Number of threads of torch and BLAS. With 1, the result does not depend on the number of
        cores.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, the clusters and the order of the cells.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", ...; "auto" uses a GPU if there is one. Results from different
        devices differ in the last bits.
    verbose : bool or int, default=0
        Show a progress bar over the epochs.

    Attributes
    ----------
    network_ : BottleneckNetwork
        The trained, pruned network.
    gene_norms_ : ndarray, shape (p,)
        Weight norm of every gene: for "paper", just before the pruning; for "distilled", at the end
        of training, and zero for genes that are not kept.
    history_ : DataFrame
        One row per epoch (for "distilled", per 100 steps of the student) with the columns
        ``stage``, ``epoch``, ``loss`` (mean squared error, or cross-entropy in pretraining),
        ``penalty``, ``r2`` (on the training cells), ``eval_loss`` and ``eval_r2`` (on `eval_set`
        or, in pretraining, on 40 % of the cells, which are held out) and ``genes_alive`` (number of
        genes whose weight norm is above a tenth of the largest).
    x_min_, x_max_ : ndarray, shape (p,)
        Limits to which the expression of each gene is clipped: the range in the training cells, or
        a narrower range with few cells (see `DistilledSettings.few_cells_limit`). The limits are
        infinite for "paper".
    number_curve_ : DataFrame
        R2 for each number of genes (rows) on each held-out part of the cells (columns); only with
        ``n_genes="auto"``.
    n_features_in_, feature_names_in_ : number and names of the genes seen by `fit`.
    output_names_ : ndarray of str, shape (q,)
    library_size_ : float or None
        Number of counts per cell to which the training cells were normalised, if `fit` was given
        counts (``layers["counts"]`` or a stream). The counts of new cells are normalised to the
        same library size.
    count_share_ : ndarray, shape (p,), or None
        Share of each gene in the counts of a training cell, averaged over the training cells. The
        shares are used to normalise counts of new cells if genes that were not kept are missing
        from the new data.

    References
    ----------
    Bernaerts, Berens and Kobak, "Sparse bottleneck neural networks for exploratory non-linear
    visualization of Patch-seq data", arXiv 2006.10411.

    Examples
    --------
    >>> from sbnn import SparseBottleneckRegressor, load_dataset
    >>> data = load_dataset("simulated", verbose=False)
    >>> model = SparseBottleneckRegressor(random_state=0).fit(data.X, data.Y)  # doctest: +SKIP
    >>> model.transform(data.X).shape  # doctest: +SKIP
    (600, 2)
    """

    _parameter_constraints = dict.fromkeys(
        ("pretraining", "reconstruct", "standardize"), ["boolean"]
    ) | {
        "distillation": [DistilledSettings, None],
        "epochs": ["array-like"],
        "verbose": ["verbose"],
        "hidden_layers": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components=2,
        n_genes=25,
        protocol="distilled",
        group_lasso=0.1,
        pretraining=True,
        reconstruct=False,
        standardize=True,
        hidden_layers=None,
        epochs=(50, 50, 50, 100),
        learning_rate=1e-4,
        batch_size=32,
        weight_decay=1e-10,
        n_clusters=20,
        distillation=None,
        gene_prior=None,
        prior_influence=0.5,
        n_threads=1,
        random_state=None,
        device="auto",
        verbose=0,
    ):
        self.n_components = n_components
        self.n_genes = n_genes
        self.protocol = protocol
        self.group_lasso = group_lasso
        self.pretraining = pretraining
        self.reconstruct = reconstruct
        self.standardize = standardize
        self.hidden_layers = hidden_layers
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.n_clusters = n_clusters
        self.distillation = distillation
        self.gene_prior = gene_prior
        self.prior_influence = prior_influence
        self.n_threads = n_threads
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def algorithm_version(self, n_cells):
        """Version of the algorithm, incremented when results for the same parameters and number of cells change."""
        return self._protocol().algorithm_version(self, n_cells)

    def _protocol(self):
        check_among("protocol", self.protocol, sorted(PROTOCOLS))
        return PROTOCOLS[self.protocol]

    def decisive_params(self):
        """Parameters that identify a stored result.

        With "distilled", a ``distillation`` of None is replaced by the default settings. Without a
        prior, the parameters of the prior are left out.
        """
        params = self.get_params()
        if self.gene_prior is None:
            del params["gene_prior"], params["prior_influence"]
        else:
            given = spelled_out(self.gene_prior)
            params["gene_prior"] = (
                sorted(map(list, given.items())) if isinstance(given, dict) else given
            )
        if self.protocol == "distilled":
            params["distillation"] = self.distillation or DistilledSettings()
        return params

    def for_genes(self, names, kept=None):
        """A clone for `cross_validate` whose prior has one weight for each gene of the fit, in the same order."""
        if self.gene_prior is None:
            return self
        weights = prior_weights(self.gene_prior, len(names), names)
        weights = weights if kept is None else weights[kept]
        return clone(self).set_params(gene_prior=weights.tolist() if weights.any() else None)

    def fit(self, X, y=None, eval_set=None, groups=None):
        """Train the network and choose its genes.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, AnnData, MuData or ExpressionStream, shape (n, p)
            Expression, usually log-transformed counts. A stream reads cells that do not fit into
            memory; it requires ``protocol="distilled"``. With this protocol, an AnnData open on
            disk or a large sparse matrix is read in the same way. In a MuData, the modality
            ``"rna"`` is used.
        y : array-like, DataFrame or Series, shape (n, q) or (n,); or str
            Outputs of the same cells in the same order. If `X` is an AnnData, `y` can be a key of
            ``obsm`` (by default ``"outputs"``). If `X` is a MuData, `y` can be the name of another
            modality (by default, the only other modality); cells that are not in both modalities
            are left out.
        eval_set : tuple (X, Y), optional
            Cells on which R2 is recorded after every epoch (``history_.eval_r2``). These cells do
            not affect the fit.
        groups : array-like, shape (n,), optional
            Donor, batch or date of each cell. With ``n_genes="auto"``, groups are not split between
            held-out parts.

        Returns
        -------
        self
        """
        X, y = inputs.two_tables(X, y)
        auto, stream = str(self.n_genes) == AUTO, X if isinstance(X, ExpressionStream) else None
        if auto and stream is not None:
            raise ValueError("n_genes: 'auto' needs cells in memory; use adata.to_memory()")
        known = self.n_genes is not None and not auto
        if stream is None and known and hasattr(PROTOCOLS.get(str(self.protocol)), "choose_genes"):
            stream = inputs.stream_of_sparse(X)
        if stream is not None:
            return self._fit_stream(stream, inputs.output_table(X, y), eval_set)
        # so that errors are raised before the cells are split
        model = clone(self) if auto else self
        prepared = model._prepare(*inputs.to_be_fitted(model, X, y, np.float32), eval_set)
        if auto:
            return self._fit_with_number_chosen(X, y, eval_set, groups)
        n_epochs = (
            sum(self.epochs[0 if self.pretraining else 1 :]) if self.protocol == "paper" else None
        )
        with (
            reproducible(self.n_threads),
            tqdm(
                total=n_epochs, desc="epochs", unit="epoch", leave=False, disable=not self.verbose
            ) as bar,
        ):
            self._train(*prepared, bar.update)
        return self

    def _fit_with_number_chosen(self, X, y, eval_set, groups):
        """Choose the number of genes on held-out parts of the cells, then fit to all cells with this number."""
        tables = inputs.expression_table(X), inputs.output_table(X, y)
        table, outputs = (t if hasattr(t, "shape") else np.asarray(t) for t in tables)
        numbers, r2 = numbers_up_to(table.shape[1], NUMBERS), []
        check_in_order(X, groups, "groups")
        attempt(
            "groups: expected one value for each cell", check_consistent_length, outputs, groups
        )
        parts = KFold if groups is None else GroupKFold
        n_parts = N_PARTS if groups is None else min(N_PARTS, len(set(groups)))
        for train, test in parts(n_parts, shuffle=True, random_state=0).split(
            outputs, groups=groups
        ):
            models = [clone(self).set_params(n_genes=number, verbose=0) for number in numbers]
            known, new = (
                [_safe_indexing(t, cells) for t in (table, outputs)] for cells in (train, test)
            )
            r2.append([model.fit(*known).score(*new) for model in models])
        # not corrected for shared training cells, to agree with stored fits
        number = smallest_sufficient(r2, numbers)
        fitted = clone(self).set_params(n_genes=number).fit(X, y, eval_set)
        vars(self).update(
            {name: value for name, value in vars(fitted).items() if name not in self.get_params()}
        )
        self.number_curve_ = pd.DataFrame(np.array(r2).T, index=pd.Index(numbers, name="n_genes"))
        return self

    def _fit_stream(self, stream, outputs, eval_set):
        """Fit the model to a stream: choose genes on a sample of cells, then read only these genes for all cells."""
        self._check_params(stream.shape[1])
        if not hasattr(self._protocol(), "choose_genes"):
            raise ValueError(
                f"protocol: {self.protocol!r} does not support streams; use adata.to_memory()"
            )
        if outputs is None:
            raise ValueError("y: expected outputs of the cells of the stream, got None")
        y = check_array(outputs, dtype=np.float32, ensure_2d=False, input_name="y")
        check_consistent_length(stream, y)
        self.n_features_in_ = stream.shape[1]
        if stream.gene_names is not None:
            self.feature_names_in_ = stream.gene_names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # left by an earlier fit
        inputs.learn_library(self, stream)
        settings, random = (
            self.distillation or DistilledSettings(),
            check_random_state(self.random_state),
        )
        run = Run(settings, random, prior=GenePrior.of(self, stream.shape[1]))
        cells = np.sort(
            random.choice(len(stream), min(len(stream), settings.most_cells), replace=False)
        )
        sample, targets = (
            stream.rows(cells),
            np.asarray(y[cells], dtype=np.float64).reshape(len(cells), -1),
        )
        learn_scales(self, sample, targets, f"the {len(cells)} cells used to choose genes")
        device = self._torch_device()
        with reproducible(self.n_threads):
            x, target = scaled_inputs(self, sample, device), scaled_outputs(self, targets, device)
            genes = self._protocol().choose_genes(x, target, self.n_genes, run)
        if eval_set is not None:
            eval_set = inputs.two_tables(*eval_set)
            eval_set = inputs.new_cells(self, eval_set[0], genes), inputs.output_table(*eval_set)
        names = (
            [f"x{gene}" for gene in genes]
            if stream.gene_names is None
            else stream.gene_names[genes]
        )
        table = pd.DataFrame(stream.columns(genes), index=stream.cell_names, columns=names)
        few = (
            clone(self)
            .set_params(n_genes=None, gene_prior=None, random_state=random)
            .fit(table, y, eval_set)
        )
        for name in ("x_mean_", "x_scale_", "x_min_", "x_max_", "gene_norms_", "support_"):
            values = np.zeros(stream.shape[1], dtype=getattr(few, name).dtype)
            values[genes] = getattr(few, name)
            setattr(self, name, values)
        for name in (
            "network_",
            "_gene_network",
            "history_",
            "y_mean_",
            "y_scale_",
            "_flat_output",
        ):
            setattr(self, name, getattr(few, name))
        self.output_names_ = inputs.output_names(outputs, len(few.y_mean_))
        return self

    def _prepare(self, X, Y, eval_set):
        """Return the scaled training inputs, targets and `eval_set`, and the random generators of NumPy and torch."""
        self._flat_output = Y.ndim == 1
        Y = Y.reshape(len(Y), -1)
        self._check_params(X.shape[1])
        device = self._torch_device()
        random = check_random_state(self.random_state)
        generator = torch.Generator().manual_seed(int(random.randint(2**31 - 1)))
        learn_scales(self, X, Y)
        x, target = scaled_inputs(self, X, device), scaled_outputs(self, Y, device)
        if eval_set is not None:
            Xe, Ye = attempt(
                "eval_set: expected a pair (X, Y)", lambda: inputs.two_tables(*eval_set)
            )
            with naming("eval_set: expected the same cells in X and Y, and all outputs of the fit"):
                Ye = check_array(
                    inputs.output_table(Xe, Ye),
                    dtype=np.float64,
                    ensure_2d=False,
                    input_name="eval_set",
                )
                Xe = inputs.new_cells(self, Xe).astype(np.float32)
                Ye = np.reshape(Ye, (len(Xe), Y.shape[1]))
            eval_set = scaled_inputs(self, Xe, device), scaled_outputs(self, Ye, device)
        return x, target, eval_set, random, generator

    def _check_params(self, n_features):
        """Reject parameters that are out of range, and warn about parameters that the protocol ignores."""
        protocol = self._protocol()
        self._validate_params()
        if self.n_genes is not None and str(self.n_genes) != AUTO:
            check_number("n_genes", self.n_genes, int, 1, n_features)
        check_number("prior_influence", self.prior_influence, float, 0, 1)
        if self.gene_prior is not None:
            spelled_out(self.gene_prior)
        hidden_layers = (1, 1) if self.hidden_layers is None else self.hidden_layers
        check_number("the length of hidden_layers", len(hidden_layers), int, 2)
        for width in (self.n_components, *hidden_layers):
            check_number("n_components and hidden_layers", width, int, 1, MOST_COMPONENTS)
        for name, most in {
            "batch_size": np.inf,
            "n_clusters": np.inf,
            "n_threads": MOST_THREADS,
        }.items():
            check_number(name, getattr(self, name), int, 1, most)
        for name, most in {"group_lasso": 1e6, "learning_rate": 1, "weight_decay": 1e6}.items():
            check_number(name, getattr(self, name), float, 0, most)
        for number in attempt("epochs: expected four numbers", list, self.epochs):
            check_number("epochs", number, int, 0)
        if len(self.epochs) != 4 or not any(self.epochs):
            raise ValueError(f"epochs: expected four numbers, not all 0, got {self.epochs}")
        # Without a warning, a penalty that is not used would look like a penalty that makes no
        # difference.
        used = {*protocol.PARAMETERS, *(TRAIN_HEAD if self.reconstruct else ())}
        others = {name for one in PROTOCOLS.values() for name in one.PARAMETERS} - used
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        changed = sorted(name for name in others if getattr(self, name) != defaults[name])
        if self.gene_prior is not None and self.n_genes is None:
            warnings.warn(
                "gene_prior has no effect with n_genes=None, which keeps all genes", stacklevel=4
            )
        if changed:
            warnings.warn(
                f"the protocol {self.protocol!r} ignores {', '.join(changed)}", stacklevel=4
            )

    def _train(self, x, target, eval_set, random, generator, progress):
        trained = self._protocol().train(self, x, target, random, generator, eval_set, progress)
        self.network_, self.support_, self.gene_norms_, history = trained
        self._gene_network = None
        if self.reconstruct:
            # The encoder is frozen, so that the reconstruction does not change the latent space.
            x = x[:, self.support_].contiguous()
            self._gene_network = copy.deepcopy(self.network_)
            self._gene_network.replace_head(x.shape[1], generator)
            stage = Stage(
                "reconstruction",
                self.epochs[3],
                self.learning_rate,
                frozen=self.network_.bottleneck + 1,
            )
            head = Trainer(self._gene_network, generator, self.batch_size, self.weight_decay)
            head.run(stage, x, x)
            history = history + head.history
        self.history_ = pd.DataFrame(history)
        self.history_.insert(
            min(1, self.history_.shape[1]), "epoch", np.arange(1, len(self.history_) + 1)
        )

    def predict(self, X):
        """Predict outputs in the units of `Y`, as float64 of shape (n, q), or (n,) if `fit` was
        given a vector.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, AnnData, MuData or ExpressionStream, shape (n, p)
            If X has gene names, it must contain the kept genes, in any order. Otherwise, it must
            contain all p genes seen in `fit`, in the same order. If `fit` was given counts, counts
            in a stream or ``layers["counts"]`` are normalised to `library_size_`.
        """
        cells = inputs.new_cells(self, X, self.get_support(indices=True))
        scaled = through_network(self, self.network_, lambda network, x: network(x), cells)
        Y = scaled * self.y_scale_ + self.y_mean_
        return Y[:, 0] if self._flat_output else Y

    def transform(self, X):
        """Map cells to latent coordinates, float64 of shape (n, n_components); X is as in `predict`."""
        cells = inputs.new_cells(self, X, self.get_support(indices=True))
        return through_network(self, self.network_, lambda network, x: network.encode(x), cells)

    def reconstruct_genes(self, X):
        """Predict the kept genes from the latent space, in the units of X, shape (n, n_genes); X is as in `predict`."""
        check_is_fitted(self)
        if self._gene_network is None:
            raise AttributeError("reconstruct_genes needs a model fitted with reconstruct=True")
        cells = inputs.new_cells(self, X, self.get_support(indices=True))
        scaled = through_network(self, self._gene_network, lambda network, x: network(x), cells)
        return scaled * self.x_scale_[self.support_] + self.x_mean_[self.support_]

    def score(self, X, y=None, sample_weight=None):
        """R2 pooled over the outputs, 1 - SSE/SST with SST relative to the training means; X and y
        are as in `fit`.

        With ``standardize=True``, each output is in units of its training SD, so that all outputs
        have the same weight.
        """
        X, y = inputs.two_tables(X, y)
        predicted = self.predict(X)
        with naming(
            "X, y, sample_weight: expected cells, their outputs as in the fit, and one weight per cell"
        ):
            Y = check_array(
                np.asarray(inputs.output_table(X, y)),
                dtype=np.float64,
                ensure_2d=False,
                input_name="y",
            )
            check_consistent_length(predicted, Y, sample_weight)
            Y = Y.reshape(len(predicted), -1)
            weight = (
                1.0
                if sample_weight is None
                else np.sqrt(np.asarray(sample_weight, dtype=float))[:, None]
            )
            scale = weight / self.y_scale_
            return pooled_r2(
                (Y - self.y_mean_) * scale, (predicted.reshape(Y.shape) - self.y_mean_) * scale, 0.0
            )

    def save(self, path):
        """Write the fitted model to one safetensors file (arrays and JSON, no code) and return its path."""
        check_is_fitted(self)
        return save_model(self, path)

    @classmethod
    def load(cls, path):
        """Read a model written by `save`; raise a ValueError if the file was altered or is of another kind."""
        return load_model(cls, path)

    def _support_mask(self):
        return self.support_.copy()

    def _torch_device(self):
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        device = attempt("device: expected auto or a torch device", torch.device, self.device)
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                f"device: {self.device!r} was requested, but torch finds no CUDA device"
            )
        return device

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = True
        return tags
