"""What a user waits for after a first fit, in seconds: one run more, predictions, ratios and CMRs of many settings.

    python -m benchmarks.inference.asking

One process; every line says whether what it timed was compiled before. On the simulated rows of simulate.py with one
run held back, which the refit is then given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bayescpt.cli.sampling import use_devices

use_devices(4)  # as the command does

import jax  # noqa: E402
import jax.monitoring  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from bayescpt.ask import critical_ratio, predict, ratio_under_budget  # noqa: E402
from bayescpt.data.table import Table  # noqa: E402
from bayescpt.fit import Fit, Sampler, SamplerSettings, fit  # noqa: E402
from bayescpt.fit.run import model_of  # noqa: E402
from benchmarks.inference.score import BUDGET, base_loss  # noqa: E402
from benchmarks.inference.simulate import LAW, NOISE, POOLING, SIX, simulated  # noqa: E402

R = TypeVar("R")
POINTS, DRAWS, SETTINGS = 10_000, 2_000, 100


def timed(what: str, function: Callable[[], R]) -> R:
    """Call and print how long it took."""
    began = time.perf_counter()
    result = function()
    print(f"{what}: {time.perf_counter() - began:.2f} s", flush=True)
    return result


def settings_of(table: Table, count: int, seed: int) -> list[tuple[str, float, float]]:
    """Domains with sizes and budgets within the design, none on its grid."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(*np.log((table.size.min(), table.size.max())), count))
    tokens = np.exp(rng.uniform(*np.log((table.tokens.max() / 30, table.tokens.max())), count))
    domains = [table.domains[k % len(table.domains)] for k in range(count)]
    return [(d, float(n), float(t)) for d, n, t in zip(domains, sizes, tokens, strict=True)]


def points_of(table: Table, count: int, seed: int) -> pd.DataFrame:
    """Points as a planner asks for them: curves over ratio for settings of both targets."""
    rng = np.random.default_rng(seed)
    places = settings_of(table, SETTINGS, seed)
    chosen = [places[k] for k in np.sort(rng.integers(len(places), size=count))]
    frame = pd.DataFrame(chosen, columns=["domain", "size", "tokens"])
    return frame.assign(ratio=rng.uniform(0, 1, count), target=rng.choice(["general", "domain"], count))


def main() -> None:
    whole, _ = simulated(SIX)
    frame = whole.frame()
    last = sorted(frame["run"].unique())[len(frame["run"].unique()) // 2]
    table = Table.from_frame(frame[frame["run"] != last])
    step = Sampler(model_of(LAW, POOLING, NOISE).on(table), SamplerSettings(chains=4, warmup=500, draws=100))
    timed("first fit of a loop by NUTS, 4 chains of 500 + 100 draws", lambda: fit(table, sampler=step, seed=1))
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    loop = timed("with one run more, going on, 4 x (30 + 100)", lambda: fit(whole, sampler=step, seed=2, go_on=True))
    print(f"programs compiled for it: {len(compiled)}")
    print("checks of it:", *(f"{check.name}: {check.message};" for check in loop.checks))
    settings = SamplerSettings(chains=4, warmup=500, draws=500)
    again: Fit = timed(
        "fit by NUTS, 4 x (500 + 500)", lambda: fit(whole, LAW, POOLING, NOISE, seed=1, settings=settings)
    )
    again = again if again.passed else again.accept("a benchmark of time")
    quick = timed("first Laplace fit", lambda: fit(table, LAW, POOLING, NOISE, "laplace", settings=settings))
    timed("Laplace with one run more", lambda: fit(whole, LAW, POOLING, NOISE, "laplace", settings=settings))
    assert quick.size == again.size == DRAWS
    for seed, state in ((0, "first"), (1, "again, other points")):
        points = points_of(whole, POINTS, seed)
        timed(f"predict {POINTS} points x {DRAWS} draws, {state}", lambda p=points: predict(again, p))  # type: ignore[misc]
    for name, question in (("ratio", ratio_under_budget), ("CMR", critical_ratio)):
        for seed, state in ((0, "first"), (1, "again, other settings")):
            places = settings_of(whole, SETTINGS, seed)

            def ask(q=question, places=places) -> None:  # type: ignore[no-untyped-def]
                for place in places:
                    q(again, *place, BUDGET, base_loss=base_loss(whole, place[0]))

            timed(f"{name} of {SETTINGS} settings x {DRAWS} draws, {state}", ask)
    print(f"{jax.local_device_count()} devices")


if __name__ == "__main__":
    main()
