"""Names of the types in public signatures; only type checkers import this module."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse

PathLike: TypeAlias = str | os.PathLike[str]
Sparse: TypeAlias = sparse.sparray | sparse.spmatrix
# cells x genes
Expression: TypeAlias = ArrayLike | pd.DataFrame | Sparse | AnnData
# second measurement, or its name in an AnnData
Outputs: TypeAlias = ArrayLike | pd.DataFrame | pd.Series | str
PairedData: TypeAlias = AnnData | tuple[Expression, Outputs]
# electrophysiology, cells x features, and the features of each family
Features: TypeAlias = ArrayLike | pd.DataFrame
Families: TypeAlias = Mapping[str, Sequence] | Sequence[str]
# positions of training and test cells
Folds: TypeAlias = Sequence[tuple[np.ndarray, np.ndarray]]
# a file, one sheet of a workbook, or a table in memory
TableLike: TypeAlias = PathLike | tuple[PathLike, str] | pd.DataFrame
