"""Identity of a result: data, cells, estimator, seed, settings and algorithm."""

import dataclasses
import hashlib
import inspect
import json

import numpy as np
from sklearn.base import clone

from sbnn.errors import check_number

NOT_DECISIVE = ("verbose", "n_jobs")  # do not change a result
# records from before version 1.0 describe all classes by this name, with these parameters
FORMER_NAME = "SparseBottleneckRegressor"
FORMER_PARAMS = {
    "SparseBottleneckRegressor": {"protocol": "paper", "distillation": None},
    "DistilledBottleneckRegressor": {
        "protocol": "distilled",
        "group_lasso": 0.1,
        "pretraining": True,
        "epochs": [50, 50, 50, 100],
        "learning_rate": 1e-4,
        "batch_size": 32,
        "weight_decay": 1e-10,
        "n_clusters": 20,
    },
}


def configured(estimator, point, seed):
    """Clone with the parameters of a grid point, and seeds in place of None."""
    if seed is not None:
        check_number("seed", seed, int, 0, 2**32 - 1)
    model = clone(estimator).set_params(**point)
    for name, value in model.get_params().items():
        if value is None and name.split("__")[-1] == "random_state":
            model.set_params(**{name: seed})
    return model


def described(model, known=None):
    """Package, class and parameters of an estimator as plain data.

    Defaults that `known`, the description in an older record, lacks are left out. An estimator can
    define ``decisive_params``.
    """
    values = model.decisive_params() if hasattr(model, "decisive_params") else model.get_params()
    params = {}
    for name in sorted(values):
        if name.split("__")[-1] not in NOT_DECISIVE:
            params[name] = _plain(values[name])
    # older records name the module, too
    package = type(model).__module__.partition(".")[0]
    name = type(model).__qualname__
    if not known:
        return {"class": f"{package}.{name}", "params": params}
    defaults = _defaults(type(model), values)
    if "protocol" in known["params"] and name in FORMER_PARAMS:
        params = params | FORMER_PARAMS[name]
        defaults = defaults | FORMER_PARAMS[name]
        name = FORMER_NAME
    is_same = known["class"].startswith(f"{package}.") and known["class"].endswith(f".{name}")
    return {
        "class": known["class"] if is_same else f"{package}.{name}",
        "params": _as_known(params, defaults, known["params"]),
    }


def version_of(model, n_cells):
    """Version of the algorithm for `n_cells` cells."""
    version = getattr(model, "algorithm_version", 1)
    return version(n_cells) if callable(version) else version


def fit_key(data, model, fold, scaling, known=None, **besides):
    """Fingerprint of what determines a fit; `data` is name, fingerprint and shape."""
    decisive = [*data, scaling, described(model, known)]
    version = version_of(model, len(fold[0]))
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


def _defaults(cls, values):
    defaults = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        default = parameter.default
        if dataclasses.is_dataclass(values.get(name)):
            default = type(values[name])()
        defaults[name] = _plain(default)
    return defaults


def _as_known(params, defaults, known):
    kept = {}
    for name, value in params.items():
        if isinstance(value, dict) and isinstance(known.get(name), dict):
            value = _as_known(value, defaults.get(name) or {}, known[name])
        if name in known or name not in defaults or defaults[name] != value:
            kept[name] = value
    return kept
