"""Penalties that make PHOENIX sparse while it is trained, without a schedule: each a number that is added to the loss.

- L0: Louizos et al., "Learning sparse neural networks through L0 regularization", ICLR 2018.
- C-NODE: Aliee, Theis, Kilbertus, "Beyond predictions in neural ODEs: identification and interventions", 2021,
  arXiv 2106.12430.
- PathReg: Aliee et al., "Sparsity in continuous-depth neural networks", NeurIPS 2022, arXiv 2210.14672.
"""

from sbnn.dynamics.gates import open_probability


def open_weights(network):
    """Share of the weights whose gates are expected to be open, of a `GatedPhoenix`."""
    layers = [getattr(network, name) for name in network.LAYERS]
    open_ones = [
        open_probability(network.locations[name]).sum() * len(layer)
        for name, layer in zip(network.LAYERS, layers, strict=True)
    ]
    return sum(open_ones) / sum(layer.numel() for layer in layers)


def open_paths(network):
    """Expected number of open paths from one gene to another, of a `GatedPhoenix`: the mean over all pairs of genes."""
    share = {name: open_probability(location) for name, location in network.locations.items()}
    # A path is open if the gates of its gene and of its sum or product are, one independently of the other.
    return share["sum_in"].mean() * share["sum_out"].sum() + share["product_in"].mean() * share["product_out"].sum()


def path_sizes(network):
    """Sizes of all paths from one gene to another, ``|Ws|' |As|' + |Wp|' |Ap|'``: the mean over all pairs of genes."""
    sum_in, product_in, sum_out, product_out = (layer.abs() for layer in network.layers())
    n_genes = sum_in.shape[1]
    # The sum over all pairs needs no matrix of genes by genes.
    sums = sum_in.sum(dim=1) @ sum_out.sum(dim=0)
    products = product_in.sum(dim=1) @ product_out.sum(dim=0)
    return (sums + products) / n_genes**2


#: Way of pruning -> its penalty, whether it needs gates, and the weight of the penalty; that of L0 is ours.
PENALTIES = {
    "l0": (open_weights, True, 1e-2),
    "c_node": (path_sizes, False, 1e-3),
    "path_reg": (open_paths, True, 1e-4),
}
