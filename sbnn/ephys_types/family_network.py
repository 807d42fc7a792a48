"""A network over families of features: a token for each, weighed by attention; several members trained side by side."""

import torch
from torch import nn
from torch.nn import functional

ABSENT = -1e4  # score of a family that was not measured: its weight is zero to the last bit


class FamilyAttentionNetwork(nn.Module):
    """An ensemble of networks whose input is cut into families.

    Each family becomes a token, a vector of `width` numbers. Attention gives every token a weight; weights of a cell
    sum to 1 over the families that were measured in it. Weighted tokens stand side by side, and not in a sum, so that
    the layers after them can tell which family said what.

    Parameters
    ----------
    columns : list of ndarray of int
        Columns of each family.
    n_classes : int
    n_members : int
        Networks, of which each has weights of its own.
    width : int
        Numbers of a token.
    hidden : int
        Units of the layer after the attention.
    dropout : float
    generator : torch.Generator
        Of the first weights.
    """

    def __init__(self, columns, n_classes, n_members, width, hidden, dropout, generator):
        super().__init__()
        n_features, n_families = sum(map(len, columns)), len(columns)
        self.dropout, self.n_families, self.width = dropout, n_families, width
        belongs = torch.zeros(n_features, n_families)
        for family, of_family in enumerate(columns):
            belongs[torch.as_tensor(of_family), family] = 1
        self.register_buffer("belongs", belongs)
        self.register_buffer("own_family", belongs.repeat_interleave(width, dim=1))

        def normal(*shape, scale):
            return nn.Parameter(torch.randn(n_members, *shape, generator=generator) * scale)

        n_tokens = n_families * width
        spread = belongs.sum(0).clamp(min=1).rsqrt().repeat_interleave(width)
        self.embedding = normal(n_features, n_tokens, scale=spread)
        self.embedding_bias = nn.Parameter(torch.zeros(n_members, 1, n_tokens))
        self.score = normal(n_families, width, scale=0.1 / width**0.5)
        self.score_bias = nn.Parameter(torch.zeros(n_members, 1, n_families))
        self.hidden = normal(n_tokens, hidden, scale=n_tokens**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(n_members, 1, hidden))
        self.head = normal(hidden, n_classes, scale=hidden**-0.5)
        self.head_bias = nn.Parameter(torch.zeros(n_members, 1, n_classes))

    def forward(self, x, measured):
        """Scores of the classes, and the attention.

        Parameters
        ----------
        x : tensor, shape (n_members, n, p)
            Scaled features.
        measured : tensor of float, shape (n_members, n, p)
            1 where a value was measured, 0 where `x` holds a filler, which is not read.

        Returns
        -------
        logits : tensor, shape (n_members, n, n_classes)
        attention : tensor, shape (n_members, n, n_families)
            Rows sum to 1; 0 for families without a measured feature, unless all lack one.
        """
        members, n = x.shape[:2]
        tokens = functional.silu(torch.baddbmm(self.embedding_bias, x * measured, self.embedding * self.own_family))
        tokens = tokens.view(members, n, self.n_families, self.width)
        scores = (tokens * self.score[:, None]).sum(-1) + self.score_bias
        absent = (measured @ self.belongs) == 0
        attention = scores.masked_fill(absent, ABSENT).softmax(-1)
        weighted = tokens * (attention * ~absent * self.n_families).unsqueeze(-1)
        said = functional.dropout(weighted.flatten(2), self.dropout, self.training)
        said = functional.silu(torch.baddbmm(self.hidden_bias, said, self.hidden))
        said = functional.dropout(said, self.dropout, self.training)
        return torch.baddbmm(self.head_bias, said, self.head), attention
