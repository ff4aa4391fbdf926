"""The quickstart: train small proxies, fit a law to their losses, answer which share of domain data to mix in.

    python examples/quickstart/quickstart.py --out quickstart --workers 2

What is trained or fitted is not made again. Exit status: 0; 1 where training failed or the fit failed its checks (its
answers are then shown, marked as not reliable); 2 for unusable input; 130 when interrupted.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from bayescpt.data import Table
    from bayescpt.fit import Fit, SamplerSettings
    from bayescpt.report import Answers

STUDY = Path(__file__).with_name("runs.yaml")
LAW = "memory"
COMPILE_SECONDS, SECONDS_PER_ROW_DRAW = 20.0, 1.2e-5
"""What a fit was measured to take on two cores: to compile, and for each row and each draw, warm-up included."""
TELL_EVERY = 15.0
TIME_LEFT = re.compile(r"about (?:(\d+) h )?(?:(\d+) min )?(?:(\d+) s )?left")
"""How the trainer says what is left of it: ``about 1 h 02 min left``, ``about 3 min 20 s left``."""


def minutes(seconds: float) -> str:
    """Seconds as ``m:ss``."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def fit_seconds(rows: int, settings: SamplerSettings) -> float:
    """About how long a fit of so many rows takes."""
    return COMPILE_SECONDS + SECONDS_PER_ROW_DRAW * rows * settings.chains * (settings.warmup + settings.draws)


class Display:
    """Lines that start with the time since the start."""

    def __init__(self) -> None:
        self.console = Console(soft_wrap=True)
        self._start = time.monotonic()

    def say(self, line: str, style: str = "") -> None:
        self.console.print(Text(f"[{minutes(time.monotonic() - self._start)}] {line}", style=style))

    @contextmanager
    def waiting(self, what: str, estimate: float) -> Iterator[None]:
        """Tell time taken and left while ``what`` is done: on one line of a terminal, on several elsewhere."""
        began, over = time.monotonic(), threading.Event()

        def state() -> str:
            elapsed = time.monotonic() - began
            left = f"about {minutes(estimate - elapsed)} left" if elapsed < estimate else "longer than was estimated"
            return f"{what}: {minutes(elapsed)} so far, {left}"

        def tell() -> None:
            if not self.console.is_terminal:
                while not over.wait(TELL_EVERY):
                    self.say(state())
                return
            with self.console.status(state()) as status:
                while not over.wait(1.0):
                    status.update(state())

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()


def train(study: Path, out: Path, workers: int, after: float, display: Display) -> int:
    """Run the sweep and pass its lines on, with the ``after`` seconds that are to follow it added; its exit status."""
    command = [sys.executable, "-m", "trainer", "sweep", str(study), "--out", str(out), "--workers", str(workers)]
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unbuffered) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                found = TIME_LEFT.search(line)
                whole = ""
                if found:
                    hours, mins, seconds = (int(part or 0) for part in found.groups())
                    whole = f"; with the fit about {minutes(3600 * hours + 60 * mins + seconds + after)}"
                display.say(line.rstrip() + whole)
        except KeyboardInterrupt:
            # A terminal has told the sweep as well: let it write down what it has.
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.terminate()
            raise
    return child.returncode


def sampled(path: Path, table: Table, seed: int, settings: SamplerSettings, display: Display) -> Fit:
    """The fit at ``path`` if it is of this table, law, seed and number of draws, else a new one, written there."""
    from bayescpt.fit import Fit, fit

    if path.exists():
        try:
            found = Fit.load(path)
        except ValueError as error:
            display.say(f"fitting again: {error}")
        else:
            asked = (table.digest, LAW, seed, settings.chains, settings.draws)
            sizes = found.posterior.sizes
            if asked == (found.table.digest, found.model.law.name, found.seed, sizes["chain"], sizes["draw"]):
                display.say(f"{path} holds this fit already")
                return found
            display.say(f"fitting again: {path} is of other rows, another law, seed or number of draws")
    estimate = fit_seconds(len(table), settings)
    display.say(f"sampling {settings.chains} chains, law '{LAW}': about {minutes(estimate)} on two cores")
    with display.waiting("fit", estimate):
        made = fit(table, LAW, seed=seed, settings=settings)
    made.save(path)
    return made


def checked(table: Table, path: Path, display: Display) -> None:
    """Say what the table holds, and what can and cannot be learned from it."""
    from bayescpt.data.overview import overview

    seen = overview(table)
    domains = ", ".join(domain.name for domain in seen.domains)
    display.say(f"{path}: {seen.rows} rows of {seen.runs} runs, {len(seen.sizes)} sizes, domains {domains}")
    for finding in seen.findings:
        display.say(f"{finding.level.value}: {finding}")


