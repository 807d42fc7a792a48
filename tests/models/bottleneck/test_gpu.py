"""A fit on a GPU is as good as on the CPU; the companions always compute on the CPU."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from sbnn import DistilledBottleneckRegressor, SparseBottleneckRegressor

PAPER = SparseBottleneckRegressor(group_lasso=0.1, n_genes=10, random_state=0)
DEFAULT = DistilledBottleneckRegressor(n_genes=10, random_state=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("model", [DEFAULT, PAPER], ids=["default", "paper"])
def test_a_gpu_gives_as_accurate_a_network_as_the_cpu(model, data):
    train, test = np.arange(0, data.n_cells, 2), np.arange(1, data.n_cells, 2)
    scores = {}
    for device in ("cpu", "cuda"):
        fitted = model.set_params(device=device).fit(data.X[train], data.Y[train])
        predicted = fitted.predict(data.X[test])
        scores[device] = r2_score(data.Y[test], predicted)
        assert predicted.shape == data.Y[test].shape
    # sums are rounded in another order, from which training drifts apart
    assert scores["cuda"] == pytest.approx(scores["cpu"], abs=0.05)
