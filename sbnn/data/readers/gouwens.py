"""Patch-seq data of mouse visual cortex by Gouwens et al., as released in a `.mat` file.

Cells and features are chosen as in Bernaerts, Berens & Kobak (arXiv 2006.10411).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.io import loadmat

from sbnn.data.paired import paired

#: Features with an extreme outlier, or nearly equal to another feature.
_EXCLUDED = pd.read_csv(Path(__file__).parents[1] / "gouwens_excluded.csv")
EXCLUDED_FEATURES = _EXCLUDED["feature"].tolist()


def read_gouwens(mat_path: Path, names_path: Path, **about: Any) -> AnnData:
    """Read log expression, with principal components and z-scored features as outputs.

    The file holds ``T_dat`` (cells x genes), ``E_pc_scaled`` (44 sparse principal components of the
    responses) and ``E_feature`` (24 features, clipped to +-6). 3395 of 3411 cells and 55 of 68
    outputs are kept.
    """
    content = loadmat(mat_path, squeeze_me=True)
    cells = _strip(content["sample_id"])
    short_names = json.loads(Path(names_path).read_text(encoding="utf-8"))
    long_names = _strip(content["pc_name"]) + _strip(content["feature_name"])
    columns = [short_names[name] for name in long_names]
    values = np.hstack([content["E_pc_scaled"], content["E_feature"]])  # (n_cells, 68)
    outputs = pd.DataFrame(values.astype(np.float64), cells, columns)
    complete = outputs.notna().all(axis=1).to_numpy()
    incomplete = outputs.index[~complete]
    outputs = outputs.drop(columns=EXCLUDED_FEATURES)[complete]

    types = _strip(content["cluster"])
    labels = pd.DataFrame({"type": types}, cells)
    labels["family"] = [name.split(" ")[0] for name in types]
    labels["type_confidence"] = content["map_conf"]
    labels["specimen"] = content["T_spec_id_label"]
    colors = sorted(zip(types, _strip(content["cluster_color"]), strict=True))
    return paired(
        X=content["T_dat"][complete],  # (n_cells, n_genes)
        Y=outputs,
        gene_names=_strip(content["gene_id"]),
        labels=labels[complete],
        colors=dict(colors),
        dropped={"missing output": incomplete},
        **about,
    )


def _strip(values: Iterable[object]) -> list[str]:
    return [str(value).strip() for value in values]
