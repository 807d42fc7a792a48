"""Runs of many fits that lose nothing: every finished fit is on disk before the next one, none is computed twice."""

import hashlib
import inspect
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone

from sbnn.results import load, save

NOT_DECISIVE = ("verbose", "n_jobs")  # parameters that do not change a result
NESTED = ("test_predictions", "test_latent", "history")  # their shapes differ between folds or grid points


class ResumableRun:
    """Fits over grid points and folds, whose outcomes end up in one record.

    Parameters
    ----------
    results : str or path-like or None
        File of the record; outcomes are kept beside it, in ``<results>.parts``, until all are there. None keeps them in
        memory only.
    overwrite : bool
        Begin anew; the old file is replaced only when all is done.

    Attributes
    ----------
    stored : Record or None
        What the file holds.
    known : dict or None
        Its description of the estimator, see `described`.
    done : dict
        Outcomes by key.
    """

    def __init__(self, results, overwrite):
        self.results = results
        self.stored = None if results is None or overwrite or not Path(results).exists() else load(results)
        self.known = None if self.stored is None else self.stored.settings.get("estimator")
        self.parts = None if results is None else Path(f"{results}.parts")
        self.done = {}

    def has_all(self, keys):
        """Whether the file holds all there is to do.

        Parameters
        ----------
        keys : list of list of str
            Fingerprints of the fits (`fit_key`), indexed [grid point][fold].

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If it holds outcomes that are not asked for.
        """
        self.keys = keys
        if self.stored is not None:
            self.done = _outcomes(self.stored, keys, self.results)
        return all(key in self.done for row in keys for key in row)

    def begin(self):
        """Collect what an interrupted run has finished, and see to it that results can be written.

        Raises
        ------
        OSError
            If they cannot: before hours of work, not after.
        """
        if self.parts is not None:
            _make_writable(self.parts)
            self.done |= _finished_parts(self.parts, self.keys)

    def is_done(self, point, fold):
        """Whether a fit is finished."""
        return self.keys[point][fold] in self.done

    def keep(self, point, fold, outcome, part):
        """Keep the outcome of a fit, dict of str to value, on disk in a record like `part`."""
        key = self.keys[point][fold]
        self.done[key] = outcome
        if self.parts is not None:
            part.values = outcome
            save(part, self.parts / f"{key}.pickle")

    def finish(self, record, data, estimator, scaling, **settings):
        """Put all outcomes into a record, save it and drop the parts.

        Parameters
        ----------
        record : Record
            Gets its `settings` and `values`.
        data : PairedData
        estimator : scikit-learn-style regressor
        scaling : str
        **settings
            Further ones.

        Returns
        -------
        Record
        """
        record.settings = {"estimator": described(estimator, self.known), "scaling": scaling, "keys": self.keys}
        record.settings |= settings
        record.values = _gather(data, [[self.done[key] for key in row] for row in self.keys])
        if self.results is not None:
            save(record, self.results)
            shutil.rmtree(self.parts)
        return record


def drop_details(record, path=None):
    """Leave out of a record what it holds of single cells and epochs, most of its size; and of its file, if given."""
    if record.values.keys() & set(NESTED):
        record.values = {name: value for name, value in record.values.items() if name not in NESTED}
        if path is not None:
            save(record, path)
    return record


def configured(estimator, point, seed):
    """Clone an estimator with the parameters of a grid point, and with a seed if it has none."""
    model = clone(estimator).set_params(**point)
    if model.get_params().get("random_state", 0) is None:
        model.set_params(random_state=seed)
    return model


def described(model, known=None):
    """Class and parameters of an estimator as plain data.

    With the description of an older record as `known`, parameters that it lacks are left out while they have their
    default: a parameter added to a class later does not make older results look different; nor does a class that moved.
    """
    defaults = {k: p.default for k, p in inspect.signature(type(model)).parameters.items()} if known else {}
    params = {
        name: type(value).__name__ if hasattr(value, "get_params") else _plain(value)
        for name, value in sorted(model.get_params().items())
        if name.split("__")[-1] not in NOT_DECISIVE
        and not (known and name not in known["params"] and name in defaults and _plain(defaults[name]) == _plain(value))
    }
    return {"class": _class_name(model, known), "params": params}


def _class_name(model, known):
    """Package and class of an estimator: a result must not depend on the file in which the class stands.

    Older records name the module too; theirs is taken over where it means the same class.
    """
    package, name = type(model).__module__.partition(".")[0], type(model).__qualname__
    if known:
        of_record = known["class"].split(".")
        if of_record[0] == package and known["class"].endswith(f".{name}"):
            return known["class"]
    return f"{package}.{name}"


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def fit_key(data, model, fold, scaling, known=None, batched=None):
    """Fingerprint of one fit: data, model, cells and scaling decide its result, and `batched` its last bits."""
    decisive = [data.name, data.sha256, list(data.X.shape), scaling, described(model, known)]
    if batched and not str(getattr(model, "device", None)).startswith("cuda"):  # where it is not usual
        decisive.append("batched")
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for cells in fold:
        digest.update(np.asarray(cells, dtype="<i8").tobytes() + b"|")
    return digest.hexdigest()[:32]


def _outcomes(record, keys, path):
    """Outcomes that a record holds, by key; an error if it holds any that are not asked for."""
    stored = record.settings.get("keys", [])
    surplus = {key for row in stored for key in row} - {key for row in keys for key in row}
    if surplus or not stored:
        raise ValueError(
            f"results: {path} holds {record.experiment} results for {record.dataset!r} with other data, folds, "
            "scaling or parameters, which would be lost; give another path, or overwrite=True to compute anew"
        )
    return {key: _cut(record, g, f) for g, row in enumerate(stored) for f, key in enumerate(row)}


def _finished_parts(parts, keys):
    """Outcomes of an interrupted run."""
    done = {}
    for key in (key for row in keys for key in row):
        path = parts / f"{key}.pickle"
        if path.exists():
            try:
                done[key] = load(path).values
            except ValueError as error:
                warnings.warn(f"computing again what {path} should hold: {error}", stacklevel=3)
    return done


def _make_writable(folder):
    """Make a folder and write to it: fail before hours of work, not after."""
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise type(error)(error.errno, f"results: cannot write to {folder}: {error.strerror}") from error


def _gather(data, outcomes):
    """Arrays over (folds, grid points, ...) and nested lists [grid point][fold] from the outcomes of single fits."""
    values = {"gene_names": data.gene_names, "feature_names": data.feature_names}
    for name in outcomes[0][0]:
        rows = [[outcome[name] for outcome in row] for row in outcomes]
        values[name] = rows if name in NESTED else np.array(rows).swapaxes(0, 1)
    return values


def _cut(record, g, f):
    """The outcome of one fit back out of a gathered record."""
    outcome = {}
    for name, value in record.values.items():
        if name in NESTED:
            outcome[name] = value[g][f]
        elif name not in ("gene_names", "feature_names"):
            outcome[name] = value[f, g] if np.ndim(value) > 2 else value[f, g].item()
    return outcome
