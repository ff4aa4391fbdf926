"""The peers: the same posterior in PyMC, sampled by nutpie. Runs under an interpreter of its own that has both.

    python peer.py rows|tuned TASK.npz OUT.npz --seconds CAP

``rows`` is written as the model reads: coordinates of a domain around its population's, every row by indices, a score
of its own for each end of each run, base effects as scores. ``tuned`` is what a patient expert makes of it: run scores
summed out in closed form, the law on a grid of sizes, shares and checkpoints, levels and contrasts centred, exponents
not. The prior and the likelihood of the losses are those of bayescpt's dcpt law with partial pooling and normal noise,
number for number; only which coordinates are sampled differs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt

DRAWS, TUNE, CHAINS = 1000, 500, 4
EXPONENTS = ("log_alpha", "log_beta", "log_gamma", "log_eta_excess", "log_eps", "logit_data_fraction")
"""Coordinates that rows of one domain pin poorly."""
KEPT = ("coordinates", "population", "spread", "base_sd", "run_sd", "noise_typical", "log_noise_sd", "noise_memory")
KEPT += ("noise_share_exponent", "noise_early", "base_effect")


def population(task: Any, centred: list[str]) -> Any:
    """Coordinates (target, group, coordinate) with their priors; those not ``centred`` are sampled as scores."""
    own = np.array([name in centred for name in task["coordinates"]])
    targets, groups = task["loc"].shape[0], int(task["group"].max()) + 1
    mean = pm.Normal("population", task["loc"], task["scale"], shape=task["loc"].shape)
    spread = pm.LogNormal("spread", np.log(task["spread"]), task["spread_sd"], shape=task["loc"].shape)
    loc, scale = mean[:, None, :], spread[:, None, :]
    drawn = pm.Normal("drawn", pt.switch(own, loc, 0.0), pt.switch(own, scale, 1.0), shape=(targets, groups, len(own)))
    return pm.Deterministic("coordinates", pt.switch(own, drawn, loc + scale * drawn))


def natural(task: Any, coordinates: Any) -> dict[str, Any]:
    """Natural parameters of D-CPT (target, group) by name, as bayescpt/laws/surface.py makes them."""
    own = {name: coordinates[:, :, place] for place, name in enumerate(task["coordinates"])}
    size, tokens, tokens_min = task["reference"]
    alpha, beta, gamma, eps = (pt.exp(own[f"log_{name}"]) for name in ("alpha", "beta", "gamma", "eps"))
    eta = 1 + pt.exp(own["log_eta_excess"])
    root = np.sqrt(8.0)
    A = pt.exp(own["log_size_gain"]) / ((size / root) ** -alpha - (size * root) ** -alpha)
    C = pt.exp(own["log_share_gain"]) / (eps**-gamma - (1 + eps) ** -gamma)
    steepest = eta / (gamma * (1 + eps) ** (-gamma - 1))
    B = pt.sigmoid(own["logit_data_fraction"]) * C * tokens_min**beta / steepest
    level = pt.exp(own["log_level"])
    reducible = A * size**-alpha + B * 0.5**eta * tokens**-beta + C * (0.5 + eps) ** -gamma
    log_x = pt.log(reducible / level)
    part = pt.exp(-pt.softplus(8 * log_x) / 8)
    E = -level * pt.expm1(-pt.softplus(-8 * log_x) / 8)
    A, B, C = part * A, part * B, part * C
    return {"E": E, "A": A, "B": B, "C": C, "alpha": alpha, "beta": beta, "gamma": gamma, "eta": eta, "eps": eps}


def noise(task: Any) -> dict[str, Any]:
    """Noise parameters with their priors."""
    groups, targets = int(task["group"].max()) + 1, task["loc"].shape[0]
    base_scale, run_scale, wander_scale, group_spread, memory = task["noise"]
    exponent, exponent_sd, early, early_sd = task["shape"]
    base_spread, memory_spread = task["spreads"]
    base_sd = pm.LogNormal("base_sd", np.log(base_scale), base_spread, shape=targets)
    typical = pm.HalfNormal("noise_typical", wander_scale, shape=targets)
    log_sd = pm.Normal("log_noise_sd", pt.log(typical)[:, None], group_spread, shape=(targets, groups))
    return {
        "base_sd": base_sd[:, None] * pt.exp(log_sd) / typical[:, None],
        "run_sd": pm.HalfNormal("run_sd", run_scale, shape=targets),
        "log_sd": log_sd,
        "memory": pm.LogNormal("noise_memory", np.log(memory), memory_spread, shape=targets),
        "exponent": pm.Normal("noise_share_exponent", exponent, exponent_sd, shape=targets),
        "early": pm.Normal("noise_early", early, early_sd, shape=targets),
    }


def base_effects(task: Any, sd: Any) -> Any:
    """What the law misses at bases (target, group, base, end), from scores."""
    root = task["base_root"]
    score = pm.Normal("base_score", 0, 1, shape=(task["loc"].shape[0], *root.shape[:2], 2))
    effect = sd[:, :, None, None] * pt.sum(root[None, :, :, :, None] * score[:, :, None, :, :], axis=3)
    return pm.Deterministic("base_effect", effect)


def by_rows(task: Any) -> pm.Model:
    """The model row by row: every line is what the text of the model says."""
    target, group, base, run = (task[name] for name in ("target", "group", "base", "run"))
    size, tokens, share, progress, gap = (task[name] for name in ("size", "tokens", "share", "progress", "gap"))
    loss = task["loss"]
    first = gap == 0
    before = np.where(first, 0, np.arange(len(loss)) - 1)
    with pm.Model() as model:
        groups, runs = int(group.max()) + 1, int(run.max()) + 1
        cell = target * groups + group
        theta = natural(task, population(task, list(task["coordinates"])))
        theta = {name: values.flatten()[cell] for name, values in theta.items()}
        own = noise(task)
        data = pt.switch(share > 0, pt.exp(theta["eta"] * np.log(np.where(share > 0, share, 1.0))), 0.0)
        law = (
            theta["E"]
            + theta["A"] * size ** -theta["alpha"]
            + theta["B"] * data * tokens ** -theta["beta"]
            + theta["C"] * (share + theta["eps"]) ** -theta["gamma"]
        )
        place = cell * task["base_root"].shape[-1] + base
        effect = base_effects(task, own["base_sd"]).reshape((-1, 2))[place]
        score = pm.Normal("run_score", 0, 1, shape=(task["loc"].shape[0] * runs, 2))[target * runs + run]
        loudness = ((share + task["rare"]) / (0.5 + task["rare"])) ** -own["exponent"][target]
        loudness = loudness * pt.exp(own["early"][target] * (1 - progress))
        ends = effect + own["run_sd"][target][:, None] * score
        mean = law + loudness * ((1 - progress) * ends[:, 0] + progress * ends[:, 1])
        width = loudness * pt.exp(own["log_sd"].flatten()[cell])
        keep = pt.switch(first, 0.0, pt.exp(-gap / own["memory"][target]))
        known = keep * width / width[before] * (loss[before] - mean[before])
        pm.Normal("loss", mean + known, width * pt.sqrt(1 - keep**2), observed=loss)
    return model


def tuned(task: Any) -> pm.Model:
    """The same posterior by hand: run scores summed out, the law on a grid, levels and contrasts centred."""
    sizes, shares = np.unique(task["size"]), np.unique(np.round(task["share"], 9))
    order = np.lexsort((task["progress"], task["share"], task["size"], task["group"], task["target"]))
    targets, groups = task["loc"].shape[0], int(task["group"].max()) + 1
    shape = (targets, groups, len(sizes), len(shares), -1)
    loss, base = (task[name][order].reshape(shape) for name in ("loss", "base"))
    tokens, progress, gap = (task[name][order].reshape(shape)[0, 0, 0, 0] for name in ("tokens", "progress", "gap"))
    of_size = base[0, 0, :, 0, 0]
    count = loss.shape[-1]
    with pm.Model() as model:
        theta = natural(task, population(task, [name for name in task["coordinates"] if name not in EXPONENTS]))
        own = noise(task)

        def grid(values: Any, axis: int) -> Any:
            """(target, group, x) as (target, group, size, share, checkpoint) with x on one of the last three axes."""
            places: list[Any] = [0, 1, "x", "x", "x"]
            places[axis] = 2
            return values.dimshuffle(*places)

        def raised(levels: np.ndarray, exponent: Any) -> Any:
            return pt.exp(exponent[:, :, None] * np.log(levels))

        present = shares > 0
        weight = pt.switch(present, raised(np.where(present, shares, 1.0), theta["eta"]), 0.0)
        gone = pt.exp(-theta["gamma"][:, :, None] * pt.log(shares + theta["eps"][:, :, None]))
        constant = {name: theta[name].dimshuffle(0, 1, "x", "x", "x") for name in "EABC"}
        by_share = (
            constant["C"] * grid(gone, 3) + constant["E"] + constant["A"] * grid(raised(sizes, -theta["alpha"]), 2)
        )
        law = by_share + constant["B"] * grid(weight, 3) * grid(raised(tokens, -theta["beta"]), 4)

        effect = base_effects(task, own["base_sd"])[:, :, of_size]
        start, end = (effect[:, :, :, e].dimshuffle(0, 1, 2, "x", "x") for e in (0, 1))
        log_share = -own["exponent"][:, None] * np.log((shares + task["rare"]) / (0.5 + task["rare"]))
        log_early = own["early"][:, None] * (1 - progress)
        by_ratio = pt.exp(log_share).dimshuffle(0, "x", "x", 1, "x")
        by_time = pt.exp(log_early).dimshuffle(0, "x", "x", "x", 1)
        mean = law + by_ratio * (by_time * ((1 - progress) * start + progress * end))
        sd = pt.exp(own["log_sd"])
        keep = pt.switch(gap > 0, pt.exp(-gap / own["memory"][:, None]), 0.0)
        narrow = 1 / pt.sqrt(1 - keep**2)

        def along(values: Any) -> Any:
            """Innovations of an Ornstein-Uhlenbeck process along the last axis; ``keep`` is 0 at its first place."""
            before = pt.concatenate([values[..., :1], values[..., :-1]], axis=-1)
            shift = (0, *["x"] * (values.ndim - 2), 1) if values.ndim > 2 else (0, 1)
            return (values - keep.dimshuffle(*shift) * before) * narrow.dimshuffle(*shift)

        apart = along((loss - mean) / (by_ratio * by_time)) / sd.dimshuffle(0, 1, "x", "x", "x")
        first, second = (along(pt.tile(basis, (targets, 1))) for basis in (1 - progress, progress))
        loading = (own["run_sd"][:, None] / sd) ** 2
        a, b, c = (
            (one * other).sum(-1)[:, None] * loading
            for one, other in ((first, first), (first, second), (second, second))
        )
        a, c = 1 + a, 1 + c
        determinant = a * c - b**2
        p, q = ((end.dimshuffle(0, "x", "x", "x", 1) * apart).sum(-1) for end in (first, second))
        grown = loading.dimshuffle(0, 1, "x", "x")
        a4, b4, c4, d4 = (values.dimshuffle(0, 1, "x", "x") for values in (a, b, c, determinant))
        distance = (apart**2).sum(-1) - grown * (c4 * p**2 - 2 * b4 * p * q + a4 * q**2) / d4
        runs = len(sizes) * len(shares)
        widths = runs * count * own["log_sd"] + 0.5 * runs * pt.log(determinant)
        widths += (len(sizes) * count * log_share.sum(-1) + runs * (log_early - pt.log(narrow)).sum(-1))[:, None]
        pm.Potential("loss", -0.5 * distance.sum() - widths.sum() - 0.5 * loss.size * np.log(2 * np.pi))
    return model


def main() -> None:
    """Sample and write draws and statistics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("rows", "tuned"))
    parser.add_argument("task", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = time.time()
    task = dict(np.load(asked.task))
    model = by_rows(task) if asked.kind == "rows" else tuned(task)
    compiled = nutpie.compile_pymc_model(model)
    ready = time.time()
    sampler = nutpie.sample(
        compiled, draws=DRAWS, tune=TUNE, chains=CHAINS, seed=asked.seed, progress_bar=False, blocking=False
    )
    try:
        trace, whole = sampler.wait(timeout=max(asked.seconds - (ready - began), 1.0)), True
    except TimeoutError:
        trace, whole = sampler.abort(), False
    posterior, stats = trace.posterior, trace.sample_stats
    found = {name: posterior[name].values for name in KEPT}
    np.savez(
        asked.out,
        **found,
        diverging=stats["diverging"].values,
        n_steps=stats["n_steps"].values,
        whole=whole,
        compile_seconds=ready - began,
    )


if __name__ == "__main__":
    main()
