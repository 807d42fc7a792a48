"""What a loader of electrophysiology for cell types returns: features of labelled cells, with families and units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.checks import check_labels, check_names, positions, some
from sbnn.data.families import FeatureFamilies
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.type_names import warn_of_spellings


@dataclass(frozen=True, eq=False, repr=False)
class EphysFeatures:
    """Electrophysiological features of cells, in families, with units, and what is known of each cell.

    It validates itself and its fields cannot be reassigned, so whatever receives one may rely on it.

    Parameters
    ----------
    X : array or DataFrame of shape (n, p)
        Features in their units, NaN where missing. Stored as float64.
    feature_names : sequence of str, optional
        Unique names of the columns; by default those of the DataFrame or of `families`, else ``feature_0`` and so on.
        Stored as an array of str.
    families : FeatureFamilies, dict of str to list, or None
        Family of each feature, as `FeatureFamilies.of` takes it; a dict holds feature names. ``None`` makes one
        family, ``"all"``.
    units : mapping of str to str, optional
        Feature -> unit, ``""`` for one without. Features that are not named have none.
    labels : DataFrame, optional
        Indexed by cell name (any order). Column `type` always exists afterwards, as text, ``"unknown"`` where nothing
        was given; `donor` and `condition` are text too where they exist; other columns stay as they are. Types keep
        the spelling they are given in; `from_table` reads known ones in the usual spelling.
    cell_names : sequence of str, optional
        Unique; by default the index of the DataFrame `X`, else ``cell_0`` and so on. Stored as an array of str.
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint of the data, by which stored results know it; by default that of the values, names and types.
    files : mapping of str to str, optional
        Name -> sha256 of the files the data was read from; for information.
    dropped : mapping of str to sequence of str, optional
        Why -> names of the cells or features that a reader left out of what it was given.

    Raises
    ------
    ValueError
        No cells or features, infinite values, names or labels that do not fit, duplicate names, families or units of
        other features.
    TypeError
        `X` that does not hold numbers, `labels` that are not a DataFrame.

    Warns
    -----
    UserWarning
        Types in several spellings, such as ``"SST"`` and ``"Sst"``, or ``"PVALB"`` and ``"PV"``: they are kept apart.
    """

    X: np.ndarray
    feature_names: np.ndarray | None = None
    families: FeatureFamilies | None = None
    units: dict[str, str] = field(default_factory=dict)
    labels: pd.DataFrame | None = None
    cell_names: np.ndarray | None = None
    name: str = "custom"
    source: str = "the user's table"
    sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    # Fingerprint of the content that `sha256` was given for: it does not hold for other values, as
    # `dataclasses.replace` may bring.
    content_sha256: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Validate, and fill in what was left out."""
        X = _check_values(self.X)
        n, p = X.shape
        features = self.feature_names
        if features is None:
            features = getattr(self.X, "columns", None)
        if features is None and isinstance(self.families, FeatureFamilies):
            features = self.families.feature_names
        features = check_names(features, "feature_names", "feature", p)
        cells = self.cell_names if self.cell_names is not None else getattr(self.X, "index", None)
        cells = check_names(cells, "cell_names", "cell", n)
        infinite = np.isinf(X)
        if infinite.any():
            i, j = np.argwhere(infinite)[0]
            raise ValueError(
                f"X holds {infinite.sum()} infinite value(s), the first for cell {str(cells[i])!r}, feature "
                f"{str(features[j])!r}; expected finite numbers, or NaN where a value is missing"
            )
        known = set(features)
        strangers = [name for name in self.units if name not in known]
        if strangers:
            raise ValueError(f"units names features that are not in the data: {some(strangers)}")
        labels = check_labels(self.labels, cells, ("type",), ("donor", "condition")).rename_axis(index=None)
        warn_of_spellings(labels["type"])
        content = fingerprint_parameters(
            {
                "values": fingerprint_arrays(X),
                "cells": cells,
                "features": features,
                "types": labels["type"].tolist(),
            }
        )
        given = self.sha256 if self.content_sha256 in ("", content) else ""
        checked = {
            "X": X,
            "feature_names": features,
            "families": FeatureFamilies.of(self.families, pd.DataFrame(columns=features)),
            "units": {str(name): str(self.units.get(name, "")) for name in features},
            "labels": labels,
            "cell_names": cells,
            "sha256": given or content,
            "files": dict(self.files),
            "dropped": {why: [str(name) for name in names] for why, names in self.dropped.items() if len(names)},
            "content_sha256": content,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # the class is frozen to everyone else

    @property
    def n_cells(self) -> int:
        """Number of cells, n."""
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features, p."""
        return self.X.shape[1]

    @property
    def y(self) -> np.ndarray:
        """The type of each cell, (n,) of str."""
        return self.labels["type"].to_numpy(dtype=str)

    @property
    def table(self) -> pd.DataFrame:
        """`X` as a DataFrame: cells by features, with their names."""
        return pd.DataFrame(self.X, index=pd.Index(self.cell_names, dtype=object), columns=self.feature_names)

    def __repr__(self) -> str:
        """Tell name, shape and fingerprint in one line."""
        return (
            f"EphysFeatures({self.name!r}: {self.n_cells} cells x {self.n_features} features in "
            f"{len(self.families)} families, sha256 {self.sha256[:12]})"
        )

    def summary(self) -> str:
        """Tell in two lines what the data is (shape, types with their counts) and where it comes from."""
        types = ", ".join(f"{name} {size}" for name, size in self.labels["type"].value_counts().items())
        donors = f"; {self.labels['donor'].nunique()} donors" if "donor" in self.labels else ""
        return (
            f"{self.name}: {self.n_cells} cells x {self.n_features} features in {len(self.families)} families, "
            f"{100 * np.isnan(self.X).mean():.1f} % missing; types: {types}{donors}\n"
            f"  source: {self.source}"
        )

    def subset(self, cells: Any = None) -> EphysFeatures:
        """Take some cells, in the order given.

        Parameters
        ----------
        cells : sequence of str, sequence of int or boolean mask, optional
            Names, positions or a mask; ``None`` takes all.

        Returns
        -------
        EphysFeatures
            With a fingerprint of its own, derived from this one and the names taken, unless all were.

        Raises
        ------
        KeyError, IndexError
            A name or position that the data does not hold.
        ValueError
            Nothing chosen, a mask of the wrong length, a cell taken twice.
        """
        return self._taken(positions(cells, self.cell_names, "cells"), np.arange(self.n_features))

    def with_features(self, names: Any) -> EphysFeatures:
        """Take some features, in the order given.

        Parameters
        ----------
        names : sequence of str, sequence of int or boolean mask
            Names, positions or a mask.

        Returns
        -------
        EphysFeatures

        Raises
        ------
        KeyError, IndexError, ValueError
            As for `subset`.
        """
        return self._taken(np.arange(self.n_cells), positions(names, self.feature_names, "names"))

    def with_classes(self, names: Iterable[str]) -> EphysFeatures:
        """Take the cells of some types, in the order of the data.

        Parameters
        ----------
        names : iterable of str
            Values of ``labels["type"]``.

        Returns
        -------
        EphysFeatures

        Raises
        ------
        ValueError
            No name, or one that no cell has; the message lists those there are.
        """
        names = [names] if isinstance(names, str) else [str(name) for name in names]
        unknown = [name for name in names if name not in set(self.y)]
        if unknown or not names:
            raise ValueError(f"names must be types of the data, {', '.join(sorted(set(self.y)))}; got {names}")
        return self.subset(np.isin(self.y, names))

    def with_types_of(self, column: str) -> EphysFeatures:
        """Take another column of the labels as the types, such as a finer or a coarser grouping.

        Parameters
        ----------
        column : str
            A column of `labels`. Cells without an entry become ``"unknown"``.

        Returns
        -------
        EphysFeatures
            With a fingerprint of its own.

        Raises
        ------
        ValueError
            A column that is not there; the message lists those there are.
        """
        if column not in self.labels:
            raise ValueError(f"column must be one of the labels, {', '.join(self.labels.columns)}; got {column!r}")
        if column == "type":
            return self
        labels = self.labels.assign(type=self.labels[column])
        sha256 = fingerprint_parameters({"of": self.sha256, "types": column})
        return replace(self, labels=labels, sha256=sha256, content_sha256="")

    def _taken(self, rows: np.ndarray, columns: np.ndarray) -> EphysFeatures:
        features, cells = self.feature_names[columns], self.cell_names[rows]
        whole = np.array_equal(cells, self.cell_names) and np.array_equal(features, self.feature_names)
        part = {"subset of": self.sha256, "cells": cells, "features": features}
        return EphysFeatures(
            X=self.X[np.ix_(rows, columns)],
            feature_names=features,
            families=self.families.subset(columns),
            units={name: self.units[name] for name in features},
            labels=self.labels.iloc[rows],
            cell_names=cells,
            name=self.name,
            source=self.source,
            sha256=self.sha256 if whole else fingerprint_parameters(part),
            files=self.files,
            dropped=self.dropped,
        )

    @classmethod
    def from_table(
        cls,
        features: Any,
        labels: Any = None,
        families: FeatureFamilies | Mapping[str, Iterable[str]] | None = None,
        units: Mapping[str, str] | None = None,
        **options: Any,
    ) -> EphysFeatures:
        """Build features from a table of your own, and one of labels if there is one.

        Parameters
        ----------
        features, labels : path-like, (path-like, str) or DataFrame
            Tables with cell names in the first column or the index; they are joined by them.
        families, units
            As for the class.
        **options
            See `sbnn.data.ephys_tables.read_ephys_table`, which this calls.

        Returns
        -------
        EphysFeatures
        """
        from sbnn.data.ephys_tables import read_ephys_table

        return cls(**read_ephys_table(features, labels, families, units, **options))


def _check_values(values: Any) -> np.ndarray:
    """Convert an array or a DataFrame to float64 of two dimensions with at least one cell and one feature."""
    try:
        X = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"X must hold numbers, NaN where one is missing: {error}") from None
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X has shape {X.shape}, expected (n, p), at least one cell and one feature")
    return X
