"""Which names of a log hold what: as the source says, or else as its format does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bayescpt.data.importers.collect import Collector
from bayescpt.data.importers.entry import KINDS
from bayescpt.data.importers.record import Importer
from bayescpt.data.importers.source import Source
from bayescpt.schema import DOMAIN, GENERAL, SHARE, TARGETS

ASIDE = frozenset({"eval", "evaluation", "val", "valid", "validation", "loss"})
"""Words of a metric's name that do not tell validation sets apart."""
NEEDED = ("run", "domain", "size", "ratio")
SHOWN = 30
"""Names that a message tells of."""


@dataclass(frozen=True)
class Plan:
    """Names of a source.

    Args:
        columns: of the contract, and the names that hold them; without loss, target and tokens.
        step, tokens: names; None where there is none or none is needed.
        losses: names of the losses by target, where each has its own; errors: those of their standard errors.
        loss, target: names in a long table; ``target`` None where it is a constant.
        labels: what a long table calls the targets; empty where it calls them as the contract does.
    """

    columns: Mapping[str, str]
    step: str | None
    tokens: str | None
    losses: Mapping[str, str]
    errors: Mapping[str, str]
    loss: str | None
    target: str | None
    labels: Mapping[str, str]

    @property
    def used(self) -> frozenset[str]:
        """All of them."""
        single = (self.step, self.tokens, self.loss, self.target)
        given = (*self.columns.values(), *self.losses.values(), *self.errors.values())
        return frozenset((*given, *(name for name in single if name is not None)))


def plan_of(source: Source, importer: Importer, names: tuple[str, ...], faults: Collector) -> Plan:
    """Find every name that an import needs among those of its records; what is missing goes to ``faults``."""
    columns = {name: held for name, held in source.columns.items() if name not in ("loss", "target", "tokens")}
    if importer.own_names:
        own = (name for name in names if name in KINDS or name.startswith(SHARE))
        free = (name for name in own if name not in source.constants and name not in ("loss", "target", "tokens"))
        columns = {name: name for name in free} | columns
    run = _first(importer.run, names)
    if run is not None and "run" not in columns and "run" not in source.constants:
        columns |= {"run": run}
    loss = source.columns.get("loss") or ("loss" if importer.own_names and "loss" in names else None)
    target = source.columns.get("target") or ("target" if importer.own_names and "target" in names else None)
    if "target" in source.constants:
        target = None
    long = loss is not None and (target is not None or "target" in source.constants)
    step, tokens = _clock(source, importer, names, faults)
    plan = Plan(
        columns=columns,
        step=step,
        tokens=tokens,
        losses={} if long else source.targets or _guessed(source, names, faults),
        errors=source.errors,
        loss=loss if long else None,
        target=target if long else None,
        labels={name: t for t, name in source.targets.items()} if long and target is not None else {},
    )
    asked = {**source.columns, **{f"targets.{t}": name for t, name in plan.losses.items()}}
    asked |= {f"loss_se.{t}": name for t, name in source.errors.items()}
    asked |= {"step": source.step} if source.step is not None else {}
    for what, name in asked.items():
        if name not in names:
            faults.add("name_missing", f"{what}: expected {name!r} in it, found {shown(names)}; correct the name", what)
    for name in NEEDED:
        if name not in source.constants and name not in columns:
            message = f"no {name}: set it (--set {name}=VALUE; `{name}:` in a file of sources) or say what holds it"
            faults.add("missing_column", f"{message} (--column {name}=NAME; `columns:`)", name)
    if loss is not None and not long and "loss" in source.columns:
        message = f"{loss!r} holds losses, but of which target: set it (--set target=domain) or say what holds it"
        faults.add("missing_column", f"{message} (--column target=NAME)", "target")
    return plan


def shown(names: Iterable[str]) -> str:
    """Names for a message, those that sound like losses first."""
    ordered = sorted(names, key=lambda name: not re.search("loss|ppl|perplexity|bpb|nll", name, re.IGNORECASE))
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return (", ".join(ordered[:SHOWN]) or "no names") + more


def _first(wanted: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _clock(
    source: Source, importer: Importer, names: tuple[str, ...], faults: Collector
) -> tuple[str | None, str | None]:
    """Names of the step and of the tokens."""
    step = source.step or _first(importer.step, names)
    if source.tokens_per_step is not None:
        if step is None:
            told = importer.without_step or f"say which name holds it (--step NAME), of {shown(names)}"
            faults.add(
                "no_step", f"tokens_per_step needs a step, and none of {', '.join(importer.step)} is there; {told}"
            )
        return step, None
    if "tokens" in source.constants:
        return step, None
    usual = ("tokens", *importer.tokens) if importer.own_names else importer.tokens
    tokens = source.columns.get("tokens") or _first(usual, names)
    if tokens is None:
        message = (
            "no tokens: say how many a step trains on, over all devices and accumulation (--tokens-per-step N), or "
            "what holds those since the base (--column tokens=NAME)"
        )
        faults.add("missing_column", message, "tokens")
    return step, tokens


def _guessed(source: Source, names: tuple[str, ...], faults: Collector) -> dict[str, str]:
    """Losses whose names say their target: eval_general_loss, eval/domain_loss, law_loss in the domain law."""
    labels = {GENERAL: (GENERAL,), DOMAIN: (DOMAIN, str(source.constants.get("domain", DOMAIN)))}
    found: dict[str, str] = {}
    unclear = False
    for target in TARGETS:
        wanted = [_words(label) for label in labels[target]]
        matching = [name for name in names if "loss" in _words(name) and _words(name) - ASIDE in wanted]
        if len(matching) > 1:
            unclear = True
            told = f"several names could be the {target} loss: {', '.join(matching)}"
            faults.add("targets_unclear", f"{told}; say which (--target {target}=NAME; `targets:`)", "target")
        elif matching:
            found[target] = matching[0]
    if not found and not unclear:
        message = (
            f"no losses: say which name holds that of each target (--target general=NAME --target domain=NAME; "
            f"`targets:`), of {shown(names)}"
        )
        faults.add("targets_unclear", message, "target")
    elif len(found) == 1:
        ((known, name),) = found.items()
        faults.note(f"{name} is taken for the {known} loss, and no name was recognised as that of the other target")
    return found


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", name.lower()))
