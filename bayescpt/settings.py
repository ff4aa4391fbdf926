"""How to sample: standard library only, so that the command line can state the defaults without loading JAX."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample. The defaults reach an effective sample size above 400 on tables of a few domains."""

    chains: int = 4
    warmup: int = 500
    draws: int = 1000
    target_accept: float = 0.97
    max_tree_depth: int = 10
    """at most 2^depth - 1 leapfrog steps a draw"""
    refit_warmup: int = 30
    """draws to adapt on where a chain goes on from an earlier fit to almost the same rows"""
