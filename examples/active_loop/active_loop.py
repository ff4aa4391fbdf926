"""Close the loop on real text: train, fit, choose the next runs, until none is worth it or the budget is spent.

    python examples/active_loop/active_loop.py --out active-loop --workers 2

SPACE.yaml says what is to be decided and what may be trained for it, and names the study that has the bases and the
first runs. Stop it at any time, kill -9 included: the same command goes on, and trains no run twice. By hand, one round
is

    python -m trainer sweep runs.yaml --out DIR
    bayescpt fit DIR/rows.parquet -o fit.nc --method laplace
    bayescpt next fit.nc --space SPACE.yaml --budget FLOPS --count 2 -o next.yaml    # its runs are added to runs.yaml

Exit status: 0; 1 where training failed; 2 for unusable input; 130 when interrupted.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from bayescpt.data import Table
    from bayescpt.design.files import SpaceFile
    from bayescpt.fit import Fit

SPACE = Path(__file__).with_name("space.yaml")
RUN, STOP, SPENT = "run", "stop", "spent"
"""Verdicts of a round: train more, nothing on offer is worth it, the budget pays for nothing that is."""
CAPTION = (
    "Medians and 90 % intervals of the two ratios after every round: the largest share of domain data with which the "
    "general loss ends within {budget} of that of the base, and the critical mixture ratio (CMR), with which it has "
    "besides turned downwards by the end; {domain}, {size:,.0f} parameters, {tokens:,.0f} tokens. FLOPs are those of "
    "all continual runs so far; the bases are not counted."
)


@dataclass(frozen=True)
class Round:
    """What is known after so many runs, and what to do next.

    Args:
        runs: trained so far; flops: that they took, without the bases.
        digest: of their rows.
        ratio, cmr: median and 90 % interval of the answers, see bayescpt.ask.answer.
        regret: of the plan as of now, nats per token.
        verdict: ``run``, ``stop`` or ``spent``; chosen: the next runs, as a RUNS.yaml has them.
    """

    runs: int
    flops: float
    digest: str
    ratio: dict[str, Any]
    cmr: dict[str, Any]
    regret: float
    verdict: str
    reason: str
    chosen: list[dict[str, Any]]


class Loop:
    """The folder of a loop: the runs so far, a file a round, the folder of the trainer."""

    def __init__(self, asked: argparse.Namespace) -> None:
        from bayescpt.design.files import read_space, read_yaml

        self.asked, self.out = asked, asked.out
        self.console = Console(soft_wrap=True, highlight=False)
        self.file: SpaceFile = read_space(asked.space)
        if self.file.study_path is None:
            raise ValueError(f"{asked.space}: names no study; the trainer needs one to train the runs")
        if self.file.space.branches is not None:
            raise ValueError(f"{asked.space}: this loop trains whole runs; leave out branches")
        content = read_yaml(self.file.study_path)
        if not content.get("runs"):
            raise ValueError(f"{self.file.study_path}: expected runs to start from, at least one")
        if "grid" in content or "branches" in content:
            raise ValueError(
                f"{self.file.study_path}: list the runs to start from under runs, without grid or branches"
            )
        self.study = absolute(content, self.file.study_path.parent.resolve())
        self.out.mkdir(parents=True, exist_ok=True)

    def say(self, line: str, style: str = "") -> None:
        self.console.print(line, style=style)

    def rounds(self) -> list[Round]:
        """The rounds that are done."""
        found: list[Round] = []
        while (path := self.out / f"round-{len(found):02d}.json").exists():
            found.append(Round(**json.loads(path.read_text("utf-8"))))
        return found

    def runs(self, done: list[Round]) -> list[dict[str, Any]]:
        """All runs to be trained by now: those to start from, and what every round chose."""
        return [*self.study["runs"], *(run for one in done for run in one.chosen)]

    def train(self, done: list[Round]) -> int:
        """Train what is not yet trained; the exit status of the sweep."""
        from bayescpt.design.files import write_runs

        path, folder = self.out / "runs.yaml", self.out / "trained"
        write_runs(path, self.study | {"runs": self.runs(done)})
        self._wait(folder)
        command = [sys.executable, "-m", "trainer", "sweep", str(path), "--out", str(folder)]
        return subprocess.run([*command, "--workers", str(self.asked.workers)], check=False).returncode

    def _wait(self, folder: Path) -> None:
        """Wait for the sweep of an earlier call that was killed without it: its runs are not lost."""
        folder.mkdir(exist_ok=True)
        told = False
        with (folder / ".lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if not told:
                        self.say("waiting for the sweep of an earlier call, which is still at work")
                        told = True
                    time.sleep(0.2)
                else:
                    return

    def fitted(self, table: Table, number: int) -> Fit:
        """The fit of this round: from its file if it is of these rows, else a new one, written there."""
        from bayescpt import Fit, SamplerSettings, fit

        path = self.out / f"fit-{number:02d}.nc"
        if path.exists():
            try:
                found = Fit.load(path)
            except ValueError as error:
                self.say(f"fitting again: {error}")
            else:
                if found.table.digest == table.digest and found.method == self.asked.method:
                    return found
        settings = SamplerSettings(draws=self.asked.draws)
        made = fit(table, method=self.asked.method, seed=self.asked.seed, settings=settings)
        made.save(path)
        return made

    def judged(self, number: int, done: list[Round]) -> Round:
        """Fit the rows as of now, answer, and choose the next runs within what is left of the budget."""
        from bayescpt import Table, critical_ratio, ratio_under_budget, summary
        from bayescpt.decide import ForgettingBudget
        from bayescpt.design import candidates, cost_of, next_runs
        from bayescpt.design.files import runs_file
        from bayescpt.design.select import DRAWS

        table = Table.read(self.out / "trained" / "rows.parquet")
        fit = self.fitted(table, number)
        if not fit.passed:
            failed = ", ".join(check.name for check in fit.checks if not check.passed)
            self.say(f"the fit failed its checks ({failed}): it is good enough to choose runs, not to report", "red")
            fit = fit.accept(f"chooses proxy runs although it failed its checks: {failed}")
        asked = self.file.question
        if not isinstance(asked.objective, ForgettingBudget):
            raise ValueError(f"{self.asked.space}: decision: this example asks for max_forgetting")
        limit, relative = asked.objective.max_forgetting, asked.objective.relative
        where = (fit, asked.domain, asked.size, asked.tokens)
        base = asked.base_loss or float(fit.base_loss(asked.domain, asked.size, "general").mean())
        nats = limit * base if relative else limit
        spent = spent_on(table)
        said: dict[str, Any] = {
            "runs": len(self.runs(done)),
            "flops": spent,
            "digest": table.digest,
            "ratio": summary(
                ratio_under_budget(*where, max_forgetting=limit, relative=relative, base_loss=asked.base_loss)
            ),
            "cmr": summary(critical_ratio(*where, tolerance=nats, base_loss=asked.base_loss)),
        }
        thin = fit.thinned(DRAWS)
        values = asked.values(thin, asked.actions(table))
        regret = float((values.max(axis=0) - values[int(values.mean(axis=1).argmax())]).mean())
        try:
            offered = candidates(self.file.space, table, cost_of(table))
        except ValueError as error:  # nothing is left of the space
            return Round(**said, regret=regret, verdict=STOP, reason=str(error), chosen=[])
        left = self.asked.budget - spent
        if offered["cost"].min() > left:
            reason = f"{max(left, 0):.2e} FLOPs are left, and the cheapest run takes {offered['cost'].min():.2e}"
            return Round(**said, regret=regret, verdict=SPENT, reason=reason, chosen=[])
        found = next_runs(thin, offered, values, left, count=self.asked.count, least_gain=self.asked.least_gain)
        chosen = runs_file(found.chosen, self.file)["runs"]
        return Round(**said, regret=found.regret, verdict=found.verdict, reason=found.reason, chosen=chosen)

    def tell(self, number: int, one: Round) -> None:
        """What a round found, in words."""
        self.say(f"round {number}: {one.runs} runs, {one.flops:.2e} of {self.asked.budget:.2e} FLOPs spent", "bold")
        for name, said in (("optimal ratio", one.ratio), ("CMR", one.cmr)):
            none = f", no ratio with probability {said['p_none']:.2f}" if said["p_none"] > 0.005 else ""
            self.say(f"  {name:<13} {said['q50']:.3f} [{said['q05']:.3f}, {said['q95']:.3f}]{none}")
        self.say(f"  expected regret of the plan {one.regret:.4f} nats/token")
        for run in one.chosen:
            self.say(f"  next: {run['domain']} at {run['ratio']:g}, size {run['size']}, {run['tokens']:,} tokens")
        if one.verdict != RUN:
            self.say(f"  {'stop' if one.verdict == STOP else 'budget spent'}: {one.reason}", "bold")

    def draw(self, done: list[Round]) -> Path:
        """The intervals of all rounds against the FLOPs spent; the path of the picture."""
        from matplotlib.figure import Figure

        from bayescpt.report import save_figure
        from bayescpt.report.plots import CRITICAL, RATIO

        asked = self.file.question
        figure = Figure(figsize=(7.5, 5.6), dpi=100, layout="constrained")
        axes = figure.subplots()
        flops = [one.flops for one in done]
        for name, colour, marker, shift, answers in (
            ("optimal ratio", RATIO, "o", 0.985, [one.ratio for one in done]),
            ("CMR", CRITICAL, "s", 1.015, [one.cmr for one in done]),
        ):
            middle = [said["q50"] for said in answers]
            ends = [[said["q50"] - said["q05"] for said in answers], [said["q95"] - said["q50"] for said in answers]]
            x = [shift * value for value in flops]
            axes.errorbar(x, middle, yerr=ends, fmt=marker, color=colour, capsize=4, linewidth=1.6, label=name)
        axes.set_xscale("log")
        low, high = min(flops), max(flops)
        room = max((high / low) ** 0.12, 1.3)
        axes.set_xlim(low / room, high * room)
        axes.set_ylim(0, 1)
        shown = low / room
        for one in done:
            if one.flops > shown:
                place = one.flops, 1.0
                axes.annotate(str(one.runs), place, (0, 4), textcoords="offset points", ha="center", fontsize=9)
                shown = one.flops * room**0.35
        axes.set_title("runs trained so far:", fontsize=9, loc="left", pad=18)
        axes.set_xlabel("FLOPs spent on continual runs (log scale)")
        axes.set_ylabel(f"share of {asked.domain}")
        axes.legend(loc="lower right")
        budget = asked.objective.limit()  # type: ignore[attr-defined]
        words = CAPTION.format(budget=budget, domain=asked.domain, size=asked.size, tokens=asked.tokens)
        figure.supxlabel(textwrap.fill(words, 108), fontsize=9, x=0.02, ha="left")
        save_figure(figure, self.out / "intervals.png")
        return self.out / "intervals.png"

    def run(self) -> int:
        """Go on from wherever the folder is; the exit status."""
        from trainer.files import write_json

        done = self.rounds()
        for number, one in enumerate(done):
            self.tell(number, one)
        if done and done[-1].verdict != RUN:
            done.pop()  # another budget or least gain may say otherwise
        while not done or done[-1].verdict == RUN:
            status = self.train(done)
            if status:
                self.say("the training failed; see above. The same command goes on with it", "bold red")
                return status
            number, one = len(done), self.judged(len(done), done)
            write_json(self.out / f"round-{number:02d}.json", vars(one))
            done.append(one)
            self.tell(number, one)
            self.draw(done)
        self.say(f"written: {self.out / 'runs.yaml'}, {self.out / f'fit-{len(done) - 1:02d}.nc'}, {self.draw(done)}")
        return 0


def absolute(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A study whose paths of corpora do not depend on where it is written."""
    from trainer.sources import READERS

    corpora = {}
    for name, entry in content.get("corpora", {}).items():
        paths = [key for key in entry if key == "validation" or (key in READERS and READERS[key].is_path)]
        corpora[name] = {**entry, **{key: str(folder / os.path.expandvars(str(entry[key]))) for key in paths}}
    return content | {"corpora": corpora}


def spent_on(table: Table) -> float:
    """FLOPs of all runs of a table."""
    if table.flops is None:
        raise ValueError("the rows do not say what runs have cost")
    return sum(float(table.flops[table.run == code].max()) for code in range(len(table.runs)))


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, default=SPACE, metavar="SPACE.yaml", help="what to decide, and by what")
    parser.add_argument("--out", type=Path, default=Path("active-loop"), metavar="DIR", help="folder for it all")
    parser.add_argument("--budget", type=float, default=1e12, metavar="FLOPS", help="for all continual runs together")
    parser.add_argument("--count", type=int, default=2, metavar="N", help="runs a round at most")
    parser.add_argument("--least-gain", type=float, default=5e-4, metavar="NATS", help="of regret that a run is worth")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="training processes, one thread each")
    parser.add_argument("--method", choices=("laplace", "nuts"), default="laplace", help="of the fits")
    parser.add_argument("--draws", type=int, default=500, help="of each of four chains")
    parser.add_argument("--seed", type=int, default=0, help="of the fits")
    try:
        return Loop(parser.parse_args(arguments)).run()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
