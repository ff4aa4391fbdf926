"""Gather the study's rows and records into tables that others can use.

    python examples/study/publish.py --study study --out examples/data

Reads the folders of the sweeps, ``grid``, ``replay`` and ``phases``, as far as they are there, and writes of finished
runs only:

``study.parquet``           size x ratio x domain x tokens at a constant rate, three seeds in twelve cells
``study-annealed.parquet``  branches that anneal, from points of those runs
``study-scarce.parquet``    runs whose domain has few tokens, read again and again
``study-replay.parquet``    the replay table: re-warmed and not
``study-phases.parquet``    trunks, and branches that go on at another share, without the trunk's last rows again
``study-bases.parquet``     the bases
``study-runs.parquet``      a line a run: its settings, tokens, FLOPs, seconds and versions
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from trainer.files import read_json
from trainer.records import FINISHED, read_table, write_table

FOLDERS = {"grid": ("grid", "anneal", "scarce", "base"), "replay": ("replay",), "phases": ("phases",)}
"""Sweeps, and the parts of the study that each of them holds."""
PARTS = {
    "grid": "study",
    "anneal": "study-annealed",
    "scarce": "study-scarce",
    "replay": "study-replay",
    "phases": "study-phases",
    "base": "study-bases",
}
"""Part of the study and its table."""
KEPT = ("started", "seconds", "device", "threads", "processes", "compiled", "machine", "python", "code", "tokenizer")


def part_of(folder: str, spec: dict[str, Any]) -> str:
    """Which part of the study a run belongs to."""
    if "base" not in spec:
        return "base"
    if folder in ("replay", "phases"):
        return folder
    if spec["trunk"] is not None:
        return "anneal"
    return "scarce" if spec["limits"] else "grid"


def parameters(provenance: dict[str, Any]) -> int:
    """Non-embedding parameters."""
    return sum(count for group, count in provenance["parameters"].items() if group not in ("embedding", "head"))


def gather(study: Path) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Rows by table, and a record of every finished run."""
    there = [folder for folder in FOLDERS if (study / folder).is_dir()]
    rows: dict[str, list[dict[str, Any]]] = {PARTS[part]: [] for folder in there for part in FOLDERS[folder]}
    records = []
    for folder in there:
        hours = {(row["run"], row["tokens"]): row["gpu_hours"] for row in read_table(study / folder / "rows.parquet")}
        for run in sorted((study / folder / "runs").glob("*/provenance.json")):
            provenance, spec = read_json(run), read_json(run.with_name("spec.json"))
            if provenance["status"] != FINISHED:
                continue
            part = part_of(folder, spec)
            measured = [
                row | {"gpu_hours": hours.get((row["run"], row["tokens"]))}
                for row in read_table(run.with_name("rows.parquet"))
            ]
            if part in FOLDERS[folder]:
                rows[PARTS[part]] += measured if part != "phases" else own_rows(measured, spec)
            training = spec["training"]
            records.append(
                {
                    "run": spec["run_id"],
                    "part": part,
                    "size": parameters(provenance),
                    "domain": spec.get("domain"),
                    "seed": spec["seed"],
                    "tokens": training["tokens"],
                    "flops": measured[-1]["flops"] - measured[0]["flops"],
                    "precision": training["precision"],
                    "schedule": json.dumps(training["schedule"]),
                    "lr": training["lr"],
                    "limit": next(iter(spec["limits"].values()), None) if "limits" in spec else None,
                    "branched_at": spec["at"] if spec.get("trunk") else None,
                    **{name: provenance.get(name) for name in KEPT},
                    "versions": json.dumps(provenance["versions"]),
                    "spec": json.dumps(spec),
                }
            )
    if "grid" in there:
        rows["study-annealed"] = _bases_of(rows["study-annealed"], rows["study"]) + rows["study-annealed"]
    return rows, records


def own_rows(measured: list[dict[str, Any]], spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a branch without those at its start, which are its trunk's."""
    return [row for row in measured if spec["trunk"] is None or row["tokens"] > spec["at"]]


def joined(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records of all runs: those published before, and these in their place; a base that several sweeps have once."""
    found = {record["run"]: record for record in old}
    found |= {one["run"]: one for one in new if not (one["part"] == "base" and one["run"] in found)}
    return list(found.values())


def _bases_of(branches: list[dict[str, Any]], grid: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the bases that branches go back to, as the first run of each measured them."""
    key = ("base", "domain", "target")
    wanted = {tuple(row[name] for name in key) for row in branches}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in grid:
        if row["tokens"] == 0 and (place := tuple(row[name] for name in key)) in wanted:
            found.setdefault(place, row)
    return list(found.values())


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--study", type=Path, default=Path("study"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("examples/data"), metavar="DIR")
    asked = parser.parse_args()
    rows, records = gather(asked.study)
    for name, table in rows.items():
        write_table(asked.out / f"{name}.parquet", table)
        print(f"{name}.parquet: {len(table)} rows of {len({row['run'] for row in table})} runs")
    path = asked.out / "study-runs.parquet"
    before = [] if not path.exists() else pd.read_parquet(path).astype(object)
    if len(before):
        before = before.where(before.notna(), None).to_dict("records")
    records = joined(list(before), records)
    pd.DataFrame(records).to_parquet(path, index=False)
    print(f"study-runs.parquet: {len(records)} runs, {sum(record['flops'] for record in records):.3g} FLOP")


if __name__ == "__main__":
    main()
