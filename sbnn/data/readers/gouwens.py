"""Patch-seq data of mouse visual cortex by Gouwens et al., as released in a `.mat` file.

Cells and features are chosen as in Bernaerts, Berens & Kobak (arXiv 2006.10411).
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from sbnn.data.paired import paired_cells

#: Features with an extreme outlier, or nearly equal to another feature.
_EXCLUDED = pd.read_csv(Path(__file__).parents[1] / "gouwens_excluded.csv")
EXCLUDED_FEATURES = _EXCLUDED["feature"].tolist()


def read_gouwens(mat_path, names_path, **about):
    """Read log expression, with principal components and z-scored features as outputs.

    The file holds ``T_dat`` (cells x genes), ``E_pc_scaled`` (44 sparse principal components of the
    responses) and ``E_feature`` (24 features, clipped to +-6). 3395 of 3411 cells and 55 of 68
    outputs are kept.
    """
    content = loadmat(mat_path, squeeze_me=True)
    cells = _texts(content["sample_id"])
    short = json.loads(Path(names_path).read_text(encoding="utf-8"))
    long = _texts(content["pc_name"]) + _texts(content["feature_name"])
    columns = [short[name] for name in long]
    values = np.hstack([content["E_pc_scaled"], content["E_feature"]])  # (n_cells, 68)
    outputs = pd.DataFrame(values.astype(np.float64), cells, columns)
    complete = outputs.notna().all(axis=1).to_numpy()
    incomplete = outputs.index[~complete]
    outputs = outputs.drop(columns=EXCLUDED_FEATURES)[complete]

    types = _texts(content["cluster"])
    labels = pd.DataFrame({"type": types}, cells)
    labels["family"] = [name.split(" ")[0] for name in types]
    labels["type_confidence"] = content["map_conf"]
    labels["specimen"] = content["T_spec_id_label"]
    colors = sorted(zip(types, _texts(content["cluster_color"]), strict=True))
    X = content["T_dat"][complete]  # (n_cells, n_genes)
    return paired_cells(
        X,
        outputs,
        _texts(content["gene_id"]),
        labels=labels[complete],
        colors=dict(colors),
        dropped={"missing output": incomplete},
        **about,
    )


def _texts(values) -> list[str]:
    return [str(value).strip() for value in values]
