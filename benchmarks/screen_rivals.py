"""Held-out cells of perturbation screens: networks with and without effects on genes, and baselines.

    python benchmarks/screen_rivals.py [--only papalexi,targeted] [--fresh] [--fast]

All networks are trained on the same cells, and scored without and with the effects on genes that
"staged" estimates after training.
Measures what is missing, one thread, and keeps it in saved_models; prints tables.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from pages import print_tables
from real_screen import FAST, ROOT, halves, most_counted, significant_pairs, sums_of
from scipy.special import logsumexp
from targeted_screen import CONTROL, simulate_targeted

from sbnn import load_dataset
from sbnn.data.screens import as_screen
from sbnn.determinism import reproducible
from sbnn.mechanism_shift import PUBLISHED, Recipe, SparseShiftVAE, network, simulate_perturbations
from sbnn.mechanism_shift.direct import (
    class_sums,
    direct_effects,
    log_ratios,
    mean_shares,
    posterior_shares,
    shrunken,
)
from sbnn.mechanism_shift.model import STRENGTH
from sbnn.mechanism_shift.network import MaskedMeans, Prior, ShiftNetwork, log_likelihood
from sbnn.mechanism_shift.records import compute_once
from sbnn.mechanism_shift.report import held_out_tables
from sbnn.mechanism_shift.training import Training
from sbnn.results import results_folder

SPLITS, STARTS, SEEDS = (3, 4, 5), (0, 1), (0, 1, 2)
# held-out cells that are scored, and draws of the latents of each
N_CELLS, N_SAMPLES = 2000, 50
# the same for the likelihood without the perturbation, which takes as many passes as there are
WITHHELD_CELLS, WITHHELD_SAMPLES = 300, 25
COMPARED = ("staged", "ivae", "svae+", "svae+_like_staged", "sams")  # networks
PROBABILITY = 0.1  # of a shift, before training, in SAMS-VAE
LEAST_COUNT = 1e-6  # share that is added to those of the baselines


class Fitted(NamedTuple):
    """A trained network, its prior and the positions of the cells that were set aside."""

    network_: ShiftNetwork
    prior_: Prior
    validation_: np.ndarray


class AdditiveMeans(MaskedMeans):
    """Prior of SAMS-VAE (Bereket and Karaletsos 2023, arXiv 2311.02794) with one perturbation a cell.

    Masks and effects have Bernoulli and normal posteriors, and all cells of a batch the same draw
    of them. Unlike in the article, the encoder sees only the counts, as that of the others.
    """

    def __init__(self, n_perturbations, n_latents):
        super().__init__(n_perturbations, n_latents, 1.0, summed=False)
        self.logits.data.zero_()
        self.share = 1.0  # of a cell in the divergence
        self.log_variances = torch.nn.Parameter(torch.full_like(self.logits, -2.0))

    def forward(self, codes, generator):
        """Means of the cells under one draw of the masks and effects."""
        every = torch.arange(len(self.table))
        noise = torch.randn(self.table.shape, generator=generator)
        effects = self.table + noise * (0.5 * self.log_variances).exp()
        return (self.draw_masks(every, generator) * effects)[codes]

    def of_masks(self):
        """Parameters of the posteriors, except the means of the effects."""
        return [self.logits, self.log_variances]

    def penalty(self):
        """Divergence of masks and effects from their priors, per cell."""
        posterior = torch.distributions.Bernoulli(logits=self.logits)
        prior = torch.distributions.Bernoulli(torch.tensor(PROBABILITY))
        masks = torch.distributions.kl_divergence(posterior, prior)
        effects = 0.5 * (self.table**2 + self.log_variances.exp() - self.log_variances - 1)
        return self.share * (masks + posterior.probs * effects).sum()


def fit_like_staged(name, n_latent, recipe, seed, counts, perturbation):
    """Fit a rival with the training of "staged": its stages, and its choice of the prior on the weights.

    Nothing is unmixed, and prior means are trained.
    """
    codes = np.unique(perturbation, return_inverse=True)[1]
    size = codes.max() + 1, n_latent
    if name == "sams":
        prior = AdditiveMeans(*size)
    elif name == "svae+_like_staged":
        prior = MaskedMeans(*size, STRENGTH["svae+"], summed=True)
    else:
        prior = Prior(*size, trained=True)
    with reproducible(), torch.random.fork_rng(devices=[]):
        training = Training(counts, codes, prior, recipe, seed)
        prior.share = 1 / len(training.train)
        training.run_stages()
    return Fitted(training.network, prior, training.validation)


def fit_network(name, n_latent, start, recipe, counts, perturbation, control):
    """A trained network; "svae+" has the published training."""
    if name not in ("staged", "svae+"):
        return fit_like_staged(name, n_latent, recipe or Recipe(), start, counts, perturbation)
    if name == "svae+":
        recipe = recipe or PUBLISHED
    model = SparseShiftVAE(n_latent, name, recipe=recipe, random_state=start)
    return model.fit(counts, perturbation, control)


def _papalexi(n_genes=None):
    adata = load_dataset("papalexi", verbose=False)
    return adata if n_genes is None else most_counted(adata, n_genes)


def _targeted(seed, kind=None):
    """A simulated targeted screen, or only the control and the targets of one kind."""
    adata = simulate_targeted(seed)
    adata.uns["sbnn"]["name"] = "simulated_screen"
    names = adata.obs["perturbation"].astype(str)
    number = names.str.removeprefix("target_")
    of_kind = number.where(number.str.isdigit(), "-1").astype(int) % len(KINDS)
    kept = (names == CONTROL) | (kind is None) | (of_kind == kind)
    return adata[kept.to_numpy()].copy()


def _simulated(seed):
    return simulate_perturbations(100, 100, 15, 100, n_control=200, random_state=seed)


#: Kinds of targets of the simulated targeted screen, in their order.
KINDS = ("genes", "modules", "both")
#: Name -> folder, number of latents, and a function of the seed that makes the screen.
SCREENS = {
    "papalexi": ("papalexi", 10, lambda seed: _papalexi()),
    "papalexi_80": ("papalexi", 10, lambda seed: _papalexi(80)),
    "targeted": ("simulated_screen", 10, _targeted),
    **{
        f"targeted_{name}": ("simulated_screen", 10, partial(_targeted, kind=kind))
        for kind, name in enumerate(KINDS)
    },
    "simulated": ("simulated_screen", 15, _simulated),
}


def effects_on_genes(model, counts, codes):
    """Effects on genes and shares of genes of any network, as "staged" estimates them.

    Effects are 0 if they do not raise the likelihood of the validation cells.
    """
    train = np.setdiff1d(np.arange(len(codes)), model.validation_)
    means, cells = model.prior_.means().detach(), network.Cells(counts)
    with reproducible():
        of_training, sums = (
            class_sums(model.network_, cells, part, codes, len(means))
            for part in (train, np.arange(len(codes)))
        )
        direct = torch.from_numpy(shrunken(*direct_effects(of_training))[0]).float()
        none, aside = torch.zeros_like(direct), model.validation_
        shares = posterior_shares(sums, mean_shares(model.network_, means, none))
    of_aside = counts[aside], codes[aside]
    before, after = (
        bounds_of(model, effects, *of_aside, network.elbo_of_cells, 10).mean()
        for effects in (none, direct)
    )
    return direct if after > before else none, shares


def bounds_of(model, direct, counts, codes, bound=network.iwelbo_of_cells, n_samples=N_SAMPLES):
    """Bound of each cell with the perturbations in `codes` and these effects on genes, in nats."""
    centres, cells = model.prior_.means().detach(), network.Cells(counts)
    found = np.zeros(len(codes))
    for code in range(len(centres)):
        of = np.flatnonzero(codes == code)
        if len(of):
            with reproducible():
                arguments = cells, of, codes[of], centres, direct, n_samples
                found[of] = bound(model.network_, *arguments).numpy()
    return found


def withheld(bounds, counts, frequencies):
    """Log likelihood of cells whose perturbation is not given, but only how frequent each is.

    `bounds` is a function of counts and perturbations that gives the log likelihoods of cells.
    """
    logs = [
        bounds(counts, np.full(counts.shape[0], code)) + np.log(share)
        for code, share in enumerate(frequencies)
    ]
    return logsumexp(logs, axis=0)


class Independent:
    """Negative binomial counts of independent genes, with the mean shares of each perturbation."""

    def __init__(self, shares):
        self.log_shares = torch.from_numpy(np.log(shares + LEAST_COUNT))

    def fit(self, counts, codes):
        """Estimate the dispersion of each gene."""
        dispersion = torch.zeros(counts.shape[1], dtype=float, requires_grad=True)
        optimizer = torch.optim.LBFGS([dispersion], max_iter=50)

        def closure():
            optimizer.zero_grad()
            loss = -self._likelihoods(counts, codes, dispersion).mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        self.dispersion = dispersion.detach()
        return self

    def bounds(self, counts, codes):
        """Log likelihood of each cell."""
        return self._likelihoods(counts, codes, self.dispersion).numpy()

    def _likelihoods(self, counts, codes, dispersion):
        counts = torch.from_numpy(counts.toarray()).double()
        totals, shares = counts.sum(1, keepdim=True), self.log_shares[codes]
        fit = log_likelihood(counts, totals, shares, dispersion)
        return fit - torch.lgamma(counts + 1).sum(-1)


def log_changes(observed, totals, moved):
    """Measured log fold changes, with half a count added, and their sampling variances.

    `observed` are sums of counts of shape (m, p), and `totals` their sums over all genes. Changes
    are relative to the control, which has ``moved == False``.
    """
    expected = totals * observed.sum(axis=0) / totals.sum()
    ratios = log_ratios(observed, expected)
    least = np.minimum(observed, expected)
    variances = 1 / (least + 0.5)
    return ratios[moved] - ratios[~moved], variances[moved] + variances[~moved]


def shrunken_changes(observed, totals, moved, dispersion):
    """Posterior means of the measured changes under a mixture of normals for each perturbation."""
    changes, variances = log_changes(observed, totals, moved)
    return shrunken(changes, np.sqrt(dispersion * variances))[0]


def scores_of_changes(predicted, measured, variances, significant):
    """How well log fold changes of the held-out half are predicted.

    The root mean squared error and the slope are over the pairs that are significant in all cells.
    R² compares with no change, over all pairs, weighted by the inverse sampling variance.
    """
    shown, of = measured[significant], predicted[significant]
    weights = 1 / variances
    left = (weights * (measured - predicted) ** 2).sum() / (weights * measured**2).sum()
    return {
        "rmse": np.sqrt(np.mean((shown - of) ** 2)),
        "slope": np.polyfit(shown, of, 1)[0],
        "r2": 1 - left,
    }


def of_run(adata, n_latent, split, start, recipe=None, compared=COMPARED):
    """Bounds of held-out cells and scores of log fold changes by method, with one split."""
    data = as_screen(adata)
    train, test = halves(data.perturbation, split)
    names, codes = np.unique(data.perturbation, return_inverse=True)
    moved, frequencies = names != data.control, np.bincount(codes[train]) / len(train)
    training, of_training = data.counts[train], codes[train]
    scored = np.random.default_rng(split).permutation(test)[:N_CELLS]
    held_out, of_held_out = data.counts[scored], codes[scored]
    part = held_out[:WITHHELD_CELLS]
    given, without, predicted = {}, {}, {}

    sums = sums_of(data, train).to_numpy(float)
    totals = sums.sum(axis=1, keepdims=True)
    flat = np.tile(sums.sum(axis=0) / totals.sum(), (len(names), 1))
    for name, shares in (("no change", flat), ("means", sums / totals)):
        model = Independent(shares).fit(training, of_training)
        given[name] = model.bounds(held_out, of_held_out)
        without[name] = withheld(model.bounds, part, frequencies)
    counts, expected = training.toarray(), (sums / totals)[of_training] * training.sum(1)[:, None]
    dispersion = np.maximum(((counts - expected) ** 2).sum(0) / expected.sum(0), 1)
    predicted["no change"] = np.zeros((moved.sum(), counts.shape[1]))
    predicted["means"] = log_changes(sums, totals, moved)[0]
    predicted["shrunken means"] = shrunken_changes(sums, totals, moved, dispersion)

    for name in compared:
        labels = data.perturbation[train]
        model = fit_network(name, n_latent, start, recipe, training, labels, data.control)
        direct, shares = effects_on_genes(model, training, of_training)
        none = torch.zeros_like(direct)
        with reproducible():
            of_latents = mean_shares(model.network_, model.prior_.means().detach(), none)
        variants = {name: (none, of_latents), f"{name}, effects": (direct, shares)}
        for label, (added, predictions) in variants.items():
            bounds = partial(bounds_of, model, added)
            given[label] = bounds(held_out, of_held_out)
            few = partial(bounds, n_samples=WITHHELD_SAMPLES)
            without[label] = withheld(few, part, frequencies)
            predicted[label] = np.log(predictions[moved]) - np.log(predictions[~moved])
        if name == "staged":
            table = model.gene_effects_["log_fold_change"].to_numpy()
            predicted["gene_effects_"] = table.reshape(moved.sum(), -1)

    of_test = sums_of(data, test).to_numpy(float)
    measured = log_changes(of_test, of_test.sum(axis=1, keepdims=True), moved)
    significant = significant_pairs(data).to_numpy()
    changes = {
        name: scores_of_changes(values, *measured, significant)
        for name, values in predicted.items()
    }
    bounds = {"given": given, "withheld": without}
    return {
        "likelihoods": pd.DataFrame({key: pd.DataFrame(of).mean() for key, of in bounds.items()}),
        "errors": np.stack([errors_of_differences(pd.DataFrame(of)) for of in bounds.values()]),
        "changes": pd.DataFrame(changes).T,
    }


def errors_of_differences(bounds):
    """Standard errors over cells of the differences between methods (columns), of shape (m, m)."""
    covariance = bounds.cov().to_numpy()
    variances = np.diag(covariance)
    squares = np.maximum(variances[:, None] + variances - 2 * covariance, 0) / len(bounds)
    return np.sqrt(squares).astype(np.float32)


def measure(saved_models, only=None, fast=False, fresh=False):
    """Compute or load the records of all runs; dict of tables by title.

    A run of a real screen has a split and a start, and one of a simulation a seed, which is also
    that of the split.
    """
    records = {}
    recipe = FAST if fast else None
    for name in only or SCREENS:
        dataset, n_latent, make = SCREENS[name]
        folder = results_folder(saved_models, dataset, fast)
        splits = SPLITS if dataset == "papalexi" else SEEDS
        runs = product(splits, STARTS)
        for split, start in list(runs)[: 1 if fast else None]:
            adata = make(split)
            record = f"rivals_{name}_{split}_{start}"
            records[record] = compute_once(
                "rivals",
                adata,
                SparseShiftVAE(n_latent, recipe=recipe, random_state=start),
                partial(of_run, adata, n_latent, split, start, recipe),
                params={"screen": name, "networks": list(COMPARED)},
                results=folder / f"shift_{record}.pickle",
                overwrite=fresh,
                split=split,
                start=start,
            )
    return held_out_tables(records)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=lambda text: text.split(","), help="names of screens")
    parser.add_argument("--saved-models", default=ROOT / "saved_models", type=Path)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args(arguments)
    print_tables(measure(**vars(options)))


if __name__ == "__main__":
    main()
