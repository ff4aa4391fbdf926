"""The ratio of least weighted loss against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from bayescpt.ask import ratio_of_least_loss
from bayescpt.fit import Fit


def test_linear_losses_are_least_at_an_end(ramp: Fit) -> None:
    general, domain = (np.asarray(values) for values in ramp.draws("code").theta["a"])
    for weights in ((1.0, 1.0), (3.0, 1.0), (1.0, 0.0), (0.0, 2.0)):
        answer = ratio_of_least_loss(ramp, "code", 1e7, 1e9, *weights)
        wanted = np.where(weights[0] * general < weights[1] * domain, 1.0, 0.0)
        np.testing.assert_allclose(answer["value"], wanted)
        np.testing.assert_array_equal(answer["none"], wanted == 0)
        np.testing.assert_array_equal(answer["every"], wanted == 1)


def test_the_scale_of_weights_does_not_matter(memory: Fit) -> None:
    one, ten = (ratio_of_least_loss(memory, "code", 1e7, 1e9, w, 2 * w) for w in (1.0, 10.0))
    np.testing.assert_allclose(one["value"], ten["value"], atol=1e-4)
    assert one.attrs["weights_of_losses"] == {"general": 1.0, "domain": 2.0}


@pytest.mark.parametrize("weights", [(-1.0, 1.0), (0.0, 0.0), (np.nan, 1.0)])
def test_impossible_weights_are_refused(ramp: Fit, weights: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected weights"):
        ratio_of_least_loss(ramp, "code", 1e7, 1e9, *weights)
