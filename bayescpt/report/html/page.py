"""The page: everything that a fit says, as one HTML file that needs nothing beside itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2

from bayescpt.ask.horizon import warnings
from bayescpt.data.files import atomic_path
from bayescpt.decide.trust import trust
from bayescpt.design.files import SpaceFile
from bayescpt.fit import Fit, Mixture
from bayescpt.fit.fit import LAPLACE
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.beyond import beyond_rows
from bayescpt.report.html.blocks import Section
from bayescpt.report.html.checked import FAIL, checked, checks_of, counts
from bayescpt.report.html.decided import Decision, decided, decisions_of, lead, settings
from bayescpt.report.html.further import Further, further, further_of
from bayescpt.report.html.learnable import learnable
from bayescpt.report.html.made import made, report_command
from bayescpt.report.html.pooled import pooled, ratios_of
from bayescpt.report.html.surfaces import surfaces
from bayescpt.report.html.trade import trade

TEMPLATE = "page.html"
QUICK = (
    "A quick look: a normal approximation at the mode, whose intervals are too narrow and which nothing checks. Decide "
    "with a fit by NUTS."
)


@dataclass(frozen=True)
class Report:
    """A report that is ready to be written.

    Args:
        html: the page.
        lead: the decision in one sentence.
        told: what the page decides, as plain values for a program.
    """

    html: str
    lead: str
    told: dict[str, Any]

    def write(self, path: str | Path) -> None:
        """Write the page, atomically: a write that fails leaves what was there."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_text(self.html, "utf-8")


def report(
    fit: Fit | Mixture,
    asked: Asked,
    path: str = "FIT.nc",
    space: SpaceFile | None = None,
    budget: float | None = None,
    space_path: str = "SPACE.yaml",
) -> Report:
    """Everything that ``fit`` says to a question, decision first.

    Args:
        asked: the question, see :func:`bayescpt.report.html.asked.asked_of`.
        path, space_path: where the fit and the space came from, for the commands on the page.
        space: candidates for the next runs; budget: FLOPs for all of them together.

    Raises:
        UnreliableFit: a check failed and nobody accepted that.
        ValueError: the question cannot be asked of these rows and this law; or of space and budget one is missing.

    Examples:
        >>> from pathlib import Path
        >>> from bayescpt.report import asked_of, report
        >>> report(fitted, asked_of(table, ["cpp"])).write(Path("report.html"))  # doctest: +SKIP
    """
    if (space is None) != (budget is None):
        raise ValueError("a space of candidate runs and a budget in FLOPs go together: state both or neither")
    decisions = decisions_of(fit, asked)
    ratios = ratios_of(fit, asked)
    known = None if space is None or budget is None else further_of(fit, space, budget)
    checks = checks_of(fit)
    accepted = None if fit.passed else fit.accepted
    command = report_command(path, asked, accepted, None if space is None else space_path, budget)
    sections = [
        decided(decisions, asked),
        surfaces(fit, decisions, ratios.known, asked),
        pooled(fit, ratios, asked),
        trade(fit, decisions, asked),
        learnable(fit, asked),
        further(known, asked, path),
        beyond_rows(fit.table, decisions, asked),
        checked(fit, checks),
        made(fit, command),
    ]
    sentence = lead(decisions, asked)
    failed = [f"{one.what}: {one.message}" for one in checks.verdicts if one.level == FAIL]
    html = _page(
        lead=sentence,
        settings=settings(asked),
        assumed=_assumed(asked),
        accepted=accepted,
        failed=failed,
        notices=_notices(fit, decisions, failed if accepted is None else []),
        sections=sections,
        title=_title(asked),
        version=version("bayescpt"),
    )
    told = {
        "lead": sentence,
        "domains": list(asked.domains),
        "size": asked.size,
        "tokens": asked.tokens,
        "assumed": list(asked.assumed),
        "max_forgetting": asked.budget.max_forgetting,
        "relative": asked.budget.relative,
        "confidence": asked.confidence,
        "decisions": [
            one.plan.summary() | {"trust": trust(one.place)} | one.place.fields() for one in decisions.values()
        ],
        "next": None if known is None else _next(known),
        "checks": counts(checks.verdicts),
        "method": fit.method,
    }
    return Report(html, sentence, told)


def _notices(fit: Fit | Mixture, decisions: Mapping[str, Decision], failed: list[str]) -> list[str]:
    """What has to be known beside the decision."""
    lines = [QUICK] if fit.method == LAPLACE else []
    lines += [line[0].upper() + line[1:] + "." for line in warnings([one.place for one in decisions.values()])]
    return lines + [f"Failed: {text}" for text in failed]


def _next(known: Further) -> dict[str, Any]:
    return json.loads(json.dumps(known.found.summary(), default=float))


def _title(asked: Asked) -> str:
    what = asked.domains[0] if len(asked.domains) == 1 else f"{len(asked.domains)} domains"
    return f"Continual pre-training on {what}"


def _assumed(asked: Asked) -> str:
    if not asked.assumed:
        return ""
    what = " and ".join(asked.assumed)
    verb = "were" if len(asked.assumed) > 1 or asked.assumed == ("tokens",) else "was"
    return f"{what[0].upper()}{what[1:]} {verb} not stated: the largest of the table."


def _page(**values: str | list[str] | list[Section] | Mapping[str, Any] | Any | None) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bayescpt.report.html", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(**values)
