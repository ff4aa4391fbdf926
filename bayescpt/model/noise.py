"""What separates a measured loss from the law: its base, its run, and what wanders along a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import constraints

from bayescpt.model.layout import Rows
from bayescpt.schema import TARGETS

BASE_SPREAD = math.log(2)
MEMORY_SPREAD = math.log(2)
"""Prior standard deviations of log base_sd and log memory: within a factor of 2."""
SHARE_EXPONENT_SD, EARLY_SD = 0.3, 0.7
"""Prior standard deviations of how noise grows as the own share falls and towards the start of a run."""
RARE = 0.01
"""Share below which a corpus counts as hardly read."""


def loudness(
    share: Float[Array, "*shape"],
    progress: Float[Array, "*place"],
    share_exponent: Float[Array, "*kind"],
    early: Float[Array, "*kind"],
) -> Float[Array, "*joint"]:
    """How much louder noise is than at an even mix at the end: ((share + 0.01)/0.51)^-k exp(e (1 - progress)).

    A corpus that a run hardly reads is where its loss wanders: nothing pulls it back. Early in a run losses move fast,
    and a run that is a little ahead is far off.
    """
    by_share, by_progress = _log_loudness(share, progress, share_exponent, early)
    joint = math.prod(jnp.broadcast_shapes(by_share.shape, by_progress.shape))
    if by_share.size + by_progress.size < joint:
        # one does not vary along an axis of the other: fewer exponentials
        return jnp.exp(by_share) * jnp.exp(by_progress)
    return jnp.exp(by_share + by_progress)


def _log_loudness(share: Array, progress: Array, share_exponent: Array, early: Array) -> tuple[Array, Array]:
    return -share_exponent * jnp.log((share + RARE) / (0.5 + RARE)), early * (1 - progress)


def deviation_scale(progress: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Standard deviation of a run's deviation in units of run_sd: 1 at both ends, less between them."""
    return jnp.sqrt((1 - progress) ** 2 + progress**2)


class NoiseDraw(NamedTuple):
    """Noise parameters of one draw. Scales are in nats per token at an even mix."""

    base_sd: Float[Array, "target group"]
    """of what a law misses at a base, at the table's first and at its last checkpoint"""
    run_sd: Float[Array, " target"]
    """of a run's deviation at the table's first and at its last checkpoint"""
    sd: Float[Array, "target group"]
    """of what wanders along a run"""
    memory: Float[Array, " target"]
    """e-folds of tokens over which that is correlated"""
    share_exponent: Float[Array, " target"]
    """how noise grows as the share of the target's own corpus falls: see loudness"""
    early: Float[Array, " target"]
    """how noise grows towards the start of a run: see loudness"""
    df: Float[Array, " target"]
    """degrees of freedom of a run as a whole; infinite for normal noise"""


class Kernel(NamedTuple):
    """The covariance of the rows of every run: what is needed to make residuals independent.

    An axis along which a field does not vary may have length 1 (model/layout.py).
    """

    scale: Float[Array, "#target #group #slot #checkpoint"]
    """of the wandering part"""
    log_scale: Float[Array, "#target #group #slot #checkpoint"]
    keep: Float[Array, "#target #group #slot #checkpoint"]
    """correlation with the checkpoint before; 0 at the first"""
    ends: tuple[Float[Array, "target group slot checkpoint"], Float[Array, "target group slot checkpoint"]]
    """loadings of a run's two standard scores, in units of ``scale``, made independent like residuals"""
    mask: Float[Array, "target group slot checkpoint"]


class Scores(NamedTuple):
    """The matrix I + ends' ends of every run, 2 x 2: what the two scores of a run take out of its residuals."""

    first: Float[Array, "*run"]
    both: Float[Array, "*run"]
    second: Float[Array, "*run"]

    @property
    def determinant(self) -> Float[Array, "*run"]:
        """Of the matrix."""
        return self.first * self.second - self.both**2

    def squared(self, at_first: Float[Array, "*run"], at_second: Float[Array, "*run"]) -> Float[Array, "*run"]:
        """x' (I + ends' ends)^-1 x of a pair x."""
        square = self.second * at_first**2 - 2 * self.both * at_first * at_second + self.first * at_second**2
        return square / self.determinant


def along(values: Float[Array, "*rows"], keep: Float[Array, "*places"]) -> Float[Array, "*joint"]:
    """Innovations of an Ornstein-Uhlenbeck process from its values, along the last axis."""
    before = jnp.pad(values[..., :-1], [(0, 0)] * (values.ndim - 1) + [(1, 0)])
    return (values - keep * before) / jnp.sqrt(1 - keep**2)


def loudness_of(draw: NoiseDraw, rows: Rows) -> Float[Array, "#target #group #slot #checkpoint"]:
    """Loudness of every row."""
    return loudness(rows.point.share, rows.progress, *_shape_of(draw))


