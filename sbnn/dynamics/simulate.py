"""Training and test trajectories with a prior and perhaps the true network."""

from __future__ import annotations

from collections.abc import Mapping

import anndata as ad
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike

from sbnn.data.fingerprint import fingerprint_of_data
from sbnn.dynamics.data import gene_pairs, prior_matrix
from sbnn.dynamics.gene_network import GeneNetwork
from sbnn.errors import check_number


def gene_dynamics(
    train: AnnData,
    test: AnnData,
    prior: ArrayLike | pd.DataFrame,
    truth: pd.DataFrame | None = None,
    interactions: pd.DataFrame | None = None,
    *,
    name: str = "custom",
    source: str = "the user's trajectories",
    files: Mapping[str, str] | None = None,
) -> AnnData:
    """Join all parts in an AnnData: "split" in obs; "prior", "truth" and "interactions" in varp.

    `truth`, a DataFrame of regulators by genes, may lack rows; then ``var["truth_known"]`` is False
    and the rows of ``varp["truth"]`` are NaN.
    """
    genes = train.var_names
    adata = ad.concat({"train": train, "test": test}, label="split", index_unique="_")
    split = adata.obs["split"].astype(str)
    labels = adata.obs["sample"].astype(str)
    adata.obs["sample"] = split + "_" + labels
    adata.varp["prior"] = prior_matrix(prior, genes)
    if truth is not None:
        adata.var["truth_known"] = genes.isin(truth.index)
        adata.varp["truth"] = truth.reindex(index=genes, columns=genes).to_numpy(float)
    if interactions is not None:
        adata.varp["interactions"] = gene_pairs(interactions, genes, "interactions")
    adata.uns["sbnn"] = {
        "name": name,
        "source": source,
        "sha256": fingerprint_of_data(adata, ("sample", "time", "split")),
        "files": files or {},
        "gene_major": train.uns["sbnn"].get("gene_major", False),
    }
    return adata


def prior_table(data: AnnData) -> pd.DataFrame:
    """Prior network, regulators by targets."""
    genes = data.var_names
    return pd.DataFrame(data.varp["prior"], index=genes, columns=genes)


def truth_table(data: AnnData) -> pd.DataFrame | None:
    """True network, known regulators by genes, or None."""
    if "truth" not in data.varp:
        return None
    genes = data.var_names
    table = pd.DataFrame(data.varp["truth"], index=genes, columns=genes)
    return table[data.var["truth_known"].to_numpy()] if "truth_known" in data.var else table


def simulate_network(
    n_genes: int = 350,
    n_samples: int = 150,
    noise: float = 0.025,
    wrong: float = 0.05,
    n_test: int = 10,
    random_state: int = 0,
) -> AnnData:
    """Simulate trajectories of a random network, with a partly wrong prior network.

    Parameters
    ----------
    n_genes, n_samples, n_test : int
    noise : float
        SD of the noise in the training samples; test samples have none.
    wrong : float
        Fraction of the edges misplaced in the prior network, in [0, 1].
    random_state : int

    Returns
    -------
    AnnData
        With ``obs["split"]`` ("train" or "test"), ``varp["prior"]`` and ``varp["truth"]``.
    """
    check_number("n_genes", n_genes, int, low=1)
    check_number("n_samples", n_samples, int, low=1)
    check_number("noise", noise, float, low=0)
    check_number("n_test", n_test, int, low=1)
    check_number("wrong", wrong, float, low=0, high=1)
    network = GeneNetwork.random(n_genes, random_state=random_state)
    prior = network.misplaced_prior(wrong, random_state)
    train = network.simulate(n_samples, noise, random_state)
    # far from the seeds of training samples
    test = network.simulate(n_test, 0.0, random_state + 1_000_000)
    return gene_dynamics(
        train,
        test,
        prior=prior,
        truth=network.graph,
        name="simulated_grn",
        source=train.uns["sbnn"]["source"],
    )
