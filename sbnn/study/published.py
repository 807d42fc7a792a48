"""The published cross-validations as tables, from the arrays stored with the published code."""

import pickle
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from sbnn.data.datasets import find_file
from sbnn.evaluation.verdict import PairedDifference, corrected_difference
from sbnn.results import Record

FOLDERS = {
    "scala": "scala_2020",
    "scala_ion_channels": "scala_2020_with_ion_channel_genes",
    "gouwens": "gouwens_2020",
    "stoeckius": "stoeckius_2017",
}
# ends of the names of files, by units of the network
ENDINGS_OF_FITS = {2: "", 64: "_nb"}
ENDINGS = {
    "scala": {2: "", 64: "_no_bottleneck"},
    "scala_ion_channels": {2: ""},
    "gouwens": {2: "", 64: "_nb"},
    "stoeckius": {2: "", 64: "_no_bottleneck"},
}
RANKS = {"scala": 16, "scala_ion_channels": 16, "gouwens": 16, "stoeckius": 13}
LASSOS = (1e-4, 1e-2, 1e-1, 1.0)
# file, and group lassos that were tried
STRATEGIES: dict[str, tuple[str, tuple[float, ...]]] = {
    "pretrained, then frozen": ("pre_tr_and_freeze_unfreeze", LASSOS),
    "pretrained, all layers": ("pre_tr_and_straight_regr", (1e-1,)),
    "not pretrained": ("straight_regr", (1e-1,)),
}
#: Strategies that are compared, minuend first; `report.strategy_differences` has the same titles.
STRATEGY_PAIRS = {
    "pretrained, all layers, minus straight": ("pretrained, all layers", "not pretrained"),
    "pretrained, then frozen, minus straight": ("pretrained, then frozen", "not pretrained"),
    "frozen first minus all layers": ("pretrained, then frozen", "pretrained, all layers"),
}
# what pickled arrays are made of; calling these runs no code of the file
ARRAY_PARTS = {
    "_reconstruct": np.empty(0).__reduce__()[0],
    "scalar": np.float64(0).__reduce__()[0],
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}


def published_curves(dataset: str, *, download: bool = True) -> pd.DataFrame:
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
    for n_components in ENDINGS[dataset]:
        for strategy, (file, lassos) in STRATEGIES.items():
            table = _read_epochs(
                dataset, f"r2_{file}", n_components, lassos, download=download, test_r2=-2
            )
            table.insert(0, "strategy", strategy)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def published_pretraining(dataset: str, *, download: bool = True) -> pd.DataFrame:
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
    tables = [
        _read_epochs(
            dataset, "pre_tr", n_components, LASSOS, download=download, held_out=2, training=3
        )
        for n_components in ENDINGS[dataset]
    ]
    return pd.concat(tables, ignore_index=True)


def published_paths(dataset: str, *, download: bool = True) -> pd.DataFrame:
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
        arrays = _read_arrays(dataset, f"sRRR_vs_Bottleneck_rank{rank}_CV_lasso.pickle", download)
        r2 = arrays[1][:, 0]  # (folds, penalties)
        levels = {"rank": [rank], "fold": range(len(r2)), "penalty": range(r2.shape[1])}
        table = _tabulate(levels, test_r2=r2, n_genes=arrays[4][:, 0])
        tables.append(table.dropna())
    return pd.concat(tables, ignore_index=True)


def published_outputs(*, download: bool = True) -> pd.DataFrame:
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
    columns = {}
    for width, ending in ENDINGS_OF_FITS.items():
        means, _ = _read_arrays("scala", f"ind_feature_scores{ending}.pickle", download)
        columns[width] = means
    return pd.DataFrame(columns)


def published_counts(*, download: bool = True) -> pd.DataFrame:
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
    columns = {}
    for width, ending in ENDINGS_OF_FITS.items():
        columns[width] = _read_arrays("scala", f"for_hist{ending}.pickle", download)
    return pd.DataFrame(columns)