def _shape_of(draw: NoiseDraw) -> tuple[Array, Array]:
    return draw.share_exponent[:, None, None, None], draw.early[:, None, None, None]


def kernel_of(draw: NoiseDraw, rows: Rows) -> Kernel:
    """The covariance of all runs for one draw.

    Var(loss of a run) = l l' * [sd^2 exp(-|log D_i - log D_j| / memory) + run_sd^2 ((1-p)(1-p)' + p p')] with l the
    loudness, p the progress; a known standard error widens the first part of its row.
    """
    louder = loudness_of(draw, rows)
    sd, run_sd = draw.sd[:, :, None, None], draw.run_sd[:, None, None, None]
    keep = jnp.where(rows.gap > 0, jnp.exp(-rows.gap / draw.memory[:, None, None, None]), 0.0)
    mask = rows.mask.astype(louder.dtype)
    if rows.se is None:
        scale = louder * sd
        log_scale = sum(_log_loudness(rows.point.share, rows.progress, *_shape_of(draw)), jnp.log(sd))
        loadings = (run_sd / sd * along(basis, keep) for basis in (1 - rows.progress, rows.progress))
    else:
        scale = jnp.sqrt((louder * sd) ** 2 + rows.se**2)
        log_scale = jnp.log(scale)
        loadings = (along(louder * run_sd / scale * basis, keep) for basis in (1 - rows.progress, rows.progress))
    first, second = (mask * loading for loading in loadings)
    return Kernel(scale, log_scale, keep, (first, second), mask)


def independent(kernel: Kernel, residual: Float[Array, "*group slot checkpoint"]) -> Array:
    """Residuals as innovations of unit variance, the scores of the runs apart."""
    return kernel.mask * along(residual / kernel.scale, kernel.keep)


def scores_of(kernel: Kernel) -> Scores:
    """What the scores of the runs take out of their residuals."""
    first, second = kernel.ends
    return Scores(1 + jnp.sum(first**2, -1), jnp.sum(first * second, -1), 1 + jnp.sum(second**2, -1))


def run_distance(
    kernel: Kernel, residual: Float[Array, "target group slot checkpoint"]
) -> tuple[Float[Array, "target group slot"], Float[Array, "target group slot"]]:
    """Squared distance r' S^-1 r of the residuals of every run, and half the log determinant of their covariance S."""
    apart = independent(kernel, residual)
    scores = scores_of(kernel)
    pull = (jnp.sum(end * apart, -1) for end in kernel.ends)
    distance = jnp.sum(apart**2, -1) - scores.squared(*pull)
    widths = jnp.sum(kernel.mask * (kernel.log_scale + 0.5 * jnp.log1p(-(kernel.keep**2))), -1)
    return distance, widths + 0.5 * jnp.log(scores.determinant)


