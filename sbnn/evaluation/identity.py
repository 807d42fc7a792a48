"""Identity of a result: data, cells, estimator, seed, settings and algorithm."""

import dataclasses
import hashlib
import json

import numpy as np
from sklearn.base import clone

NOT_DECISIVE = ("verbose", "n_jobs")  # do not change a result


def configured(estimator, point, seed):
    """Clone with the parameters of a grid point, and seeds in place of None."""
    model = clone(estimator).set_params(**point)
    for name, value in model.get_params().items():
        if value is None and name.split("__")[-1] == "random_state":
            model.set_params(**{name: seed})
    return model


def described(model):
    """Package, class and parameters of an estimator as plain data.

    An estimator can define ``decisive_params``.
    """
    values = model.decisive_params() if hasattr(model, "decisive_params") else model.get_params()
    params = {
        name: _plain(values[name])
        for name in sorted(values)
        if name.split("__")[-1] not in NOT_DECISIVE
    }
    package = type(model).__module__.partition(".")[0]
    return {"class": f"{package}.{type(model).__qualname__}", "params": params}


def fit_key(data, model, fold, scaling, **besides):
    """Fingerprint of what determines a fit; `data` is name, fingerprint and shape."""
    decisive = [*data, scaling, described(model)]
    version = getattr(model, "algorithm_version", 1)
    if version > 1:
        decisive.append({"version": version})
    if besides:
        decisive.append({"besides": besides})
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for cells in fold:
        digest.update(np.asarray(cells, dtype="<i8").tobytes() + b"|")
    return digest.hexdigest()[:32]


def _plain(value):
    if hasattr(value, "get_params"):
        return type(value).__name__  # its parameters are listed separately
    if dataclasses.is_dataclass(value):
        return {name: _plain(entry) for name, entry in vars(value).items()}
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return repr(value)
