"""Records of experiments on screens, each of which is computed only once."""

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.screens import as_screen
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record


def compute_once(
    kind, data, model, compute, *, params=None, results=None, overwrite=False, **settings
):
    """Load the record of an experiment on screens, or compute and save it.

    Parameters
    ----------
    kind : str
    data : AnnData or dict
        The screen, or the parameters of `simulate_perturbations` except the seed.
    model : estimator
    compute : callable
        Returns the values of the record as a dict.
    params : dict, optional
    results, overwrite
        See `sbnn.cross_validate`.
    **settings
        Whatever else determines the values, such as ``seeds``.
    """
    if isinstance(data, dict):
        settings["configuration"] = data
        identity = "simulated_screen", fingerprint_parameters(data)
    else:
        screen = as_screen(data)
        identity = screen.name, screen.sha256
    wanted = Record(f"mechanism-shift {kind}", *identity, [params or {}], settings=settings)
    return load_or_compute(wanted, compute, results, overwrite, estimator=model)
