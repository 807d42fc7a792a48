"""Families of features: which columns of a table of electrophysiology describe one aspect and go missing together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.checks import positions, some

#: The one family where none are given.
ALL = "all"


@dataclass(frozen=True)
class FeatureFamilies:
    """The family of every column of a table `X`, in the order of its columns.

    Parameters
    ----------
    feature_names : sequence of str, length p
        Unique names of the columns. Stored as a tuple.
    family_of : sequence of str, length p
        Family of each column. Stored as a tuple.

    Raises
    ------
    ValueError
        No columns, another number of families than of columns, an empty or a duplicate name.
    TypeError
        A text in place of a sequence of texts.
    """

    feature_names: tuple[str, ...]
    family_of: tuple[str, ...]

    def __post_init__(self) -> None:
        """Validate, and turn names into text."""
        for argument in ("feature_names", "family_of"):
            given = getattr(self, argument)
            if isinstance(given, str):
                raise TypeError(f"{argument} must be a sequence of names, got the text {given!r}")
            names = tuple(str(name) for name in given)
            if "" in names:
                raise ValueError(f"{argument}[{names.index('')}] is empty; each feature needs a name and a family")
            object.__setattr__(self, argument, names)  # the class is frozen to everyone else
        if not self.feature_names:
            raise ValueError("feature_names is empty; expected at least one feature")
        if len(self.family_of) != len(self.feature_names):
            raise ValueError(
                f"family_of has {len(self.family_of)} entries, expected {len(self.feature_names)}, "
                f"one for each of feature_names"
            )
        repeated = pd.Index(self.feature_names)
        repeated = repeated[repeated.duplicated()]
        if len(repeated):
            raise ValueError(f"duplicate feature names: {some(repeated)}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The families, in order of first appearance."""
        return tuple(dict.fromkeys(self.family_of))

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Positions of the columns of each family, ascending: family -> int array."""
        family_of = np.array(self.family_of, dtype=object)
        return {name: np.flatnonzero(family_of == name) for name in self.names}

    def __len__(self) -> int:
        """Count the families."""
        return len(self.names)

    def present(self, X: Any) -> np.ndarray:
        """Tell which families were measured in which cells.

        Parameters
        ----------
        X : array or DataFrame of shape (n, p)
            NaN where a feature is missing.

        Returns
        -------
        ndarray of bool, shape (n, n_families)
            Whether at least one feature of the family (columns in the order of `names`) is finite in the cell.

        Raises
        ------
        ValueError
            Another number of columns.
        """
        values = np.asarray(X, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.feature_names):
            raise ValueError(
                f"X has shape {values.shape}, expected (n, {len(self.feature_names)}), the columns of the families"
            )
        finite = np.isfinite(values)
        return np.column_stack([finite[:, columns].any(axis=1) for columns in self.columns.values()])

    def subset(self, columns: Any) -> FeatureFamilies:
        """Take some of the columns, in the order given.

        Parameters
        ----------
        columns : sequence of int or str, or boolean mask
            Positions, names or a mask; ``None`` takes all.

        Returns
        -------
        FeatureFamilies

        Raises
        ------
        KeyError, IndexError, ValueError
            A name or position that does not exist, nothing chosen, a column taken twice.
        """
        taken = positions(columns, np.array(self.feature_names), "columns")
        return FeatureFamilies([self.feature_names[i] for i in taken], [self.family_of[i] for i in taken])

    @classmethod
    def of(cls, families: FeatureFamilies | Mapping[str, Any] | None, X: Any) -> FeatureFamilies:
        """Bind what a user gives as families to the columns of `X`.

        Parameters
        ----------
        families : FeatureFamilies, dict or None
            ``None`` makes one family, ``"all"``. A dict names for each family its columns: names where `X` is a
            DataFrame, positions where it is an array. Every column belongs to exactly one family.
        X : array or DataFrame of shape (n, p)
            Only its columns matter.

        Returns
        -------
        FeatureFamilies

        Raises
        ------
        ValueError
            Families that do not fit `X`: another number, other names or another order of columns, an unknown column,
            one in no family or in two, a family without a column. The message names them.
        TypeError
            Families of another type.
        """
        if isinstance(X, pd.DataFrame):
            labels = list(X.columns)
        else:
            shape = np.shape(X)
            if len(shape) != 2:
                raise ValueError(f"X must be 2-dimensional (cells x features), got shape {shape}")
            labels = list(range(shape[1]))
        named = isinstance(X, pd.DataFrame)
        names = [str(label) if named else f"feature_{label}" for label in labels]
        if families is None:
            return cls(names, [ALL] * len(names))
        if isinstance(families, cls):
            _check_same_columns(families.feature_names, tuple(names), named)
            return families
        if isinstance(families, Mapping):
            return cls(names, _family_of_each(families, labels, named))
        raise TypeError(
            f"families must be None, FeatureFamilies or a dict of family -> columns, got {type(families).__name__}"
        )


def _check_same_columns(expected: tuple[str, ...], got: tuple[str, ...], named: bool) -> None:
    if len(expected) != len(got):
        raise ValueError(f"families has {len(expected)} features, but X has {len(got)} columns")
    if named and expected != got:
        strangers = [name for name in got if name not in set(expected)]
        if strangers:
            raise ValueError(f"columns of X that families does not know: {some(strangers)}")
        raise ValueError("X has the columns of families in another order; take X[list(families.feature_names)]")


def _family_of_each(families: Mapping[str, Any], labels: list, named: bool) -> list[str]:
    """Family of each column out of family -> columns; a family only, never two."""
    kind = "column names of the DataFrame X" if named else f"column numbers of X, 0 to {len(labels) - 1}"
    known, family_of = set(labels), {}
    for family, members in families.items():
        if isinstance(members, str) or not np.iterable(members):
            raise TypeError(f"families[{family!r}] must be a list of {kind}, got {members!r}")
        members = [member.item() if isinstance(member, np.generic) else member for member in members]
        if not members:
            raise ValueError(f"families[{family!r}] has no column; leave the family out")
        unknown = [member for member in members if isinstance(member, bool) or member not in known]
        if unknown:
            raise ValueError(f"families[{family!r}] holds {some(unknown)}; expected {kind}")
        for member in members:
            if member in family_of:
                raise ValueError(f"column {member!r} is in two families, {family_of[member]!r} and {str(family)!r}")
            family_of[member] = str(family)
    missing = [label for label in labels if label not in family_of]
    if missing:
        raise ValueError(f"{len(missing)} column(s) of X are in no family: {some(missing)}")
    return [family_of[label] for label in labels]