def published_differences(
    curves: pd.DataFrame, group_lasso: float = 0.1
) -> dict[tuple[int, str], PairedDifference]:
    """Differences of test R2 between the published strategies at the last epoch, fold by fold.

    Parameters
    ----------
    curves : DataFrame
        From `published_curves`.
    group_lasso : float

    Returns
    -------
    dict of tuple to PairedDifference
        By units of the network and title; strategies with other folds are left out.
    """
    ends = _last_epoch(curves[curves["group_lasso"] == group_lasso])
    by_fold = ends.set_index(["n_components", "strategy", "fold"])["test_r2"].sort_index()
    differences = {}
    for width in by_fold.index.unique("n_components"):
        for title, (minuend, subtrahend) in STRATEGY_PAIRS.items():
            a, b = by_fold[width, minuend].to_numpy(), by_fold[width, subtrahend].to_numpy()
            if len(a) == len(b):
                differences[width, title] = _over_ten_or_three_folds(a - b)
    return differences


def differences_from_published(
    records: Mapping[str, Record], curves: pd.DataFrame
) -> dict[tuple[int, str, float], PairedDifference]:
    """Our test R2 minus that of the authors at the last epoch, fold by fold.

    Parameters
    ----------
    records : dict of str to Record
        Ours of the data set, scaled over all cells, see `sbnn.study.report.read_study_records`.
    curves : DataFrame
        From `published_curves`.

    Returns
    -------
    dict of tuple to PairedDifference
        By units of the network, strategy and group lasso.
    """
    ends = _last_epoch(curves)
    differences = {}
    by_network = ends.groupby(["n_components", "strategy", "group_lasso"])["test_r2"]
    for (width, strategy, lasso), theirs in by_network:
        folds = "_three_folds" if len(theirs) == 3 else ""
        how = "at_once" if strategy == "pretrained, all layers" else "scaled_over_all_cells"
        record = records[f"cv_published{folds}_{how}"]
        is_pretrained = strategy != "not pretrained"
        point = record.find(n_components=width, pretraining=is_pretrained, group_lasso=lasso)
        by_fold = record.test_r2[:, point] - theirs.to_numpy()
        differences[width, strategy, lasso] = _over_ten_or_three_folds(by_fold)
    return differences


def _last_epoch(curves):
    return curves[curves["epoch"] == curves["epoch"].max()]


def _over_ten_or_three_folds(values):
    """Mean over folds that share their training cells, with its interval."""
    test_fraction = 1 / (len(values) - 1)
    return corrected_difference(values, test_fraction)


def _read_epochs(dataset, file, n_components, lassos, *, download, **positions):
    """Table of the arrays at these positions of a file; their axes: folds, lassos, 1, epochs."""
    ending = ENDINGS[dataset][n_components]
    found = _read_arrays(dataset, f"Bottleneck_{file}_lasso{ending}.pickle", download)
    arrays = {name: found[position] for name, position in positions.items()}
    n_folds, _, _, n_epochs = next(iter(arrays.values())).shape
    levels = {
        "n_components": [n_components],
        "fold": range(n_folds),
        "group_lasso": lassos,
        "epoch": range(1, n_epochs + 1),
    }
    return _tabulate(levels, **arrays)


def _tabulate(levels: Mapping[str, Iterable], **arrays: np.ndarray) -> pd.DataFrame:
    """Table with a row for each combination of levels, which are the axes of the arrays."""
    index = pd.MultiIndex.from_product(levels.values(), names=levels)
    columns = {name: array.ravel() for name, array in arrays.items()}
    return pd.DataFrame(columns, index).reset_index()


def _read_arrays(dataset, name, download):
    path = find_file(f"{FOLDERS[dataset]}/{name}", download=download)
    with open(path, "rb") as file:
        return _ArraysOnly(file, encoding="latin1").load()


class _ArraysOnly(pickle.Unpickler):
    """Refuses everything but lists, dicts, numbers and arrays."""

    def find_class(self, module, name):
        if module.partition(".")[0] == "numpy" and name in ARRAY_PARTS:
            return ARRAY_PARTS[name]
        raise pickle.UnpicklingError(f"expected arrays, got {module}.{name}")
