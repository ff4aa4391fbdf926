"""``bayescpt next``: the proxy runs that are worth their cost, as a file that the trainer takes; or none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.answers import check_domain, load
from bayescpt.cli.check import short
from bayescpt.cli.files import check_output
from bayescpt.cli.options import Accept, Debug, FitFile, Json, bounded
from bayescpt.cli.plan_space import needs
from bayescpt.cli.predict import also
from bayescpt.cli.session import Gather, session

if TYPE_CHECKING:
    from rich.console import Console

PAID = {"flops": "FLOPs", "gpu-hours": "GPU-hours"}
"""Names of units on the command line (design/cost.py)."""


def next_(
    fit: FitFile,
    space: Annotated[
        str, typer.Option(metavar="SPACE.yaml", help="What may be run, for which decision, and the trainer's study.")
    ],
    budget: Annotated[
        float, typer.Option(metavar="FLOPS", help="FLOPs for all proposed runs together; hours with --cost gpu-hours.")
    ],
    pending: Annotated[
        str | None, typer.Option(metavar="RUNS.yaml", help="Runs that are under way: what they will teach is counted.")
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", help="Runs to propose at most.")] = 1,
    by: Annotated[
        str, typer.Option(metavar="WHAT", help="What a run is to bring; an unknown name lists what is on offer.")
    ] = "regret",
    power: Annotated[float, typer.Option(metavar="P", help="Runs are ranked by what they bring over cost^P.")] = 0.5,
    least_gain: Annotated[
        float, typer.Option(metavar="NATS", help="Stop where no run lowers the expected regret by this much.")
    ] = 5e-4,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="RUNS.yaml", help="Write the runs here, for the trainer.")
    ] = None,
    cost: Annotated[
        str,
        typer.Option(metavar="UNIT", help="What runs are paid in: flops, or gpu-hours as past runs took them."),
    ] = "flops",
    accept: Accept = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The next proxy runs worth their cost for a decision, or the verdict that none is."""
    with session(json, debug) as say:
        gather = Gather()
        gather(bounded, "--budget", budget, 0, math.inf, False)
        gather(bounded, "--count", count, 1)
        gather(bounded, "--power", power, 0)
        gather(bounded, "--least-gain", least_gain, 0)
        inputs = [fit, space, *([pending] if pending else [])]
        path = None if out is None else gather(check_output, out, inputs, (".yaml", ".yml"))
        from bayescpt.design import ACQUISITIONS
        from bayescpt.design.files import read_pending, read_space, runs_file, write_runs

        if cost not in PAID:
            gather.fault(f"--cost: expected {' or '.join(PAID)}, got '{cost}'")
        kinds = {kind.name: kind for kind in ACQUISITIONS}
        if by not in kinds:
            gather.fault(f"--by: expected one of {', '.join(kinds)}, got '{by}'")
        file = gather(read_space, Path(space))
        if path is not None and file is not None and file.study_path is not None:
            gather(check_output, out, [str(file.study_path)])
        under_way = None
        if pending is not None and file is not None:
            under_way = gather(read_pending, Path(pending), file.names)
        found = gather(load, fit, accept, say)
        if file is not None and found is not None:
            for name in dict.fromkeys((file.question.domain, *file.space.domains)):
                gather(check_domain, space, name, found)
        gather.done()
        from bayescpt.ask.horizon import horizon, warnings
        from bayescpt.decide.plan import set_ratio
        from bayescpt.design import candidates, cost_of, next_runs
        from bayescpt.design.select import DRAWS

        asked, thin = file.question, found.thinned(DRAWS)
        for line in warnings([horizon(found.table, asked.domain, asked.size, asked.tokens)]):
            say.warn(line)
        if file.space.branches is not None or asked.phase_ratios:
            needs(found, "phase_part", f"{space}: branches and phases", "phased")
        paid = cost_of(found.table, PAID[cost])
        offered = candidates(file.space, found.table, paid)
        actions = asked.actions(found.table)
        values = asked.values(thin, actions)
        ratio = actions[set_ratio(actions)].to_numpy(float)
        chosen = next_runs(
            thin,
            offered,
            values,
            budget,
            lambda values: kinds[by].serving(values, ratio),
            count,
            power,
            under_way,
            least_gain,
        )
        runs = chosen.chosen.to_dict("records")
        places = [horizon(found.table, str(one["domain"]), one["size"], one["tokens"]) for one in runs]
        if lines := warnings(places):
            say.warn(f"of the runs proposed: {'; '.join(lines)}")
        if any(not paid.knows(one["size"]) for one in runs):
            say.warn(f"the {paid.unit} of other sizes than those that were run are extrapolated")
        told = chosen.summary() | {
            "candidates": len(offered),
            "costs": paid.says(),
            "cost_unit": paid.unit,
            "objective": asked.objective.says(),
        }
        told["runs"] = [one | place.fields() for one, place in zip(told["runs"], places, strict=True)]
        if path is not None:
            if len(chosen.chosen):
                write_runs(path, runs_file(chosen.chosen, file))
                say.note(f"{len(chosen.chosen)} runs written to {path}")
                if file.study_path is not None and path.parent.resolve() != file.study_path.parent.resolve():
                    say.warn(f"paths in it are relative to {file.study_path.parent}: the trainer reads it there")
                if file.study is None:
                    say.warn("the space names no study: the file has runs and nothing else that the trainer needs")
            else:
                say.note(f"nothing to run, so that {path} was not written")
        say.result(told | also(found), lambda console: draw(told, console))


def ratio_of(run: dict[str, Any]) -> str:
    """The ratio of a run; of a branch that of the run it leaves, where, and for which share."""
    if not run["phase_part"]:
        return f"{run['ratio']:.3f}"
    return f"{run['trunk_ratio']:.3f}, left after {short(run['start'])} tokens for {run['phase_ratio']:.3f}"


def draw(told: dict[str, Any], console: Console) -> None:
    """The verdict first, then the runs, for a person."""
    lines = [
        f"{'Stop' if told['verdict'] == 'stop' else 'Run'}: {told['reason']}.",
        f"  wanted: {told['objective']}; expected regret as of now, broken budgets counted: {told['regret']:.4f} nats",
        *(
            f"  {run['domain']} at ratio {ratio_of(run)}, {short(run['size'])} parameters, {short(run['tokens'])} "
            f"tokens, seed {run['seed']}: {run['cost']:.3g} {told['cost_unit']}, lowers the regret by "
            f"{run['regret_fall']:.4f}"
            for run in told["runs"]
        ),
        f"  {told['candidates']} candidates; costs {told['costs']}",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)
