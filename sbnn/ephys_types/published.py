"""Published numbers that ours stand beside: macro-F1 and accuracy.

Source: Schwider and Ramezani, arXiv 2603.11000 (2026). Theirs are of recordings, in twelve IPFX families, of 3699 mouse
cells (DANDI 000020; stratified 60/20/20, 10 seeds) and of 506 human cells (DANDI 000636; 5 folds, 10 runs, donors not
kept together); ours of engineered features of the same studies, of more cells, donors kept together. They are no
target that is hit or missed by a digit: other cells, other features, other folds.
"""

from typing import NamedTuple

SOURCE = "Schwider and Ramezani, arXiv 2603.11000"


class Published(NamedTuple):
    """Macro-F1 (with its SD where it is known) and accuracy."""

    macro_f1: float
    accuracy: float
    sd: float | None = None


# (data set, kind of types) -> model, by its name in `sbnn.ephys_types.study.MODELS` -> numbers
SCORES = {
    ("gouwens_ephys", "types5"): {
        "sparse_pca_forest_published": Published(0.873, 0.907),
        "bilstm_no_attention": Published(0.860, 0.906),
        "bilstm_published": Published(0.874, 0.915),
        "bilstm_smote": Published(0.886, 0.919),
        "bilstm_arcface": Published(0.887, 0.921),
    },
    ("lee_human", "types"): {
        "bilstm_published": Published(0.669, 0.780),
        "bilstm_smote": Published(0.675, 0.782),
        "bilstm_arcface": Published(0.673, 0.782),
    },
}

# Transfer to human, all cells: what was published as a gain. The two stop training by different scores: human-only by
# accuracy, joint by macro-F1; human-only stopped by macro-F1 is at .669 (above).
TRANSFER = {
    "human only, stopped by accuracy": Published(0.658, 0.771, 0.029),
    "joint, then fine-tuned": Published(0.680, 0.791, 0.012),
}


def of_data(dataset, kind):
    """Published numbers of the models of a data set: dict of name to `Published`, empty for others.

    Parameters
    ----------
    dataset : str
        Spikes measured from their threshold (``_relative``) are the same cells.
    kind : {"types", "types5"}
    """
    return SCORES.get((dataset.removesuffix("_relative"), kind), {})
