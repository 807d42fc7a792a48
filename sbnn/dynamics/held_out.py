"""Comparison of a network with models without one, on samples that were held out."""

import pandas as pd

from sbnn.dynamics.accuracy import path_errors
from sbnn.dynamics.baselines import AutoRegression, PriorAlone


def validated(predict, train, held):
    """One-step errors of a network and of models without one in held-out samples.

    Returns them, whether that of the network is the lowest, and this in a sentence.
    """
    if not held.values:
        return None, False, "no sample was held out, so it is unknown whether the network helps"
    predictors = {"network": predict, "no change": PriorAlone().fit(train).predict}
    predictors["ar1"] = AutoRegression().fit(train).predict
    errors = {name: path_errors(model, held)["mse_ahead"] for name, model in predictors.items()}
    network, *others = errors.values()
    helps = bool(network < min(others))
    verdict = (
        "the one-step error of the network in held-out samples, {:.2g}, is {} than those of no "
        "change, {:.2g}, and of AR(1), {:.2g}"
    )
    verdict = verdict.format(network, "lower" if helps else "not lower", *others)
    return pd.Series(errors), helps, verdict
