"""Adam (Kingma and Ba, arXiv 1412.6980) on flat weights, called without what surrounds it in ``torch.optim``.

The networks are so small that the book-keeping of an optimiser object takes as long as its arithmetic.
"""

import torch


class Adam:
    """Adam steps on tensors in place, one fused kernel call for each."""

    def __init__(self, parts, epsilon=1e-8, betas=(0.9, 0.999)):
        self.parts = [
            ([values], [gradient], [torch.zeros_like(values)], [torch.zeros_like(values)], decay)
            for values, gradient, decay in parts
        ]
        self.epsilon, self.betas = epsilon, betas
        self.count = parts[0][0].new_zeros(())

    @torch.no_grad()
    def step(self, learning_rate):
        """Take one step along the gradients of now."""
        self.count += 1
        for values, gradient, mean, square, decay in self.parts:
            # What torch.optim.Adam(fused=True) calls.
            torch._fused_adam_(
                values, gradient, mean, square, [], [self.count],
                lr=learning_rate, beta1=self.betas[0], beta2=self.betas[1], weight_decay=decay, eps=self.epsilon,
                amsgrad=False, maximize=False,
            )  # fmt: skip
