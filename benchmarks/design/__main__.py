"""FLOPs that choosing runs saves on the study's grid, replayed as a lookup.

    python -m benchmarks.design --seeds 20 --out design.jsonl          # resumable: what is there is not done again
    python -m benchmarks.design --out design.jsonl --table             # the table of benchmarks/README.md

Every domain in turn is new; three others, drawn by seed, are known. Runs of the new one are bought by a rule and read
from the full grid; after every level of FLOPs the median of the optimal ratio under a budget of 0.05 nats, for the
largest size at the end of its runs, is held against that of a fit to the whole grid of all domains. All rules are
judged by the same model (memory, partial pooling, Student-t runs, Laplace).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bayescpt.data.table import Table
from benchmarks.design.pool import PARTS, WHOLE
from benchmarks.design.replay import Truth, full_grid, replay, whole_fit
from benchmarks.design.rules import RULES
from benchmarks.design.table import told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=Path("examples/data/study.parquet"))
    parser.add_argument("--rule", action="append", choices=list(RULES), help="repeatable; all without")
    parser.add_argument("--domain", action="append", help="repeatable; all without")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--parts", action="store_true", help="runs may end early, and go on later")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--truth", action="store_true", help="print what the whole grid says, with its 90 % interval")
    parser.add_argument("--table", action="store_true", help="print what was measured, measure nothing")
    asked = parser.parse_args()
    done = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    if asked.table:
        if not done:
            raise SystemExit(f"error: {asked.out} has no records yet: run without --table first")
        print(told(done))
        return
    table = Table.read(asked.rows)
    whole = whole_fit(table)
    if asked.truth:
        for domain in asked.domain or table.domains:
            said = Truth(whole, domain).said
            print(f"{domain:8} {said['q50']:.3f} [{said['q05']:.3f}, {said['q95']:.3f}]")
        return
    there = {(one["rule"], one["domain"], one["seed"]) for one in done}
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for domain in asked.domain or table.domains:
            truth = Truth(whole, domain)
            if asked.rule is None and ("full grid", domain, seed) not in there:
                with asked.out.open("a") as file:
                    file.writelines(json.dumps(one) + "\n" for one in full_grid(table, truth, domain, seed))
            for rule in asked.rule or RULES:
                if (rule, domain, seed) in there:
                    continue
                records = list(replay(table, truth, rule, domain, seed, PARTS if asked.parts else WHOLE))
                with asked.out.open("a") as file:
                    file.writelines(json.dumps(one) + "\n" for one in records)
                last = records[-1]
                print(
                    f"seed {seed} {domain:8} {rule:14} error {last['error']:.3f} regret {last['regret']:.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
