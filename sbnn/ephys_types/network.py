"""The network: families of features as tokens, a bidirectional LSTM over them, attention, a linear head.

Tokens of families that were not measured in a cell are left out of its sequence, and features that are missing are
never read: whatever stands in their place changes nothing.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn


class Tokens(NamedTuple):
    """Cells as families of features, each family padded to the widest.

    Attributes
    ----------
    values : tensor of float, shape (n, families, width)
        Scaled features.
    missing : tensor of bool, shape (n, families, width)
        Where no value was measured.
    present : tensor of bool, shape (n, families)
        Where some feature of the family was.
    """

    values: torch.Tensor
    missing: torch.Tensor
    present: torch.Tensor

    def of(self, cells):
        """Take some cells: tensor of int."""
        return Tokens(*(part[cells] for part in self))


class OwnWeights(nn.Module):
    """Turns each family into a token by weights of its own: a column means another thing in another family.

    Parameters
    ----------
    real : tensor of bool, shape (families, width)
        Columns that are no padding.
    size : int
        Of a token.
    """

    def __init__(self, real, size):
        super().__init__()
        self.register_buffer("real", real)
        self.size = size
        families, width = real.shape
        # Each feature comes with an indicator of being missing; uniform as in nn.Linear of as many inputs as are real.
        bound = real.sum(1).clamp_min(1).float().rsqrt()[:, None, None]
        self.weight = nn.Parameter((2 * torch.rand(families, 2 * width, size) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(families, 1, size) - 1) * bound)

    def forward(self, tokens):
        """Tokens of shape (n, families, size)."""
        seen = self.real & ~tokens.missing
        values = torch.where(seen, tokens.values, 0.0)
        entries = torch.cat([values, (self.real & tokens.missing).to(values.dtype)], dim=-1)
        return torch.baddbmm(self.bias, entries.transpose(0, 1), self.weight).transpose(0, 1)


class SharedWeights(nn.Module):
    """The published tokens: the padded values themselves, so that all families share the weights of the LSTM."""

    def __init__(self, real):
        super().__init__()
        self.size = real.shape[1]

    def forward(self, tokens):
        """Tokens of shape (n, families, width): zeros where nothing was measured, read as data."""
        return torch.where(tokens.missing, 0.0, tokens.values)


class FamilyNetwork(nn.Module):
    """LayerNorm, bidirectional LSTM over families, additive attention, LayerNorm, dropout, linear head.

    Parameters
    ----------
    real : tensor of bool, shape (families, width)
        Columns that are no padding.
    n_classes : int
    hidden : int
        Units of the LSTM in each direction, and of the attention.
    dropout : float
    attention : bool
        False takes the output of the LSTM at the last family in place of the weighted mean.
    masked : bool
        False reads zeros as data, in every family, measured or not.
    token_size : int
        Of a token with own weights.
    cosine : bool
        The head gives cosines between cell and class (ArcFace).
    """

    def __init__(
        self, real, n_classes, hidden=128, dropout=0.2, attention=True, masked=True, token_size=32, cosine=False
    ):
        super().__init__()
        self.masked, self.cosine = masked, cosine
        self.tokens = OwnWeights(real, token_size) if masked else SharedWeights(real)
        self.norm_tokens = nn.LayerNorm(self.tokens.size)
        self.ahead = nn.LSTM(self.tokens.size, hidden, batch_first=True)
        self.back = nn.LSTM(self.tokens.size, hidden, batch_first=True)
        self.score = (
            nn.Sequential(nn.Linear(2 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)) if attention else None
        )
        self.norm_state = nn.LayerNorm(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, n_classes, bias=not cosine)

    def encode(self, tokens):
        """State of each cell, and how its families were weighed.

        Parameters
        ----------
        tokens : Tokens

        Returns
        -------
        state : tensor, shape (n, 2 * hidden)
        weights : tensor, shape (n, families)
            Sum to 1, and are 0 for a family that is not present. Of a cell without any family all are 0.
        """
        present = tokens.present if self.masked else torch.ones_like(tokens.present)
        x = self.norm_tokens(self.tokens(tokens))
        # Present families first, in their order; what comes after them is computed and never looked at.
        order = torch.argsort(present, dim=1, descending=True, stable=True)
        length = present.sum(1, keepdim=True)
        place = torch.arange(present.shape[1], device=x.device).expand_as(order)
        inside = place < length
        mirror = torch.where(inside, length - 1 - place, place)
        ahead, _ = self.ahead(_rows(x, order))
        back, _ = self.back(_rows(x, order.gather(1, mirror)))
        states = torch.cat([ahead, _rows(back, mirror)], dim=-1)
        if self.score is None:
            weights = (place == length - 1).to(x.dtype)
        else:
            scores = self.score(states)[..., 0].masked_fill(~inside, -torch.inf)
            weights = torch.where(length > 0, scores, 0.0).softmax(1) * inside  # a softmax over nothing is NaN
        state = self.norm_state(torch.bmm(weights[:, None], states)[:, 0])
        return state, torch.zeros_like(weights).scatter(1, order, weights)

    def forward(self, tokens):
        """Logits, or cosines, of shape (n, n_classes)."""
        state = self.dropout(self.encode(tokens)[0])
        if self.cosine:
            return F.linear(F.normalize(state), F.normalize(self.head.weight))
        return self.head(state)


def _rows(x, order):
    """Entries of x (n, families, size) along its second axis, in the order of each cell (n, families)."""
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[-1]))