def gated(fit: Fit, display: Display) -> Fit:
    """The fit, accepted with its failures as the reason where it failed its checks."""
    for check in fit.checks:
        display.say(f"{'ok' if check.passed else 'FAILED'}: {check.name}: {check.message}")
    if fit.passed:
        return fit
    failed = ", ".join(check.name for check in fit.checks if not check.passed)
    display.say(f"The fit failed its checks ({failed}). What follows is shown, but DO NOT RELY ON IT.", "bold red")
    return fit.accept(f"shown by the quickstart although the fit failed its checks: {failed}")


def settings_of(table: Table) -> list[tuple[str, float, float]]:
    """Every domain and size of the table with the tokens of its longest run."""
    import numpy as np

    found = []
    for code, domain in enumerate(table.domains):
        for size in np.unique(table.size[table.domain == code]):
            here = (table.domain == code) & (table.size == size)
            found.append((domain, float(size), float(table.tokens[here].max())))
    return found


def draw(fit: Fit, answers: list[Answers], folder: Path) -> list[Path]:
    """One picture a domain; their paths."""
    from bayescpt.report import domain_figure, save_figure

    folder.mkdir(exist_ok=True)
    paths = []
    for domain in dict.fromkeys(answer.domain for answer in answers):
        paths.append(folder / f"{domain}.png")
        save_figure(domain_figure(fit, [answer for answer in answers if answer.domain == domain]), paths[-1])
    return paths


def quickstart(asked: argparse.Namespace) -> int:
    """Train, check, fit, answer, draw; the exit status."""
    # One device a chain, so that chains run side by side; JAX reads this when it loads, with bayescpt.fit.
    devices = f"--xla_force_host_platform_device_count={asked.chains}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {devices}".strip()
    from bayescpt.data import Table
    from bayescpt.fit import SamplerSettings
    from bayescpt.report import answers_at, answers_table
    from trainer.files import write_json
    from trainer.study import read_study

    display, out = Display(), asked.out
    given = {name: getattr(asked, name) for name in ("chains", "warmup", "draws", "target_accept")}
    settings = SamplerSettings(**{name: value for name, value in given.items() if value is not None})
    rows = sum(2 * run.training.evaluations for run in read_study(asked.study).runs)
    display.say("1 of 4: train the runs of " + str(asked.study), "bold")
    status = train(asked.study, out, asked.workers, fit_seconds(rows, settings), display)
    if status:
        display.say("the training failed, so nothing is fitted; see above", "bold red")
        return status
    display.say("2 of 4: check the rows", "bold")
    table = Table.read(out / "rows.parquet")
    checked(table, out / "rows.parquet", display)
    display.say("3 of 4: fit", "bold")
    fit = gated(sampled(out / "fit.nc", table, asked.seed, settings, display), display)
    display.say("4 of 4: answer and draw", "bold")
    answers = [answers_at(fit, *setting, asked.max_forgetting) for setting in settings_of(table)]
    display.console.print()
    display.console.print(answers_table(answers))
    display.console.print(
        f"With the optimal ratio the general loss ends {asked.max_forgetting:g} nats above that of the base; with less"
        "\ndomain data it forgets less. With the CMR it has besides turned downwards by the end."
        "\nMedian [90 % interval]; none, all: the probability that no ratio, or every ratio, qualifies.\n",
        highlight=False,
    )
    said = {
        "law": LAW,
        "seed": fit.seed,
        "digest": table.digest,
        "reliable": fit.passed,
        "checks": [vars(check) for check in fit.checks],
        "answers": [answer.as_dict() for answer in answers],
    }
    write_json(out / "answers.json", said)
    figures = draw(fit, answers, out / "figures")
    display.say("written:", "bold")
    for path in (out / "rows.parquet", out / "bases.parquet", out / "fit.nc", out / "answers.json", *figures):
        display.console.print(f"  {path}", highlight=False)
    if not fit.passed:
        display.say("The fit failed its checks: these answers are not reliable. See what to do above.", "bold red")
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=STUDY, metavar="RUNS.yaml", help="what to train")
    parser.add_argument("--out", type=Path, default=Path("quickstart"), metavar="DIR", help="folder for it all")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="training processes, one thread each")
    parser.add_argument("--seed", type=int, default=0, help="of the fit")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--warmup", type=int, help="draws of each chain to adapt in, not kept")
    parser.add_argument("--draws", type=int, help="draws kept of each chain")
    parser.add_argument("--target-accept", type=float, help="towards 0.99 where draws diverge")
    parser.add_argument("--max-forgetting", type=float, default=0.05, metavar="NATS", help="budget of general loss")
    asked = parser.parse_args(arguments)
    try:
        return quickstart(asked)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
