"""A fit on a GPU is as good as on the CPU; the companions always compute on the CPU."""

import pytest
import torch

from sbnn import DistilledBottleneckRegressor, SparseBottleneckRegressor


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("network", [DistilledBottleneckRegressor, SparseBottleneckRegressor])
def test_a_gpu_gives_as_accurate_a_network_as_the_cpu(network, data):
    scores = []
    for device in ("cpu", "cuda"):
        model = network(n_genes=10, random_state=0, device=device)
        model.fit(data.X[::2], data.Y[::2])
        scores.append(model.score(data.X[1::2], data.Y[1::2]))
    # sums are rounded in another order, from which training drifts apart
    assert scores[1] == pytest.approx(scores[0], abs=0.05)
