"""Fit to cells that do not fit into memory: genes are chosen on some of them, and read for all."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state

from sbnn.data.inputs import learn_library, new_cells, output_names, output_table, two_tables
from sbnn.data.streams import check_mapped
from sbnn.determinism import reproducible
from sbnn.models.bottleneck.gene_prior import GenePrior
from sbnn.models.bottleneck.parameters import check_params, protocol_of
from sbnn.models.bottleneck.protocols.settings import DistilledSettings
from sbnn.models.bottleneck.scales import learn_scales, scaled_inputs, scaled_outputs


def fit_stream(model, stream, outputs, eval_set):
    """Choose the genes on some cells, then fit as usual to these genes of all cells."""
    check_params(model, stream)
    protocol, distillation = protocol_of(model), model.distillation or DistilledSettings()
    if not hasattr(protocol, "choose_genes"):
        raise ValueError(
            f"protocol: a stream cannot be fitted by {model.protocol!r}, which needs all genes at once; read the cells "
            "into memory, as with adata.to_memory()"
        )
    if outputs is None:
        raise ValueError("y: expected outputs of the cells of the stream, got None")
    check_mapped(outputs, "y")
    y = check_array(outputs, dtype=np.float32, ensure_2d=False, input_name="y")
    if len(y) != len(stream):
        raise ValueError(f"y: expected {len(stream)} rows, as many as X has cells, got {len(y)}")
    model.n_features_in_ = stream.shape[1]
    if stream.gene_names is not None:
        model.feature_names_in_ = stream.gene_names
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_  # of an earlier fit
    learn_library(model, stream)
    prior = GenePrior.of(model, stream.shape[1])
    random = check_random_state(model.random_state)
    cells = np.sort(random.choice(len(stream), min(len(stream), distillation.most_cells), replace=False))
    sample, targets = stream.rows(cells), np.asarray(y[cells], dtype=np.float64).reshape(len(cells), -1)
    learn_scales(model, sample, targets, f"the {len(cells)} cells that genes are chosen on")
    device = model._torch_device()
    with reproducible(model.n_threads):
        x, target = scaled_inputs(model, sample, device), scaled_outputs(model, targets, device)
        genes = protocol.choose_genes(x, target, model.n_genes, random, distillation, prior)
    if eval_set is not None:
        eval_set = two_tables(*eval_set)
        eval_set = new_cells(model, eval_set[0], genes), output_table(*eval_set)
    names = [f"x{gene}" for gene in genes] if stream.gene_names is None else stream.gene_names[genes]
    table = pd.DataFrame(stream.columns(genes), index=stream.cell_names, columns=names)
    few = clone(model).set_params(n_genes=None, gene_prior=None, random_state=random).fit(table, y, eval_set)
    for name in ("x_mean_", "x_scale_", "x_min_", "x_max_", "gene_norms_", "support_"):
        values = np.zeros(stream.shape[1], dtype=getattr(few, name).dtype)
        values[genes] = getattr(few, name)
        setattr(model, name, values)
    for name in ("network_", "_gene_network", "history_", "y_mean_", "y_scale_", "_flat_output"):
        setattr(model, name, getattr(few, name))
    model.output_names_ = output_names(outputs, len(few.y_mean_))
    return model
