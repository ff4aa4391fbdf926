"""AdamW with weight decay on matrices only, and gradient clipping."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.tensor import DTensor

BETAS = (0.9, 0.95)
"""Moment decays usual for language models: Brown et al. 2020 (GPT-3), appendix B."""


def build_optimizer(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW whose decay leaves the gains of the norms alone; each step is given its learning rate.

    Source: Loshchilov and Hutter 2019.
    """
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    gains = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=1e-8, fused=True)


def optimizer_step(optimizer: torch.optim.AdamW, lr: float, clip: float) -> float:
    """Clip the gradient to norm ``clip``, step at learning rate ``lr`` and clear the gradient.

    Returns the norm of the gradient before clipping.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    # a sharded model's norm lies in parts
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
