"""Minibatches and early stopping; where training ends shows the rest."""

import pytest
import torch

from sbnn.models.training import BestWeights, epoch_batches, train_epochs

# --- minibatches


def test_an_epoch_has_every_cell_once(generator):
    batches = epoch_batches(10, 4, generator)
    assert [len(rows) for rows in batches] == [4, 4, 2]
    assert sorted(torch.cat(batches).tolist()) == list(range(10))


def test_the_only_batch_is_never_left_out(generator):
    [batch] = epoch_batches(3, 4, generator, drop_last=True)
    assert len(batch) == 3


# --- early stopping


@pytest.fixture
def module():
    return torch.nn.Linear(1, 1)


def set_weight(module, value):
    with torch.no_grad():
        module.weight.fill_(value)


def offer_all(best, scores):
    """Offer weights of 0, 1, ... with these scores."""
    for epoch, score in enumerate(scores):
        set_weight(best.module, epoch)
        best.offer(score)


def test_of_equal_scores_the_first_counts(module):
    best = BestWeights(module)
    offer_all(best, [1.0, 1.0])
    best.restore()
    assert module.weight.item() == 0


def run_epochs(module, scores, **options):
    """Epochs that were run, each of which sets the weight to its number, and the last weight."""
    epochs = []

    def run_epoch(epoch):
        epochs.append(epoch)
        set_weight(module, epoch)
        return scores[epoch]

    train_epochs(BestWeights(module), run_epoch, n_epochs=len(scores), **options)
    return epochs, module.weight.item()


def test_training_ends_after_the_patience(module):
    epochs, weight = run_epochs(module, [1, 2, 0, 0, 0, 9], patience=3)
    assert epochs == [0, 1, 2, 3, 4]
    assert weight == 1


def test_scores_before_the_first_counted_are_replaced(module):
    epochs, weight = run_epochs(module, [9, 9, 1, 2, 0], patience=5, first_counted=3)
    assert epochs == [0, 1, 2, 3, 4]
    assert weight == 3


def test_training_goes_on_before_an_epoch(module):
    epochs, weight = run_epochs(module, [3, 0, 0, 0, 0], patience=1, never_stop_before=3)
    assert epochs == [0, 1, 2, 3]
    assert weight == 0


def test_epochs_without_a_score_are_not_compared(module):
    epochs, weight = run_epochs(module, [None, None, None], patience=1)
    assert epochs == [0, 1, 2]
    assert weight == 2
