"""The methods that the study compares, by name, and what is read out of each."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from sbnn.mechanism_shift.baselines import LinearShift
from sbnn.mechanism_shift.graph import edges_of, graph_table, largest_shifts
from sbnn.mechanism_shift.model import SparseShiftVAE
from sbnn.mechanism_shift.recipe import PUBLISHED, Recipe
from sbnn.mechanism_shift.unmixing import unmix

TUNED_STRENGTH = 10.0  # K of SVAE+: the best of seven from 2 to 300 on seeds 100 and 101, small configuration
FAST = {"epochs": 4, "least_updates": 0, "updates_per_pair": 0}


class Method(NamedTuple):
    """A method of the study: ``make(n_latent, random_state, **recipe)`` gives an estimator."""

    label: str
    make: Callable
    kind: str  # linear, network, published or ours
    unmixed: bool = False  # whether latents are unmixed after the fit
    largest: bool = False  # whether edges are the two largest shifts, in place of the probable ones


def network(method, strength=None, base=None, **changes):
    """Function that makes a network by a recipe, as a `Method` has it."""
    start = Recipe() if method == "staged" else PUBLISHED
    start = replace(start if base is None else base, **changes)

    def make(n_latent, random_state, **recipe):
        return SparseShiftVAE(n_latent, method, strength, replace(start, **recipe), random_state)

    return make


def _staged(base=None, **changes):
    return Method("", network("staged", base=base, **changes), "ours")


def _linear(rotation):
    return lambda n_latent, random_state, **_: LinearShift(n_latent, rotation, random_state)


METHODS = {
    "pca": Method("PCA", _linear("none"), "linear", largest=True),
    "ica": Method("ICA", _linear("ica"), "linear", largest=True),
    "linear": Method("PCA, unmixed", _linear("unmix"), "linear"),
    "vae": Method("VAE", network("vae"), "network", largest=True),
    "ivae": Method("iVAE", network("ivae"), "network", largest=True),
    "ivae_unmixed": Method("iVAE, unmixed", network("ivae"), "network", unmixed=True),
    "svae": Method("sVAE", network("svae"), "published"),
    "svae+": Method("SVAE+", network("svae+", TUNED_STRENGTH), "published"),
    "svae+_unmixed": Method("SVAE+, unmixed", network("svae+", TUNED_STRENGTH), "published", unmixed=True),
    "staged": Method("staged", network("staged"), "ours"),
}

#: What each change over the published recipe gives: one more change from row to row.
ABLATION = {
    "svae+": METHODS["svae+"],
    "mask open (iVAE)": METHODS["ivae"],
    "+ unmixed afterwards": METHODS["ivae_unmixed"],
    "+ means of the encoder, then masked": _staged(base=replace(PUBLISHED, patience=None, warm_up=10, epochs=100)),
    "+ learning rate, epsilon": _staged(
        hidden=128, batch_norm=True, dropout=0.1, standardize=False, dispersion=0.0, weight_precision=0.0
    ),
    "+ no dropout, no batch norm": _staged(hidden=128, standardize=False, dispersion=0.0, weight_precision=0.0),
    "+ standardized input, dispersion": _staged(hidden=128, weight_precision=0.0),
    "+ 400 units": _staged(weight_precision=0.0),
    "+ normal prior of weights (staged)": METHODS["staged"],
    "staged, not trained on after unmixing": _staged(first_share=1.0, unmixings=1),
    "staged, unmixed once": _staged(unmixings=1),
}


def read_out(method, model, counts, perturbation, control=None):
    """Latents of cells, shift graph and edges of a method that was fitted to these cells."""
    latents, graph = model.transform(counts), model.shift_graph_
    if method.unmixed:
        found = unmix(latents, perturbation, control, random_state=model.random_state or 0)
        latents, graph = found.transform(latents), graph_table(found.shifts, found.probabilities)
    return latents, graph, largest_shifts(graph) if method.largest else edges_of(graph)
