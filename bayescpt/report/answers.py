"""The two ratios that are reported side by side: the largest within a forgetting budget, and the CMR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xarray as xr

from bayescpt.ask import critical_ratio, ratio_under_budget, summary
from bayescpt.fit import Fit, Mixture


@dataclass(frozen=True)
class Answers:
    """Posteriors of both ratios for one domain, size and length of run.

    Args:
        size: parameters; tokens: of the run; max_forgetting: nats per token of general loss, the CMR's tolerance too.
        ratio, critical: see :func:`bayescpt.ask.answer.ratio_answer`.
        accepted: why a fit that failed its checks answers all the same, or None if it passed.
    """

    domain: str
    size: float
    tokens: float
    max_forgetting: float
    ratio: xr.Dataset
    critical: xr.Dataset
    accepted: str | None

    def as_dict(self) -> dict[str, Any]:
        """Summaries of both as plain values for JSON."""
        settings = ("domain", "size", "tokens", "max_forgetting")
        said = {name: getattr(self, name) for name in settings}
        said |= {"ratio": summary(self.ratio), "critical_ratio": summary(self.critical)}
        return said if self.accepted is None else {**said, "accepted": self.accepted}


def answers_at(fit: Fit | Mixture, domain: str, size: float, tokens: float, max_forgetting: float) -> Answers:
    """Ask a fit for both ratios.

    Args:
        size: parameters; tokens: of the run; max_forgetting: nats per token.

    Raises:
        ValueError: on impossible settings, or where the fit failed its checks and was not accepted.

    Examples:
        >>> from bayescpt.report import answers_at
        >>> answer = answers_at(fitted, "cpp", size=590720, tokens=204800, max_forgetting=0.05)
        >>> sorted(answer.as_dict())
        ['critical_ratio', 'domain', 'max_forgetting', 'ratio', 'size', 'tokens']
    """
    return Answers(
        domain=domain,
        size=size,
        tokens=tokens,
        max_forgetting=max_forgetting,
        ratio=ratio_under_budget(fit, domain, size, tokens, max_forgetting),
        critical=critical_ratio(fit, domain, size, tokens, tolerance=max_forgetting),
        accepted=None if fit.passed else fit.accepted,
    )