class RunDistribution(dist.Distribution):
    """The losses of runs around their expectation, the scores of a run summed out: normal, or Student's t as a whole.

    Batch (target, group, slot), event (checkpoint,). A masked checkpoint adds nothing.
    """

    support = constraints.real_vector

    def __init__(self, mean: Array, draw: NoiseDraw, rows: Rows, heavy: bool) -> None:
        self.mean_loss, self.draw, self.rows, self.heavy = mean, draw, rows, heavy
        super().__init__(mean.shape[:-1], mean.shape[-1:])

    def log_prob(self, value: Array) -> Array:
        distance, volume = run_distance(kernel_of(self.draw, self.rows), value - self.mean_loss)
        count = self.rows.mask.sum(-1)
        if not self.heavy:
            return -0.5 * (count * math.log(2 * math.pi) + distance) - volume
        df = self.draw.df[:, None, None]
        shape = gammaln((df + count) / 2) - gammaln(df / 2) - 0.5 * count * jnp.log(df * math.pi)
        return shape - volume - 0.5 * (df + count) * jnp.log1p(distance / df)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Array:
        assert sample_shape == ()
        wander, ends, mixing = jax.random.split(key, 3)
        kernel = kernel_of(self.draw, self.rows)
        louder = loudness_of(self.draw, self.rows)
        fresh = jax.random.normal(wander, self.mean_loss.shape)

        def step(before: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            shock, keep = now
            value = keep * before + jnp.sqrt(1 - keep**2) * shock
            return value, value

        keeps = jnp.broadcast_to(kernel.keep, fresh.shape)
        moved = (jnp.moveaxis(fresh, -1, 0), jnp.moveaxis(keeps, -1, 0))
        _, path = jax.lax.scan(step, jnp.zeros(self.batch_shape), moved)
        scores = self.draw.run_sd[:, None, None, None] * jax.random.normal(ends, (*self.batch_shape, 2))
        progress = self.rows.progress
        deviation = louder * ((1 - progress) * scores[..., :1] + progress * scores[..., 1:])
        noise = kernel.scale * jnp.moveaxis(path, 0, -1) + deviation
        if self.heavy:
            df = jnp.broadcast_to(self.draw.df[:, None, None], self.batch_shape)
            noise = noise / jnp.sqrt(jax.random.chisquare(mixing, df) / df)[..., None]
        return self.mean_loss + noise


@dataclass(frozen=True)
class Noise:
    """loss = law + loudness x (what the law misses at a base + deviation of the run + what wanders along it).

    All of it per target. Checkpoints of one run are not independent, and neither are runs of one base:

    - a base: the law may be off at a size, or for a base as it happens to be, for all its runs on a domain alike: by
      N(0, base_sd) at the table's first and at its last checkpoint, linearly in log tokens between them, more on
      domains that are noisier. Bases of similar size are off alike (model/misfit.py), and a new size may be as well.
    - a run leaves the law by N(0, run_sd) at the table's first and at its last checkpoint, linearly in log tokens
      between them; seeds of one setting differ by this.
    - along a run an Ornstein-Uhlenbeck process in log tokens of scale sd per domain: what is off now is still off at
      the next checkpoint, and forgotten ``memory`` e-folds later.

    The scores of runs are summed out in closed form: the sampler meets the law's coordinates alone. Scales are known
    to be a few thousandths of a nat at 100M parameters (sd 0.0015 over 20 seeds of a 124M model; wiggles of 0.001 to
    0.005 along public CPT runs), more for the smallest proxies: half-normal priors with 0.02 nats at an even mix and at
    the end of a run. Without the own corpus all scales are 51^k times that, k ~ N(0.3, 0.3), and at the first
    checkpoint e^e times, e ~ N(0.7, 0.7).
    """

    heavy: bool
    """whether a run as a whole may be an outlier: multivariate Student t with df ~ 2 + Gamma(2, 0.1) (Juarez and Steel
    2010)"""
    base_scale: float = 0.01
    """prior median of base_sd, within a factor of 2: like the spread over domains it is never zero"""
    run_scale: float = 0.02
    wander_scale: float = 0.02
    group_spread: float = 0.4
    """standard deviation over domains of log sd"""
    memory: float = 0.5
    """prior median of the memory in e-folds of tokens, within a factor of 2"""
    share_exponent: float = 0.3
    """prior mean of how noise grows as the own share falls; its standard deviation is 0.3"""
    early: float = 0.7
    """prior mean of how noise grows towards the start of a run; its standard deviation is 0.7"""

    @property
    def name(self) -> str:
        """As it is called on the command line."""
        return "student" if self.heavy else "normal"

    def sample(self, groups: int) -> NoiseDraw:
        """NumPyro sites of the noise for ``groups`` groups."""
        targets = len(TARGETS)

        def each(name: str, prior: dist.Distribution) -> Array:
            return numpyro.sample(name, prior.expand([targets]).to_event(1))

        base_sd = each("base_sd", dist.LogNormal(math.log(self.base_scale), BASE_SPREAD))
        run_sd = each("run_sd", dist.HalfNormal(self.run_scale))
        typical = each("noise_typical", dist.HalfNormal(self.wander_scale))
        # centred: dozens of rows a domain pin log sd far better than its population does
        around = dist.Normal(jnp.log(typical)[:, None], self.group_spread).expand([targets, groups])
        sd = numpyro.deterministic("noise_sd", jnp.exp(numpyro.sample("log_noise_sd", around.to_event(2))))
        relative = sd / typical[:, None]
        memory = each("noise_memory", dist.LogNormal(math.log(self.memory), MEMORY_SPREAD))
        share_exponent = each("noise_share_exponent", dist.Normal(self.share_exponent, SHARE_EXPONENT_SD))
        early = each("noise_early", dist.Normal(self.early, EARLY_SD))
        df = jnp.full(targets, jnp.inf)
        if self.heavy:
            df = numpyro.deterministic("noise_df", 2.0 + each("df_excess", dist.Gamma(2.0, 0.1)))
        return NoiseDraw(base_sd[:, None] * relative, run_sd, sd, memory, share_exponent, early, df)

    def describe(self) -> str:
        """The priors in words."""
        tails = "Student t with df ~ 2 + Gamma(2, 0.1) by run" if self.heavy else "normal"
        return (
            f"noise: {self.name} ({tails}), base_sd ~ LogNormal(log {self.base_scale:g}, {BASE_SPREAD:.2g}) "
            "times the domain's sd over the typical one, "
            f"run_sd ~ HalfNormal({self.run_scale:g}), sd ~ HalfNormal({self.wander_scale:g}) nats at an even mix, "
            f"correlated over LogNormal(log {self.memory:g}, log 2) e-folds of tokens, "
            f"all times ((share + {RARE:g})/{0.5 + RARE:g})^-k exp(e (1 - progress)), "
            f"k ~ N({self.share_exponent:g}, {SHARE_EXPONENT_SD:g}), e ~ N({self.early:g}, {EARLY_SD:g})"
        )


NOISES: dict[str, Noise] = {noise.name: noise for noise in (Noise(heavy=False), Noise(heavy=True))}
