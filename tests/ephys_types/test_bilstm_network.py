import numpy as np
import pytest
import torch
from sbnn.data.families import FeatureFamilies
from torch import nn

from sbnn.ephys_types.network import FamilyNetwork, Tokens
from sbnn.ephys_types.tokens import TokenReader, make_tokens, token_columns

FAMILIES = FeatureFamilies(list("abcdef"), ["x", "y", "x", "z", "x", "z"])
REAL = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])


@pytest.fixture
def cells(rng):
    """12 cells; families and single features missing in some of them."""
    X = rng.normal(size=(12, 6))
    X[:4, 1] = np.nan
    X[2:6, [3, 5]] = np.nan
    X[6, [0, 2, 4]] = np.nan
    X[7:10, 2] = np.nan
    X[10, [1, 3, 5]] = np.nan
    X[11] = np.nan
    return X


def network(**changes):
    torch.manual_seed(0)
    return FamilyNetwork(REAL, 4, hidden=5, token_size=3, **changes).eval()


def tokens_of(X):
    return make_tokens(X, token_columns(FAMILIES, np.ones(6, bool)))


def test_tokens(cells):
    columns = token_columns(FAMILIES, np.ones(6, bool))
    assert columns.tolist() == [[0, 2, 4], [1, -1, -1], [3, 5, -1]]
    tokens = make_tokens(cells, columns)
    np.testing.assert_array_equal(tokens.present, FAMILIES.present(cells))
    np.testing.assert_array_equal(tokens.missing[7], [[False, True, False], [False, True, True], [False, False, True]])
    np.testing.assert_allclose(tokens.values[7, 0], [cells[7, 0], 0, cells[7, 4]], rtol=1e-6)
    # A feature that is not read leaves its family, and a family without any is nothing but padding.
    assert token_columns(FAMILIES, np.array([1, 0, 1, 1, 0, 1], bool)).tolist() == [[0, 1], [-1, -1], [2, 3]]


def test_reader_scales_by_training_cells_alone(cells):
    reader = TokenReader(FAMILIES, "standard", "masked").fit(cells)
    tokens = reader.tokens(reader.scaled(cells))
    np.testing.assert_allclose(tokens.values[0, 0, 0], (cells[0, 0] - np.nanmean(cells[:, 0])) / np.nanstd(cells[:, 0]))
    assert not tokens.values[tokens.missing].any()
    as_data = TokenReader(FAMILIES, "standard", "zeros_as_data").fit(cells)
    tokens = as_data.tokens(as_data.scaled(cells))
    filled = np.nan_to_num(cells[:, 1])
    np.testing.assert_allclose(tokens.values[:, 1, 0], (filled - filled.mean()) / filled.std(), rtol=1e-5)
    assert tokens.present.all()


@pytest.mark.parametrize("attention", [True, False])
def test_what_stands_in_place_of_a_missing_value_is_not_read(cells, attention):
    net, tokens = network(attention=attention), tokens_of(cells)
    filled = Tokens(torch.where(tokens.missing, 1e3, tokens.values), *tokens[1:])
    for ours, other in zip((net(tokens), *net.encode(tokens)), (net(filled), *net.encode(filled)), strict=True):
        assert torch.equal(ours, other)
    measured = Tokens(torch.where(tokens.missing, tokens.values, tokens.values + 1), *tokens[1:])
    assert (net(measured) != net(tokens)).any(1)[:11].all()


def test_a_missing_value_differs_from_a_measured_zero():
    X = np.zeros((2, 6))
    X[1, 0] = np.nan
    output = network()(tokens_of(X))
    assert not torch.allclose(output[0], output[1])


def test_attention_sums_to_one_over_present_families(cells):
    weights = network().encode(tokens_of(cells))[1]
    present = torch.from_numpy(FAMILIES.present(cells))
    assert not weights[~present].any() and (weights[present] > 0).all()
    torch.testing.assert_close(weights.sum(1), present.any(1).float())
    last = network(attention=False).encode(tokens_of(cells))[1]
    assert last[:2].tolist() == [[0, 0, 1]] * 2 and last[2].tolist() == [1, 0, 0] and last[11].tolist() == [0, 0, 0]


def test_a_cell_is_what_a_network_of_its_families_alone_makes_of_it(cells):
    """Against torch's own bidirectional LSTM, on the present families, cell by cell."""
    net, tokens = network(), tokens_of(cells)
    both = nn.LSTM(3, 5, batch_first=True, bidirectional=True)
    for name, value in net.ahead.state_dict().items():
        getattr(both, name).data = value
        getattr(both, f"{name}_reverse").data = net.back.state_dict()[name]
    x = net.norm_tokens(net.tokens(tokens))
    for cell in range(11):
        states, _ = both(x[cell, tokens.present[cell]][None])
        weights = net.score(states)[0, :, 0].softmax(0)
        state = net.norm_state(weights @ states[0])
        torch.testing.assert_close(net.encode(tokens)[0][cell], state, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(net(tokens)[cell], net.head(state), rtol=1e-4, atol=1e-5)


def test_tokens_have_weights_of_their_own_and_a_norm(cells):
    net, tokens = network(), tokens_of(cells)
    linear, size = net.tokens, 3
    entries = torch.cat([tokens.values[0, 2], torch.tensor([0.0, 0.0, 0.0])])
    torch.testing.assert_close(linear(tokens)[0, 2], entries @ linear.weight[2] + linear.bias[2, 0])
    normed = net.norm_tokens(linear(tokens))
    torch.testing.assert_close(normed.mean(-1), torch.zeros(12, size), atol=1e-5, rtol=0)
    state = net.encode(tokens)[0]
    torch.testing.assert_close(state.mean(1), torch.zeros(12), atol=1e-5, rtol=0)
    torch.testing.assert_close(state[:11].std(1, unbiased=False), torch.ones(11), atol=0.1, rtol=0)


def test_published_treatment_reads_zeros_of_all_families():
    X = np.random.default_rng(0).normal(size=(3, 6))
    tokens = tokens_of(X)
    absent = Tokens(tokens.values, tokens.missing, torch.zeros_like(tokens.present))
    net = network(masked=False)
    assert net.tokens.size == 3
    torch.testing.assert_close(net(absent), net(tokens))
    torch.testing.assert_close(net.encode(absent)[1].sum(1), torch.ones(3))
    torch.testing.assert_close(net.tokens(tokens)[:, 1, 1:], torch.zeros(3, 2))


def test_cosines_do_not_depend_on_lengths(cells):
    net, tokens = network(cosine=True), tokens_of(cells)
    cosines = net(tokens)
    assert (cosines.abs() <= 1 + 1e-6).all()
    net.head.weight.data *= 7
    torch.testing.assert_close(net(tokens), cosines)


def test_dropout_is_for_training_only(cells):
    net, tokens = network(dropout=0.5), tokens_of(cells)
    assert torch.equal(net(tokens), net(tokens))
    net.train()
    assert not torch.equal(net(tokens), net(tokens))
