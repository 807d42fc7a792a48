"""Steps of Adam, against those of torch."""

import pytest
import torch

from sbnn.models.bottleneck.training import Adam, one_cycle


def test_steps_are_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.arange(1.0, 7.0) for _ in range(2))
    slope, other = torch.zeros(6), torch.nn.Parameter(theirs)
    mine = Adam([(ours[:2], slope[:2], 0.0), (ours[2:], slope[2:], 0.3)], epsilon=1e-3, betas=(0.8, 0.9))
    parts = [torch.nn.Parameter(other.detach()[:2]), torch.nn.Parameter(other.detach()[2:])]
    groups = [{"params": parts[:1]}, {"params": parts[1:], "weight_decay": 0.3}]
    reference = torch.optim.Adam(groups, lr=0.1, eps=1e-3, betas=(0.8, 0.9), fused=True)
    for step in range(5):
        slope.copy_(torch.randn(6, generator=generator))
        parts[0].grad, parts[1].grad = slope[:2].clone(), slope[2:].clone()
        for group in reference.param_groups:
            group["lr"] = 0.1 / (step + 1)
        reference.step()
        mine.step(0.1 / (step + 1))
    assert torch.equal(ours, torch.cat([p.detach() for p in parts]))


def test_learning_rates_are_those_of_one_cycle(n_steps=50):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    how = {"pct_start": 0.15, "div_factor": 25, "cycle_momentum": False}
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, n_steps, **how)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert one_cycle(n_steps, 0.01) == pytest.approx(rates, rel=1e-9)
