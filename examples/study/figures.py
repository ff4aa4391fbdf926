"""Draw the study's curves from its tables.

python examples/study/figures.py --data examples/data --out examples/data/figures
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SHADES = plt.get_cmap("viridis")
TARGETS = {"general": "general loss less that of the base (nats/token)", "domain": "domain loss less that of the base"}


def million(size: float) -> str:
    """Parameters as people say them."""
    return f"{size / 1e6:.2g}M" if size < 1e7 else f"{size / 1e6:.0f}M"


def with_change(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with their planned ratio, and the change since the base: the row of the same run at 0 tokens."""
    last = rows.sort_values("tokens").groupby("run")["ratio"].last().round(2)
    start = rows[rows["tokens"] == 0].set_index(["run", "target"])["loss"]
    keys = pd.MultiIndex.from_frame(rows[["run", "target"]])
    return rows.assign(planned=rows["run"].map(last), change=rows["loss"].to_numpy() - start.reindex(keys).to_numpy())


def panels(domains: list[str], height: float = 2.4) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel a domain, four in a row."""
    lines = -(-len(domains) // 4)
    figure, axes = plt.subplots(lines, 4, figsize=(12, height * lines), sharex=True, layout="constrained")
    named = dict(zip(domains, axes.flat, strict=False))
    for domain, axis in named.items():
        axis.set_title(domain, fontsize=10)
        axis.axhline(0, color="0.7", linewidth=0.8)
        axis.tick_params(labelsize=8)
    for unused in axes.flat[len(domains) :]:
        unused.remove()
    return figure, named


def trajectories(rows: pd.DataFrame, target: str) -> Figure:
    """Loss along the runs of the largest size that has all ratios, a colour a ratio."""
    counts = rows.groupby("size")["planned"].nunique()
    size = counts[counts == counts.max()].index.max()
    own = rows[(rows["size"] == size) & (rows["target"] == target) & (rows["seed"] == 0) & (rows["tokens"] > 0)]
    domains = list(dict.fromkeys(own["domain"]))
    figure, axes = panels(domains)
    ratios = sorted(own["planned"].unique())
    for domain, axis in axes.items():
        for number, ratio in enumerate(ratios):
            run = own[(own["domain"] == domain) & (own["planned"] == ratio)].sort_values("tokens")
            colour = SHADES(0.95 * number / (len(ratios) - 1))
            axis.plot(run["tokens"], run["change"], color=colour, linewidth=1.3, label=f"{ratio:g}")
        axis.set_xscale("log")
    figure.supxlabel("tokens of continual pre-training", fontsize=9)
    figure.supylabel(TARGETS[target], fontsize=9)
    axes[domains[0]].legend(title="domain share", fontsize=6, title_fontsize=7, ncols=2)
    figure.suptitle(f"{million(size)} non-embedding parameters", fontsize=10)
    return figure


def against_ratio(rows: pd.DataFrame, target: str) -> Figure:
    """Change at the end of the runs against the ratio, a line a size."""
    ends = rows[(rows["tokens"] == rows["tokens"].max()) & (rows["target"] == target)]
    domains = list(dict.fromkeys(ends["domain"]))
    figure, axes = panels(domains)
    sizes = sorted(ends["size"].unique())
    for domain, axis in axes.items():
        for number, size in enumerate(sizes):
            cell = ends[(ends["domain"] == domain) & (ends["size"] == size)]
            mean = cell.groupby("planned")["change"].mean()
            colour = SHADES(0.9 * number / max(1, len(sizes) - 1))
            axis.plot(mean.index, mean, "o-", color=colour, markersize=3, linewidth=1.2, label=million(size))
            axis.plot(cell["planned"], cell["change"], ".", color=colour, markersize=2)
    figure.supxlabel("share of the domain", fontsize=9)
    figure.supylabel(TARGETS[target], fontsize=9)
    axes[domains[0]].legend(title="parameters", fontsize=6, title_fontsize=7)
    return figure


def replayed(rows: pd.DataFrame) -> Figure:
    """Final losses against the share of replay, re-warmed and not, for both shifts."""
    ends = rows[rows["tokens"] == rows["tokens"].max()].assign(replay=lambda t: 1 - t["planned"])
    domains = list(dict.fromkeys(ends["domain"]))
    figure, axes = plt.subplots(1, 2 * len(domains), figsize=(12, 2.8), layout="constrained")
    peak = ends.groupby("run")["lr_sum"].transform("max")
    warm = peak > peak.median()
    pairs = [(domain, target) for domain in domains for target in ("general", "domain")]
    for axis, (domain, target) in zip(axes, pairs, strict=True):
        for name, chosen, style in (("re-warmed, re-decayed", warm, "o-"), ("not re-warmed", ~warm, "s--")):
            own = ends[chosen & (ends["domain"] == domain) & (ends["target"] == target)].sort_values("replay")
            axis.plot(100 * own["replay"], own["change"], style, markersize=3, linewidth=1.2, label=name)
        axis.axhline(0, color="0.7", linewidth=0.8)
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xticks([0, 1, 5, 10, 25, 50], ["0", "1", "5", "10", "25", "50"])
        axis.tick_params(labelsize=8)
        axis.set_title(f"{domain}: {target} loss", fontsize=10)
    axes[0].legend(fontsize=7)
    figure.supxlabel("replayed share of the tokens (%)", fontsize=9)
    figure.supylabel("loss less that of the base\n(nats/token)", fontsize=9)
    return figure


def scarce(rows: pd.DataFrame, grid: pd.DataFrame) -> Figure:
    """Domain loss of runs with few domain tokens against that of the same runs with enough, along the repetition."""
    own = rows[(rows["target"] == "domain") & (rows["tokens"] > 0)]
    cells = list(dict.fromkeys(zip(own["domain"], own["planned"], strict=True)))
    figure, axes = plt.subplots(1, len(cells), figsize=(12, 2.6), sharex=True, layout="constrained")
    size = own["size"].iloc[0]
    for axis, (domain, ratio) in zip(axes, cells, strict=True):
        chosen = (grid["domain"] == domain) & (grid["planned"] == ratio) & (grid["size"] == size) & (grid["seed"] == 0)
        enough = grid[chosen & (grid["target"] == "domain")].set_index("tokens")["change"]
        runs = own[(own["domain"] == domain) & (own["planned"] == ratio)].groupby("run", sort=False)
        for number, (_, run) in enumerate(sorted(runs, key=lambda pair: -pair[1]["domain_epochs"].max())):
            limit = round(ratio * run["tokens"].max() / run["domain_epochs"].max())
            axis.plot(
                run["domain_epochs"],
                run["change"].to_numpy() - enough.reindex(run["tokens"]).to_numpy(),
                "o-",
                color=SHADES(0.7 * number),
                markersize=3,
                linewidth=1.2,
                label=f"{limit / 1000:.0f}k tokens",
            )
        axis.axhline(0, color="0.7", linewidth=0.8)
        axis.set_xscale("log")
        axis.tick_params(labelsize=8)
        axis.set_title(f"{domain}, share {ratio:g}", fontsize=9)
    axes[0].legend(title="domain text", fontsize=7, title_fontsize=7)
    figure.supxlabel("epochs of the domain", fontsize=9)
    figure.supylabel("domain loss less that\nwithout a limit (nats/token)", fontsize=9)
    return figure


def annealed(rows: pd.DataFrame, grid: pd.DataFrame) -> Figure:
    """Annealed ends beside the trunks they come from, general and domain loss."""
    cells = list(dict.fromkeys(zip(rows["domain"], rows["size"], strict=True)))
    figure, axes = plt.subplots(2, len(cells), figsize=(12, 4.6), sharex=True, layout="constrained")
    ratios = sorted(rows["planned"].unique())
    for column, (domain, size) in enumerate(cells):
        for axis, target in zip(axes[:, column], ("general", "domain"), strict=True):
            for number, ratio in enumerate(ratios):
                colour = SHADES(0.85 * number / max(1, len(ratios) - 1))
                trunk, ends = (
                    t[(t["domain"] == domain) & (t["size"] == size) & (t["planned"] == ratio) & (t["target"] == target)]
                    for t in (grid[(grid["seed"] == 0) & (grid["tokens"] > 8_000)], rows)
                )
                axis.plot(trunk["tokens"], trunk["loss"], color=colour, linewidth=1, label=f"{ratio:g}")
                last = ends.sort_values("tokens").groupby("run").tail(1)
                axis.plot(last["tokens"], last["loss"], "v", color=colour, markersize=5)
            axis.set_xscale("log")
            axis.tick_params(labelsize=8)
        axes[0, column].set_title(f"{domain}, {million(size)}", fontsize=9)
    axes[0, 0].set_ylabel("general loss (nats/token)", fontsize=8)
    axes[1, 0].set_ylabel("domain loss (nats/token)", fontsize=8)
    axes[0, 0].legend(title="domain share", fontsize=7, title_fontsize=7)
    figure.supxlabel("tokens; lines: constant rate, triangles: annealed over the last fifth", fontsize=9)
    return figure


def drawn(data: Path) -> Iterator[tuple[str, Figure]]:
    """Every figure whose rows are there, by name."""
    tables: dict[str, Any] = {}
    for name in ("study", "study-replay", "study-scarce", "study-annealed"):
        table = pd.read_parquet(data / f"{name}.parquet")
        if len(table):
            tables[name] = table.assign(**{c: table[c].astype(float) for c in ("ratio", "tokens", "loss", "lr_sum")})
    grid = with_change(tables["study"])
    for target in TARGETS:
        yield f"trajectories-{target}", trajectories(grid, target)
        yield f"ratio-{target}", against_ratio(grid, target)
    if "study-replay" in tables:
        yield "replay", replayed(with_change(tables["study-replay"]))
    if "study-scarce" in tables:
        yield "scarce", scarce(with_change(tables["study-scarce"]), grid)
    if "study-annealed" in tables:
        own = tables["study-annealed"].query("tokens > 0")
        last = own.sort_values("tokens").groupby("run")["ratio"].last().round(2)
        yield "annealed", annealed(own.assign(planned=own["run"].map(last)), grid)


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("examples/data"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("examples/data/figures"), metavar="DIR")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn(asked.data):
        figure.savefig(asked.out / f"{name}.png", dpi=90)
        plt.close(figure)
        print(f"{name}.png")


if __name__ == "__main__":
    main()
