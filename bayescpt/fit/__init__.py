"""Sampling a model and checking the draws: a table in, a fit out."""

from bayescpt.fit.averaging import average
from bayescpt.fit.checks import Check, UnreliableFit
from bayescpt.fit.fit import Draws, Fit
from bayescpt.fit.mixture import Mixture, load
from bayescpt.fit.run import DEFAULT_LAW, fit, model_of, prior_fit
from bayescpt.fit.sample import Sampler
from bayescpt.settings import SamplerSettings

__all__ = [
    "DEFAULT_LAW",
    "Check",
    "Draws",
    "Fit",
    "Mixture",
    "Sampler",
    "SamplerSettings",
    "UnreliableFit",
    "average",
    "fit",
    "load",
    "model_of",
    "prior_fit",
]
