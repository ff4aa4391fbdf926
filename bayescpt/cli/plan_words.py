"""A plan in words: the decision first, in one sentence with its odds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bayescpt.cli.check import short
from bayescpt.report.units import EXACT, odds
from bayescpt.schema import SHARE

if TYPE_CHECKING:
    from rich.console import Console


def draw(told: dict[str, Any], console: Console) -> None:
    """A plan for a person: the decision first, in one sentence."""
    for line in (decision(told), *_reasons(told)):
        console.print(line, soft_wrap=True)


def decision(told: dict[str, Any]) -> str:
    """The decision in one sentence with its odds."""
    action = told["action"]
    run = f"{short(action['size'])} parameters for {short(action['tokens'])} tokens{_besides(action)}"
    low, high = told["equally_good"]["low"], told["equally_good"]["high"]
    if told["status"] == "none":
        return (
            f"No run on offer keeps the general loss within its budget with probability {told['confidence']:g}: "
            f"the safest, ratio {_ratio(action)} at {run}, does so with {odds(action['p_allowed'])}."
        )
    held = f"; the budget holds with probability {odds(action['p_allowed'])}" if "rise" in action else ""
    if told["status"] == "flat":
        spans = told["equally_good"]["shares"].items()
        which = ", ".join(f"{source} {least:.2f} to {most:.2f}" for source, (least, most) in spans)
        which = f"Mixtures ({which})" if which else f"Ratios {low:.2f} to {high:.2f}"
        one = f"; one of them: ratio {_ratio(action)}{_besides(action)}"
        return (
            f"{which} at {short(action['size'])} parameters are equally good as far as these rows can tell{one}{held}."
        )
    return f"Train {told['domain']} at ratio {_ratio(action)}, {run}{held}."


def _ratio(action: dict[str, Any]) -> str:
    """A ratio to three digits; never above what was decided, where a budget is to be kept.

    Of a run that ends with a phase of its own that of its trunk, which is what is set.
    """
    phased = bool(action.get("phase_part"))
    ratio = action["trunk_ratio" if phased else "ratio"]
    told = f"{math.floor(1000 * ratio + EXACT) / 1000 if 'rise' in action else ratio:.3f}"
    if not phased:
        return told
    return (
        f"{told}, the last {action['phase_part']:.3g} of it at {action['phase_ratio']:g} (mean {action['ratio']:.3f})"
    )


def _besides(action: dict[str, Any]) -> str:
    """What else was chosen of a run: learning rate, shares of all sources."""
    parts = []
    if "lr" in action:
        falls = f", the last {action['anneal']:.0%} annealed" if action.get("anneal") else ""
        parts.append(f"learning rate {action['lr']:g}{falls}")
    shares = [f"{name.removeprefix(SHARE)} {share:.2f}" for name, share in action.items() if name.startswith(SHARE)]
    parts += [f"shares {', '.join(shares)}"] if shares else []
    return "".join(f", {part}" for part in parts)


def _reasons(told: dict[str, Any]) -> list[str]:
    action, regret = told["action"], told["regret"]
    lines = [f"  wanted: {told['objective']}"]
    for name in ("domain", "general", "rise"):
        if name in action:
            what = "rise of the general loss" if name == "rise" else f"{name} loss"
            band = f"90% interval {action[f'{name}_q05']:.4f} to {action[f'{name}_q95']:.4f}"
            lines.append(f"  expected {what}: {action[name]:.4f} nats, {band}")
    if "rise" in action:
        lines.append(f"  probability that one measured run keeps the budget: {odds(told['p_allowed_run'])}")
    lines.append(f"  regret against knowing the truth: mean {regret['mean']:.4f}, 95% below {regret['q95']:.4f} nats")
    low, high = told["equally_good"]["low"], told["equally_good"]["high"]
    if told["status"] == "chosen" and high > low:
        lines.append(f"  equally good as far as these rows can tell: ratios {low:.3f} to {high:.3f}")
    small, large = told["equally_good"]["sizes"]
    if large > small:
        lines.append(f"  sizes among the equally good: {short(small)} to {short(large)} parameters")
    rival = told["runner_up"]
    if rival is not None:
        lines.append(
            f"  runner-up: ratio {_ratio(rival)}, {short(rival['size'])} parameters{_besides(rival)}, "
            f"{action['utility'] - rival['utility']:.4f} nats worse, better with probability {rival['p_better']:.2f}"
            f"{' (a tie)' if rival['tied'] else ''}"
        )
    lines += [f"  {line}" for line in told["trust"]]
    lines += [f"  {name}: {told[name]}" for name in ("accepted",) if name in told]
    return lines
