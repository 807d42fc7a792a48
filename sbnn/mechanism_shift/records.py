"""Records of experiments on screens, each of which is computed only once."""

from sbnn.data.fingerprint import fingerprint
from sbnn.data.screens import as_screen
from sbnn.evaluation.runs import describe_estimator, store_result
from sbnn.results import Record


@store_result
def compute_once(
    kind, data, model, compute, *, params=None, results=None, overwrite=False, **settings
):
    """Load the record of an experiment on screens, or compute and save it.

    Parameters
    ----------
    kind : str
    data : AnnData or dict
        The screen, or the parameters of `simulate_perturbations` except the seed.
    model : estimator or None
        None if the values are those of the data themselves.
    compute : callable
        Returns the values of the record as a dict. It is identified by its name, and the arguments
        and variables that it encloses.
    params : dict, optional
    results, overwrite
        See `sbnn.cross_validate`.
    **settings
        Whatever else determines the values, such as ``seeds``.
    """
    if isinstance(data, dict):
        settings["configuration"] = data
        dataset = "simulated_screen"
        sha256 = fingerprint(data)
    else:
        screen = as_screen(data)
        dataset = screen.name
        sha256 = screen.sha256
    estimator = None if model is None else describe_estimator(model)
    return Record(
        experiment=f"mechanism-shift {kind}",
        dataset=dataset,
        sha256=sha256,
        params=[params or {}],
        settings={"estimator": estimator} | settings,
        values=compute(),
    )
