"""Where the training of PHOENIX ends."""

import numpy as np
import pytest
from pytest import approx

from sbnn.dynamics import PUBLISHED_OPTIONS, PhoenixRegressor

#: Validation samples end this training.
LONG = {"epochs": 150, "learning_rate": 0.02, "batch_size": 8, "data_weight": 1.0}
PUBLISHED = {"as_published": PUBLISHED_OPTIONS}

#: Pruning and other parameters; number of epochs, loss, validation loss and penalty at the end (all
#: times 1000), sparsity, and sum of the sizes of edges.
ENDS = [
    ("imp", LONG, "74 3.9556 4.3248 0 0.6062 38.7415"),
    ("dash", {"influence": (0.5, 0.3)}, "12 4.6466 4.944 0 0.6365 12.8284"),
    ("dash", PUBLISHED | {"data_weight": 0.8}, "12 7.8979 8.9321 0 0.6458 16.7063"),
    ("imp", {}, "12 4.1017 3.6897 0 0.6062 21.5528"),
    ("biological", {}, "12 4.6668 5.0057 0 0.6385 9.6796"),
    ("post_hoc", {}, "15 4.1376 3.5989 0 0.6 21.8071"),
    ("l0", {}, "12 11.6268 10.6957 8.849 0.2833 3.3297"),
    ("c_node", {}, "12 11.575 10.6454 0.1793 0.2833 3.4581"),
    ("path_reg", {}, "12 11.6008 10.659 1.4543 0.2833 3.3137"),
    ("c_node", {"penalty": 1}, "12 11.7497 11.0777 1.073 0.2833 0.0237"),
    ("path_reg", PUBLISHED | {"penalty": 0.01}, "12 13.7332 17.9808 43.0438 0.35 0.0254"),
]


@pytest.mark.filterwarnings("ignore:the one-step error")
@pytest.mark.parametrize(("pruning", "options", "end"), ENDS)
def test_training_ends_where_it_always_did(samples, prior, pruning, options, end):
    model = PhoenixRegressor(8, pruning, 0.6, epochs=12, learning_rate=1e-2, random_state=0)
    model.set_params(schedule=(2, 0.5, 3, 0.2), fine_tuning=3, **options).fit(samples, prior)
    last = model.history_.reindex(columns=["epoch", "loss", "validation_loss", "penalty"]).iloc[-1]
    epoch, *losses = last.fillna(0)
    edges = np.abs(model.edge_scores_.to_numpy()).sum()
    found = [epoch, *np.multiply(losses, 1000), model.sparsity_, edges]
    assert found == approx([float(number) for number in end.split()], rel=1e-3, abs=1e-3)
