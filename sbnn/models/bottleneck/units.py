"""A model of z-scores as a model of the values they were made of, so that it takes cells as they come."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from sbnn.data.inputs import learn_library


def model_in_units(model, data, genes):
    """Turn a network that was fitted to z-scores of some genes into one of all genes in the units of the data."""
    columns = pd.Index(data.gene_names).get_indexer(genes)
    x, y = (StandardScaler().fit(values.astype(np.float64)) for values in (data.X[:, columns], data.Y))

    def among_all(values, others):
        spread = np.full(data.n_genes, others, dtype=np.asarray(values).dtype)
        spread[columns] = values
        return spread

    turned = clone(model).set_params(standardize=True)
    learned = {name: value for name, value in vars(model).items() if name not in model.get_params()}
    vars(turned).update(learned)
    turned.support_ = among_all(model.support_, False)
    turned.gene_norms_ = among_all(model.gene_norms_, 0)
    turned.x_mean_ = among_all(x.mean_ + x.scale_ * model.x_mean_, 0)
    turned.x_scale_ = among_all(x.scale_ * model.x_scale_, 0)  # 0 marks genes without a scale, as in fits of streams
    turned.x_min_ = among_all(x.mean_ + x.scale_ * model.x_min_, -np.inf)
    turned.x_max_ = among_all(x.mean_ + x.scale_ * model.x_max_, np.inf)
    turned.y_mean_ = y.mean_ + y.scale_ * model.y_mean_
    turned.y_scale_ = y.scale_ * model.y_scale_
    turned.n_features_in_ = data.n_genes
    turned.feature_names_in_ = data.gene_names.astype(object)
    turned.output_names_ = data.feature_names.astype(object)
    learn_library(turned, data)
    return turned
