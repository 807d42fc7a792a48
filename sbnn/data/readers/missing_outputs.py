"""Which cells and outputs to leave out where outputs are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sbnn.data.checks import some

WAYS = ("cells", "outputs", "fewest")


def kept(gaps: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Choose cells and outputs that are complete.

    Parameters
    ----------
    gaps : ndarray of bool, shape (n, q)
        Which values are missing.
    missing : {"cells", "outputs", "fewest"}
        Leave out every cell with a gap; or every output with one (and cells without any output); or cells and outputs
        so that most values are kept, one after the other whichever has the largest share of gaps, if that keeps more
        than the first two.

    Returns
    -------
    cells : ndarray of bool, shape (n,)
    outputs : ndarray of bool, shape (q,)
    """
    if missing == "cells":
        return ~gaps.any(axis=1), np.ones(gaps.shape[1], bool)
    if missing == "outputs":
        cells = ~gaps.all(axis=1)  # one without any output would leave none
        return cells, ~gaps[cells].any(axis=0)
    ways = _one_after_the_other(gaps), kept(gaps, "cells"), kept(gaps, "outputs")
    return max(ways, key=lambda way: way[0].sum() * way[1].sum())


def require_complete(Y: pd.DataFrame) -> None:
    """Refuse missing outputs, naming them, and say what each way to go on would leave."""
    gaps = Y.isna()
    counts = gaps.sum()[gaps.any()]
    if not len(counts):
        return
    left = []
    for way in WAYS:
        cells, outputs = kept(gaps.to_numpy(), way)
        left.append(
            f"missing={way!r} leaves {cells.sum()} of {len(cells)} cells, {outputs.sum()} of {len(outputs)} outputs"
        )
    listed = some(f"{column} ({count})" for column, count in counts.items())
    raise ValueError(
        f"outputs: {len(counts)} column(s) have missing values in some of {len(Y)} cells: {listed}; complete them, or "
        f"leave some out: {'; '.join(left)}"
    )


def _one_after_the_other(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    alive = [np.ones(size, bool) for size in gaps.shape]
    counts = [gaps.sum(axis=1), gaps.sum(axis=0)]
    while any(count[left].any() for count, left in zip(counts, alive, strict=True)):
        sizes = [max(1, alive[1].sum()), max(1, alive[0].sum())]
        worst = [int(np.where(left, count, -1).argmax()) for count, left in zip(counts, alive, strict=True)]
        # Of equal shares the one that costs fewer values.
        axis = max((0, 1), key=lambda a: (counts[a][worst[a]] / sizes[a], counts[a][worst[a]] - sizes[a]))
        alive[axis][worst[axis]] = False
        counts[1 - axis] -= gaps.take(worst[axis], axis=axis)
    return alive[0], alive[1]
