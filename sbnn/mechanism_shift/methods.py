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
    """A method of the study.

    Attributes
    ----------
    label : str
    make : callable
        ``make(n_latent, random_state, **recipe)`` gives an estimator; the recipe shortens its training.
    kind : {"linear", "network", "published", "ours"}
    unmixed : bool
        Whether the latents are unmixed after the fit.
    graph : {"probabilities", "largest"}
        How edges are told: by the probabilities of the shift graph, or as the two largest shifts.
    """

    label: str
    make: Callable
    kind: str
    unmixed: bool = False
    graph: str = "probabilities"


def _network(method, strength=None, base=None, **changes):
    start = Recipe() if method == "staged" else PUBLISHED
    start = replace(start if base is None else base, **changes)

    def make(n_latent, random_state, **recipe):
        return SparseShiftVAE(n_latent, method, strength, replace(start, **recipe), random_state)

    return make


def _staged(base=None, **changes):
    return Method("", _network("staged", base=base, **changes), "ours")


def _linear(rotation):
    return lambda n_latent, random_state, **_: LinearShift(n_latent, rotation, random_state)


METHODS = {
    "pca": Method("PCA", _linear("none"), "linear", graph="largest"),
    "ica": Method("ICA", _linear("ica"), "linear", graph="largest"),
    "linear": Method("PCA, unmixed", _linear("unmix"), "linear"),
    "vae": Method("VAE", _network("vae"), "network", graph="largest"),
    "ivae": Method("iVAE", _network("ivae"), "network", graph="largest"),
    "ivae_unmixed": Method("iVAE, unmixed", _network("ivae"), "network", unmixed=True),
    "svae": Method("sVAE", _network("svae"), "published"),
    "svae+": Method("SVAE+", _network("svae+", TUNED_STRENGTH), "published"),
    "svae+_unmixed": Method("SVAE+, unmixed", _network("svae+", TUNED_STRENGTH), "published", unmixed=True),
    "staged": Method("staged", _network("staged"), "ours"),
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
    """Latents of cells, shift graph and edges of a fitted method.

    Parameters
    ----------
    method : Method
    model : estimator
        Fitted to these cells.
    counts : array of shape (n, p)
    perturbation : ndarray of str, shape (n,)
    control : str or None

    Returns
    -------
    latents : ndarray, shape (n, d)
    graph : DataFrame
    edges : DataFrame of bool, perturbations by latents
    """
    latents, graph = model.transform(counts), model.shift_graph_
    if method.unmixed:
        found = unmix(latents, perturbation, control, random_state=model.random_state or 0)
        latents, graph = found.transform(latents), graph_table(found.shifts, found.probabilities)
    edges = largest_shifts(graph) if method.graph == "largest" else edges_of(graph)
    return latents, graph, edges
