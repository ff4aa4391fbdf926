"""Every number of a law has a name, a unit, a meaning and a source."""

from __future__ import annotations

import math

from bayescpt.laws import ALL, LAWS, Law
from bayescpt.schema import TARGETS


def test_the_registry_leads_every_name_to_its_law() -> None:
    assert [LAWS[law.name] for law in ALL] == list(ALL)
    assert len(LAWS) == len(ALL)


def test_a_law_says_what_it_is(law: Law) -> None:
    assert law.name == law.name.lower()
    assert law.name.isidentifier()
    assert law.reference.strip()
    assert law.equation.startswith("L = ")


def test_every_parameter_has_name_unit_and_meaning(law: Law) -> None:
    names = [param.name for param in law.params]
    assert len(set(names)) == len(names) > 0
    for param in law.params:
        assert param.name.isidentifier()
        assert param.unit.strip()
        assert param.meaning.strip()


def test_every_coordinate_has_name_unit_meaning_source_and_proper_priors(law: Law) -> None:
    names = [coordinate.name for coordinate in law.coordinates]
    assert len(set(names)) == len(names) > 0
    for coordinate in law.coordinates:
        assert coordinate.name.isidentifier()
        assert all(text.strip() for text in (coordinate.unit, coordinate.meaning, coordinate.source))
        for target in TARGETS:
            prior = coordinate.prior(target)
            assert math.isfinite(prior.loc)
            assert 0 < prior.spread <= prior.scale, f"{coordinate.name}: domains differ more than their mean is unsure"
        assert coordinate.prior("general") is coordinate.general
        assert coordinate.prior("domain") is coordinate.domain
