"""How much of the fall of regret that ``next`` promises is chance: the best of many noisy gains.

    python -m benchmarks.design.promised

Of every domain of the study: 150 runs and a decision, 2,000 draws of a Laplace fit in two halves. The run of the
largest gain by one half is given its gain by the other, which did not choose it; both ways round, in the mean.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bayescpt import ForgettingBudget, Table, fit
from bayescpt.decide import ratios
from bayescpt.design import RegretReduction, Space, candidates, decision_values
from bayescpt.design.observe import measured

STUDY = Path(__file__).parents[2] / "examples" / "data" / "study.parquet"
DRAWS = 2000
RATIOS = (0.02, 0.1, 0.2, 0.3, 0.45, 0.55, 0.65, 0.75, 0.9, 0.95)


def main() -> None:
    table = Table.read(STUDY)
    fitted = fit(table, method="laplace", seed=0).thinned(DRAWS)
    sizes = sorted(set(table.size))
    actions = ratios(sizes[-1], 2 * float(table.tokens.max()), [float(r) for r in np.linspace(0, 1, 65)])
    order = np.random.default_rng(0).permutation(DRAWS)
    print("| domain | runs | promised | given by the other half | less |\n|---|---|---|---|---|")
    for domain in table.domains:
        values = decision_values(fitted, domain, actions, ForgettingBudget(0.05), 0.9)
        offered = candidates(Space([domain], sizes, RATIOS, [2e5, 5e5], seeds=[0, 1]), table)
        shown, quantities = measured(fitted, offered), RegretReduction(values).quantities()
        promised, given = [], []
        for chosen, judged in ((order[::2], order[1::2]), (order[1::2], order[::2])):
            gains, others = (
                RegretReduction(values[:, half]).gain(quantities[:, half], shown[..., half])
                for half in (chosen, judged)
            )
            promised.append(gains.max())
            given.append(others[gains.argmax()])
        less = 1 - np.mean(given) / np.mean(promised)
        print(
            f"| {domain} | {len(offered)} | {np.mean(promised):.5f} | {np.mean(given):.5f} | {less:.0%} |", flush=True
        )


if __name__ == "__main__":
    main()
