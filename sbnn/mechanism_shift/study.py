"""The experiments on perturbation screens: what is run, and where its results go.

Every function loads what is saved and computes only what is missing. Results go to
``<saved_models>/<data set>/shift_<experiment>.pickle``.
"""

from sbnn.data.datasets import MECHANISM_SHIFT, load_dataset, require_study
from sbnn.data.screens import as_screen
from sbnn.mechanism_shift import screen_study, simulated_study
from sbnn.mechanism_shift.methods import ABLATION, FAST, METHODS
from sbnn.mechanism_shift.recipe import Recipe
from sbnn.mechanism_shift.simulated_study import VARIED
from sbnn.results import load

PREFIX = "shift_"
SCREEN_EXPERIMENTS = ("fits", "permuted", "sizes", "bootstraps")
#: Of the larger configurations, where networks of the literature take long, these methods are run.
SOME = {
    "script": ("pca", "ica", "linear", "ivae", "ivae_unmixed", "svae+", "svae+_unmixed", "staged"),
    "library": ("linear", "staged"),
}
SIMULATED = "simulated_screen"
#: What is run unless others are asked for: the largest takes long.
USUAL = ("small", "script")


def run(name, folder, *, everything=False, fast=False, fresh=False, verbose=True):
    """Run the study of a data set.

    Parameters
    ----------
    name : str
        ``"simulated_screen"``, on which all methods are compared, or another data set of the study.
    folder : Path
        Of its results.
    everything : bool
        On simulated screens also the ablation, and screens that vary in size and difficulty: half an hour.
    fast : bool
        One seed and a few epochs, to see that everything runs.
    fresh : bool
        Compute anew what is saved.
    verbose : bool
    """
    require_study(name, MECHANISM_SHIFT)
    how = {"fast": fast, "fresh": fresh, "verbose": verbose}
    if name != SIMULATED:
        run_screen(as_screen(load_dataset(name, verbose=verbose)), folder, **how)
        return
    run_simulated(folder, **how)
    if everything:
        run_ablation(folder, **how)
        run_varied(folder, **how)


def run_simulated(folder, configurations=USUAL, *, only=None, fast=False, fresh=False, verbose=True):
    """Run all methods on simulated screens.

    Parameters
    ----------
    folder : Path
        Of the results of simulated screens.
    configurations : sequence of str
    only : sequence of str, optional
        Methods; by default all.
    fast : bool
        One seed and a few epochs of the small configuration, to see that everything runs.
    fresh : bool
        Compute anew what is saved.
    verbose : bool
    """
    how = {"fresh": fresh} | ({"seeds": (0,), **FAST} if fast else {})
    for configuration in ("small",) if fast else configurations:
        for name in only or SOME.get(configuration, METHODS):
            path = folder / f"{PREFIX}{configuration}_{name}.pickle"
            _told(simulated_study.run_method(configuration, name, path, **how), f"{configuration} {name}", verbose)


def run_ablation(folder, *, fast=False, fresh=False, verbose=True):
    """What each change over the published recipe gives, on the small configuration; parameters as `run_simulated`."""
    how = {"fresh": fresh} | ({"seeds": (0,), **FAST} if fast else {})
    for i, name in enumerate(ABLATION):
        path = folder / f"{PREFIX}ablation_{i}.pickle"
        _told(simulated_study.run_method("small", name, path, ablation=True, **how), name, verbose)


def run_varied(folder, *, fast=False, fresh=False, verbose=True):
    """How accuracy depends on the screen and on the number of latents; parameters as `run_simulated`."""
    for quantity, (values, _) in VARIED.items():
        how = {"seeds": (0,), "values": values[:2], **FAST} if fast else {}
        path = folder / f"{PREFIX}varied_{quantity}.pickle"
        _told(simulated_study.run_varied(quantity, path, fresh, **how), quantity, verbose)


def run_screen(screen, folder, *, fast=False, fresh=False, verbose=True):
    """Fit a screen and ask what of it can be trusted.

    Parameters
    ----------
    screen : Screen
    folder : Path
    fast, fresh, verbose : bool
        As for `run_simulated`.
    """
    how = {"recipe": Recipe(**FAST)} if fast else {}
    few = {"fits": {"seeds": (0,)}, "permuted": {"seeds": (0,)}, "sizes": {"sizes": (2, 5)}}
    few |= {"bootstraps": {"n_bootstraps": 1}}
    for name in SCREEN_EXPERIMENTS:
        run = getattr(screen_study, f"run_{name}")
        more = few[name] if fast else {}
        run(screen, folder / f"{PREFIX}{name}.pickle", fresh, **how, **more)
        if verbose:
            print(f"{screen.name}: {name} done", flush=True)


def load_records(folder):
    """All results of a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to Record
        By the name of the file, without ``shift_``.
    """
    return {path.stem.removeprefix(PREFIX): load(path) for path in sorted(folder.glob(f"{PREFIX}*.pickle"))}


def _told(record, name, verbose):
    if verbose:
        means = record.scores[["mcc", "f1", "seconds"]].mean()
        print(f"{name}: MCC {means['mcc']:.3f}, F1 {means['f1']:.3f}, {means['seconds']:.0f} CPU s", flush=True)
