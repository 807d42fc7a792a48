"""The published cross-validations as tables, from the arrays stored with the published code."""

import pickle

import numpy as np
import pandas as pd

from sbnn.data.datasets import find_file

FOLDERS = {
    "scala": "scala_2020",
    "scala_ion_channels": "scala_2020_with_ion_channel_genes",
    "gouwens": "gouwens_2020",
    "stoeckius": "stoeckius_2017",
}
OF_FITS = {2: "", 64: "_nb"}  # ends of names, by units
WITHOUT = {2: "", 64: "_no_bottleneck"}
ENDINGS = {
    "scala": WITHOUT,
    "scala_ion_channels": {2: ""},
    "gouwens": OF_FITS,
    "stoeckius": WITHOUT,
}
RANKS = {"scala": 16, "scala_ion_channels": 16, "gouwens": 16, "stoeckius": 13}
LASSOS = (1e-4, 1e-2, 1e-1, 1.0)
# file, and group lassos that were tried
STRATEGIES = {
    "pretrained, then frozen": ("pre_tr_and_freeze_unfreeze", LASSOS),
    "pretrained, all layers": ("pre_tr_and_straight_regr", LASSOS[2:3]),
    "not pretrained": ("straight_regr", LASSOS[2:3]),
}
# what pickled arrays are made of; calling these runs no code of the file
OF_ARRAYS = {
    "_reconstruct": np.empty(0).__reduce__()[0],
    "scalar": np.float64(0).__reduce__()[0],
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}


def published_curves(dataset, *, download=True):
    """Test R2 of the published networks after every epoch of the regression.

    Parameters
    ----------
    dataset : {"scala", "scala_ion_channels", "gouwens", "stoeckius"}
    download : bool
        Whether to download missing files (0.7 MB at most).

    Returns
    -------
    DataFrame
        A row for each ``strategy``, ``n_components``, ``group_lasso``, ``fold`` and ``epoch`` (1 to
        200; 50 before unfreezing, the last 100 after pruning to 25 genes), with ``test_r2``. The
        paper prints means at the last epoch.

    Raises
    ------
    FileNotFoundError
        If a file is missing and cannot be downloaded.

    References
    ----------
    Bernaerts, Berens and Kobak, arXiv 2006.10411; github.com/berenslab/sBNN, commit 4ff8ba8.
    """
    tables = []
    for n_components, ending in ENDINGS[dataset].items():
        for strategy, (file, lassos) in STRATEGIES.items():
            arrays = _arrays(dataset, f"Bottleneck_r2_{file}_lasso{ending}.pickle", download)
            about = {"strategy": [strategy], "n_components": [n_components]}
            tables.append(_history(about, lassos, test_r2=arrays[-2]))
    return pd.concat(tables, ignore_index=True)


def published_pretraining(dataset, *, download=True):
    """Cross-entropy of the published networks after every epoch of the pretraining.

    Parameters
    ----------
    dataset, download
        As for `published_curves`.

    Returns
    -------
    DataFrame
        A row for each ``n_components``, ``group_lasso``, ``fold`` and ``epoch`` (1 to 50), with the
        cross-entropy of cells held out from the pretraining, ``held_out``, and of the others,
        ``training``.

    Raises
    ------
    FileNotFoundError
        As for `published_curves`.
    """
    tables = []
    for n_components, ending in ENDINGS[dataset].items():
        arrays = _arrays(dataset, f"Bottleneck_pre_tr_lasso{ending}.pickle", download)
        about = {"n_components": [n_components]}
        tables.append(_history(about, LASSOS, held_out=arrays[2], training=arrays[3]))
    return pd.concat(tables, ignore_index=True)


def published_paths(dataset, *, download=True):
    """Test R2 of the published sparse reduced-rank regressions, refitted to the selected genes.

    Parameters
    ----------
    dataset, download
        As for `published_curves`.

    Returns
    -------
    DataFrame
        A row for each ``rank``, ``fold`` and ``penalty`` (its position) that leaves as many genes
        as the rank, or more, with ``test_r2`` and the number of genes, ``n_genes``.

    Raises
    ------
    FileNotFoundError
        As for `published_curves`.
    """
    tables = []
    for rank in (2, RANKS[dataset]):
        arrays = _arrays(dataset, f"sRRR_vs_Bottleneck_rank{rank}_CV_lasso.pickle", download)
        r2 = arrays[1][:, 0]  # (folds, penalties)
        levels = {"rank": [rank], "fold": range(len(r2)), "penalty": range(r2.shape[1])}
        tables.append(_table(levels, test_r2=r2, n_genes=arrays[4][:, 0]).dropna())
    return pd.concat(tables, ignore_index=True)


def published_outputs(*, download=True):
    """Test R2 of every output of mouse M1 for the published networks of 2 and 64 units.

    Parameters
    ----------
    download : bool
        As for `published_curves`.

    Returns
    -------
    DataFrame
        A row for each output; columns ``2`` and ``64``, means over ten folds at the epoch that is
        best on the test cells.

    Raises
    ------
    FileNotFoundError
        As for `published_curves`.
    """
    fits = _of_fits("ind_feature_scores", download)  # means and SDs
    return pd.DataFrame({width: means for width, (means, _) in fits.items()})


def published_counts(*, download=True):
    """Number of genes of mouse M1 that k of ten published networks keep, fitted to all cells.

    Parameters
    ----------
    download : bool
        As for `published_curves`.

    Returns
    -------
    DataFrame
        A row for each k from 1 to 10; columns ``2`` and ``64``, the units of the network.

    Raises
    ------
    FileNotFoundError
        As for `published_curves`.
    """
    return pd.DataFrame(_of_fits("for_hist", download))


def _of_fits(name, download):
    """Contents of the files of both networks of mouse M1, by units."""
    files = {width: f"{name}{ending}.pickle" for width, ending in OF_FITS.items()}
    return {width: _arrays("scala", file, download) for width, file in files.items()}


def _history(about, lassos, **arrays):
    """Table of arrays of shape (folds, lassos, 1, epochs)."""
    n_folds, _, _, n_epochs = next(iter(arrays.values())).shape
    levels = {"fold": range(n_folds), "group_lasso": lassos, "epoch": range(1, n_epochs + 1)}
    return _table(about | levels, **arrays)


def _table(levels, **arrays):
    """Table with a row for each combination of levels, which are the axes of the arrays."""
    index = pd.MultiIndex.from_product(levels.values(), names=levels)
    columns = {name: array.ravel() for name, array in arrays.items()}
    return pd.DataFrame(columns, index).reset_index()


def _arrays(dataset, name, download):
    path = find_file(f"{FOLDERS[dataset]}/{name}", download=download)
    with open(path, "rb") as file:
        return _ArraysOnly(file, encoding="latin1").load()


class _ArraysOnly(pickle.Unpickler):
    """Refuses everything but lists, dicts, numbers and arrays."""

    def find_class(self, module, name):
        if module.partition(".")[0] == "numpy" and name in OF_ARRAYS:
            return OF_ARRAYS[name]
        raise pickle.UnpicklingError(f"expected arrays, got {module}.{name}")
