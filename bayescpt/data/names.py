"""Names of domains that are asked about: a slip of the pen is not taken for a new domain."""

from __future__ import annotations

from collections.abc import Iterable


def fault_of_name(name: object, known: Iterable[str] = ()) -> str | None:
    """What is wrong with the name of a domain; None where nothing is.

    A name that is not among ``known`` is a new domain, but one that differs from a known name by case or by space
    around it alone was hardly meant to be.

    Examples:
        >>> from bayescpt.data.names import fault_of_name
        >>> fault_of_name("law", ["cpp"])
        >>> fault_of_name("CPP", ["cpp"])
        "expected a name of the table or a new one, got 'CPP', which differs from 'cpp' by case alone: write 'cpp'"
    """
    known = tuple(known)
    if not (isinstance(name, str) and name.strip()):
        return f"expected a name, got {name!r}"
    if name in known:
        return None
    bare = name.strip()
    near = next((one for one in known if one.strip().casefold() == bare.casefold()), None)
    if name != bare:
        return f"expected a name without space around it, got {name!r}: write {bare if near is None else near!r}"
    if near is not None:
        return (
            f"expected a name of the table or a new one, got {name!r}, which differs from {near!r} by case alone: "
            f"write {near!r}"
        )
    return None
